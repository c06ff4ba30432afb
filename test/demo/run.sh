#!/bin/bash
# Plays the story of the product on a throwaway server: make demo.
#
# One file of SQL per act, played by the roles that do this in production.  The acts check themselves, so a
# step that does not do what it should ends the demo with an error.  Pitfall: attempts that must be refused
# are part of the story, and psql reports them on stderr as it reports accidents.  So stderr goes to a file,
# which is shown only when an act fails.
#
# PG_CONFIG=... chooses the server; KEEP=1 leaves it running and says how to connect and how to stop it.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd -P)
# shellcheck source=test/lib/packages.sh
source "$repository/test/lib/packages.sh"
# shellcheck source=test/lib/server.sh
source "$repository/test/lib/server.sh"
exec </dev/null

story=(
	10_draft 20_signup 30_claim 40_job 50_work 60_failure
	70_double_spend 80_attempts 90_books 95_invariants
)

studio() {
	as_server psql -X -q -v ON_ERROR_STOP=1 -d studio "$@"
}

play() {
	local act
	for act in "${story[@]}"; do
		if [ "$act" = 70_double_spend ]; then
			double_spend
		fi
		play_act "$act"
	done
}

play_act() {
	local errors=$scratch/tmp/errors status=0
	studio -f "$source/test/demo/prelude.sql" -f "$source/test/demo/$1.sql" 2>"$errors" || status=$?
	if [ "$status" -ne 0 ]; then
		echo "the demo failed in test/demo/$1.sql; psql said:" >&2
		sed "s|$source/||" "$errors" >&2
		return 1
	fi
}

# Two sessions of their own at the same time.  The first keeps its transaction open until it sees the
# second wait; the second starts once the first has its credits.
double_spend() {
	local tills=$source/test/demo first
	studio -f "$tills/prelude.sql" -f "$tills/tills.sql"
	studio -f "$tills/till_first.sql" >"$scratch/tmp/first" 2>&1 &
	first=$!
	if ! studio -f "$tills/till_second.sql" >"$scratch/tmp/second" 2>&1 || ! wait "$first"; then
		echo "the demo failed in test/demo/till_*.sql; psql said:" >&2
		cat "$scratch/tmp/first" "$scratch/tmp/second" >&2
		return 1
	fi
	cat "$scratch/tmp/first" "$scratch/tmp/second"
}

need_packages demo
open_scratch
copy_server
build_extension
start_cluster
prepare_database studio
cd "$source"
printf 'studio_engine on PostgreSQL %s, ready after %s s\n' \
	"$(as_server "$bin/postgres" --version | sed 's/.* (PostgreSQL) //')" "$SECONDS"

attended play
if [ "$outcome" -ne 0 ]; then
	exit "$outcome"
fi
printf 'The story is over, and everything in it went as it should (%s s).\n' "$SECONDS"
if [ "${KEEP:-}" = 1 ]; then
	printf 'It is in the database "studio" of the server below.\n\n'
fi
