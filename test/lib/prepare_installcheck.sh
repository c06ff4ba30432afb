#!/bin/bash
# prepare_installcheck.sh NAME: the database of the specs, on a server that has what the tests ask for.
set -euo pipefail

lacking=$("$("$PG_CONFIG" --bindir)/psql" -XAt -d postgres -v ON_ERROR_STOP=1 -c "
	SELECT string_agg(wanted, ' and ') FROM (VALUES
		(current_setting('wal_level') = 'logical', 'wal_level = logical'),
		(current_setting('max_prepared_transactions')::integer > 0, 'max_prepared_transactions = 10'),
		(current_setting('server_encoding') = 'UTF8', 'the encoding UTF8'),
		((SELECT datlocprovider <> 'i' AND datcollate ~ '^(C|POSIX)\y' FROM pg_database WHERE datname = 'template0'), 'the locale C.UTF-8'),
		(current_user = 'postgres' AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), 'a superuser postgres who runs it'))
		AS t (has, wanted) WHERE NOT has")
if [ -n "$lacking" ]; then
	echo "make installcheck needs a server with $lacking" >&2
	exit 1
fi
"$(dirname "$0")/prepare_database.sh" "$1"
