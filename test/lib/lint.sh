# Shared by the lints that search the sources: sourced, prints TAP.

count=0
failed=0
mapfile -t sources < <(find src -name '*.[ch]' | sort)

# never WHAT PATTERN FILE...: the pattern occurs in none of the files
never() {
	local what=$1 pattern=$2 where
	shift 2
	where=$(grep -nE "$pattern" "$@" || true)
	tell_where "$what" "$where"
}

# tell_where WHAT LINES: passed if there are no lines
tell_where() {
	count=$((count + 1))
	if [ -z "$2" ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		while read -r line; do echo "# $line"; done <<<"$2" >&2
		failed=1
	fi
}
