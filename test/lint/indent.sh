#!/bin/bash
# The C sources are as `make indent` leaves them.
set -euo pipefail

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r . "$copy/tree"
make -s -C "$copy/tree" indent with_llvm=no >/dev/null

echo 1..1
if diff -ru src "$copy/tree/src" >"$copy/diff" -x '*.o'; then
	echo "ok 1 - indented"
else
	echo "not ok 1 - indented"
	sed 's/^/# /' "$copy/diff"
	exit 1
fi
