#!/bin/bash
# The C sources are as `make indent` leaves them, with every version of pg_bsd_indent that is on the path and that it takes.
#
# Pitfall: 2.1.1 does not indent what an initializer has on further lines, 2.1.2 does.  Inside of parentheses both
# do the same, so that is where such an initializer belongs; it is looked for, since a machine may have one of the two.
set -euo pipefail

count=0
failed=0
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# tell NAME FILE: passed if nothing was written to the file
tell() {
	count=$((count + 1))
	if [ ! -s "$2" ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		sed 's/^/# /' "$2" >&2
		failed=1
	fi
}

# left_as_is PROGRAM
left_as_is() {
	rm -rf "$copy/tree"
	cp -r . "$copy/tree"
	if make -s -C "$copy/tree" indent with_llvm=no PG_BSD_INDENT="$1" >"$copy/said" 2>&1; then
		diff -ru -x '*.o' src "$copy/tree/src" >"$copy/said" || true
	else
		echo 'make indent failed' >>"$copy/said"
	fi
}

# An initializer that has further lines at its own indentation.
stray_initializers() {
	awk '
		begun && match($0, /^\t+/) && RLENGTH == tabs && substr($0, RLENGTH + 1, 1) != "}" {
			print FILENAME ":" FNR - 1 ": put this initializer in parentheses: " before }
		{ begun = 0 }
		/^\t+[A-Za-z_][A-Za-z_0-9 \t*]*[ \t*][A-Za-z_][A-Za-z_0-9]* = .*[^;{,]$/ && !/\*\/$/ {
			match($0, /^\t+/); tabs = RLENGTH; before = $0; begun = 1 }' "${sources[@]}"
}

mapfile -t sources < <(find src -name '*.[ch]' | sort)
seen=' '
while read -r program; do
	version=$("$program" --version | awk '{ print $2 }')
	[[ $seen != *" $version "* ]] || continue
	seen+="$version "
	# that of PostgreSQL 19 sets designated initializers in another way
	[[ $version == 2.1.[12] ]] || { echo "# pg_bsd_indent $version is not asked"; continue; }
	left_as_is "$program"
	tell "indented as by pg_bsd_indent $version" "$copy/said"
done < <(type -ap pg_bsd_indent)

stray_initializers >"$copy/said"
tell 'no initializer that two versions of pg_bsd_indent treat differently' "$copy/said"
echo "1..$count"
[ "$count" -gt 1 ] || { echo '# there is no pg_bsd_indent 2.1.1 or 2.1.2' >&2; failed=1; }
exit "$failed"
