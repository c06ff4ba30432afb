#!/bin/bash
# The examples of README.md are tested ones: its blocks of SQL stand in test/sql/900_readme.sql, its blocks of
# output (text) in expected/900_readme.out, both in the same order.
#
# Pitfall: psql pads its tables with blanks at the end of lines, which editors take from README.md.
set -euo pipefail

count=0
failed=0

# blocks LANGUAGE: the blocks of that language, each ended by a NUL
blocks() {
	awk -v fence="\`\`\`$1" '
		inside && $0 == "```" { inside = 0; printf "%c", 0; next }
		inside { sub(/[ \t]+$/, ""); print }
		$0 == fence { inside = 1 }' README.md
}

# all_in LANGUAGE FILE
all_in() {
	local rest block
	rest=$(sed 's/[ \t]*$//' "$2")
	while IFS= read -r -d '' block; do
		count=$((count + 1))
		if [[ $rest == *"$block"* ]]; then
			rest=${rest#*"$block"}
			echo "ok $count - ${block%%$'\n'*}"
		else
			echo "not ok $count - ${block%%$'\n'*}"
			echo "# not in $2, or not after the blocks before it" >&2
			failed=1
		fi
	done < <(blocks "$1")
}

all_in sql test/sql/900_readme.sql
all_in text expected/900_readme.out
echo "1..$count"
[ "$count" -gt 0 ] || failed=1
exit "$failed"
