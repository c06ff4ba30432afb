#!/bin/bash
# The version is that of studio_engine.control, and the oldest server that of the Makefile, wherever else they are written.
set -euo pipefail

version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" studio_engine.control)
oldest=$(sed -n 's/^OLDEST_MAJOR *= *//p' Makefile)
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
states 'META.json, the oldest server' "$oldest.0.0" "$(sed -n 's/^ *"PostgreSQL": "\(.*\)"$/\1/p' META.json)"
states 'compat.h, the oldest server' "${oldest}0000"$'\n'"$oldest" \
	"$(sed -n '/^#if PG_VERSION_NUM < /{N;/#error/!d;s/^.* < \([0-9]*\)\n.*PostgreSQL \([0-9]*\) or newer.*/\1\n\2/p}' "$(find src -name compat.h)")"
states 'test/lib/packages.sh, the oldest server' "$oldest" "$(sed -n 's/^oldest_major=//p' test/lib/packages.sh)"
states 'README.md, the oldest server' "$oldest" "$(sed -n 's/.*needs PostgreSQL \([0-9]*\) or newer.*/\1/p' README.md)"
echo "1..$count"
exit "$failed"
