#!/bin/bash
# prepare_database.sh NAME: a new database of that name with the Supabase stand-in and the extension, in the server that
# PG_CONFIG and the PG* variables say.
set -euo pipefail

programs=$("${PG_CONFIG:-pg_config}" --bindir)
# a checkout that is compared with may install it under an older name
stub=("$("${PG_CONFIG:-pg_config}" --sharedir)"/extension/*supabase_stub.sql)

# that it is not there is no news
PGOPTIONS='-c client_min_messages=warning' "$programs/dropdb" --if-exists "$1"
"$programs/createdb" "$1"
"$programs/psql" -X -q -v ON_ERROR_STOP=1 -d "$1" -f "${stub[0]}" -c 'CREATE EXTENSION studio_engine'
