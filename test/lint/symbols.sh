#!/bin/bash
# The library exports what SQL declares and what the loader asks for, and nothing else.
#
# Pitfall: an exported function that our own code calls goes through the same table as a hidden one does not, so
# that a library which was loaded before ours could take the call.  Hence no relocation may name a symbol of ours.
set -euo pipefail

library=studio_engine.so
script=$(echo studio_engine--*.sql)

# same NAME EXPECTED FOUND: two sorted lists of words
count=0
failed=0
same() {
	local difference
	count=$((count + 1))
	if difference=$(diff <(echo "$2") <(echo "$3")); then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		grep '^[<>]' <<<"$difference" | sed 's/^</# missing:/; s/^>/# too many:/' >&2
		failed=1
	fi
}

exported=$(nm -D --defined-only "$library" | awk '{ print $3 }' | sort)
declared=$(sed -n "s/.*'MODULE_PATHNAME', '\([a-z0-9_]*\)'.*/\1/p" "$script" | sort -u)
bound=$(readelf -rW "$library" | awk '{ sub(/@.*/, "", $5); print $5 }' | sort -u)

# a declaration without the name in C would pass by unseen
same 'every declaration names its function in C' "$(grep -c "^[^-]*LANGUAGE c\b" "$script")" \
	"$(grep -c "'MODULE_PATHNAME', '" "$script")"
same 'the library exports its entry points and nothing else' \
	"$({ printf '%s\n' Pg_magic_func _PG_init; echo "$declared"; sed 's/^/pg_finfo_/' <<<"$declared"; } | sort)" "$exported"
same 'no call of ours can be taken by another library' '' "$(comm -12 <(echo "$exported") <(echo "$bound"))"
echo "1..$count"
exit "$failed"
