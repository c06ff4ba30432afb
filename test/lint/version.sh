#!/bin/bash
# The version is that of studio_engine.control, wherever else it is written.
set -euo pipefail

version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" studio_engine.control)
count=0
failed=0

# states FILE EXPECTED FOUND: FOUND, lines of versions, is EXPECTED
states() {
	count=$((count + 1))
	if [ -n "$2" ] && [ "$3" = "$2" ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		echo "# expected: $2, found: $3" | paste -sd ' ' >&2
		failed=1
	fi
}

states 'META.json, the distribution and what it provides' "$version"$'\n'"$version" \
	"$(awk '/"meta-spec"/ { exit } { print }' META.json | sed -n 's/^ *"version": "\(.*\)",*$/\1/p')"
# the newest heading: "## 0.1.0, 2026-12-24" or "## 0.1.0, unreleased"
states 'CHANGELOG.md, the newest heading' "$version" \
	"$(sed -n 's/^## \([0-9.]*\), .*/\1/p' CHANGELOG.md | head -n 1)"
echo "1..$count"
exit "$failed"
