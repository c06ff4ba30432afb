#!/bin/bash
# Generates types/database.types.ts from a throwaway installation: make types.
#
# For clients of a database that has nothing but this extension.  Pitfall: most have tables of their own; their
# types come from their database, by `npx supabase gen types typescript --db-url ... --schema public,pipeline`.
#
# PG_CONFIG=... chooses the server.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../../.." && pwd -P)
types=$repository/types/database.types.ts
# shellcheck source=test/lib/packages.sh
source "$repository/test/lib/packages.sh"
# shellcheck source=test/lib/server.sh
source "$repository/test/lib/server.sh"
exec </dev/null

generate() {
	(umask 022 && cd "$source/test/rest" && quietly npm ci --prefer-offline --no-progress --loglevel=error)
	as_server env PGDATABASE=types node "$source/test/rest/types/generate.mjs" >"$scratch/tmp/types"
}

need_packages test
open_scratch
copy_server
build_extension
start_cluster
prepare_database types
attended generate
if [ "$outcome" -ne 0 ]; then
	exit "$outcome"
fi
mkdir -p "$(dirname "$types")"
cp -- "$scratch/tmp/types" "$types"
chown -R --reference="$repository" "$(dirname "$types")"
echo "types/database.types.ts: $(wc -l <"$types") lines"
