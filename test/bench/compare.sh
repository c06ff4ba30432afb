#!/bin/bash
# Measures two checkouts side by side: test/bench/compare.sh BASE [NEW], or make bench-compare BASE=directory.
#
# Both are built and run as private servers at the same time.  A round measures every row on both, one right after the
# other, and every second round the other way round; the time that calls of one session take.  What is printed is
# the median of each side with the spread of its rounds, and the median of the rounds' ratios, new to base, with the
# quartiles between which half of them are.  Where there is valgrind, the instructions of a call follow, counted in a server
# of a single user: what else the machine does is not in them, random ids make up to two per cent.
#
# Pitfall: a base against itself is not 1.000 either.  Compare it with itself first: what differs less than that is nothing.
#
# ROUNDS=n (40, 0 for the instructions only), CALLS=n of each row and round (2000; at most 9000), INSTRUCTIONS=0 leaves them out,
# PG_CONFIG=..., KEEP=1 leaves the servers.
set -euo pipefail

if [ $# -lt 1 ] || [ ! -e "$1/studio_engine.control" ] || [ ! -e "${2:-.}/studio_engine.control" ]; then
	echo 'usage: test/bench/compare.sh BASE [NEW], two checkouts; NEW is this one when it is not said' >&2
	exit 2
fi
tests=$(cd "$(dirname "$0")/../.." && pwd -P)
base_directory=$(cd "$1" && pwd -P)
new_directory=$(cd "${2:-$tests}" && pwd -P)
# shellcheck source=test/lib/packages.sh
source "$tests/test/lib/packages.sh"
# shellcheck source=test/lib/server.sh
source "$tests/test/lib/server.sh"
# shellcheck source=test/bench/lib/measure.sh
source "$tests/test/bench/lib/measure.sh"
# shellcheck source=test/bench/lib/tables.sh
source "$tests/test/bench/lib/tables.sh"
exec </dev/null

rounds=${ROUNDS:-40}
calls=${CALLS:-2000}
counted_calls=400
quick=0
rows=(reserve reserve_settle insert claim claim_complete)
declare -A labels=(
	[reserve]='reserve_credits' [reserve_settle]='reserve_credits + settle_credits' [insert]='INSERT of a job, with its triggers'
	[claim]='claim_jobs, of one' [claim_complete]='claim_jobs + store_refined_text'
)

# ---------------------------------------------------------------------------
# Two servers
# ---------------------------------------------------------------------------

# make_side NAME CHECKOUT: a server of its own below the scratch directory, with the databases of the rows
make_side() {
	local root=$scratch
	scratch=$root/$1 repository=$2
	source=$scratch/source server=$scratch/server data=$scratch/data
	environment=(HOME="$scratch" TMPDIR="$scratch/tmp" LC_ALL=C.UTF-8 PATH="$PATH" PGOPTIONS='-c client_min_messages=warning')
	as_server mkdir "$scratch" "$source" "$server" "$scratch/socket" "$scratch/tmp"
	copy_server
	build_extension
	start_cluster
	as_server tee -a "$data/postgresql.conf" >/dev/null <<-EOF
		shared_buffers = 512MB
		max_wal_size = 16GB
		checkpoint_timeout = 1h
		synchronous_commit = off
		autovacuum = off
		jit = off
	EOF
	stop_cluster
	quietly as_server "$bin/pg_ctl" -D "$data" -l "$scratch/server.log" -w start
	declare -g "${1}_bin=$bin"
	declare -g "${1}_environment=$(declare -p environment | sed 's/^[^=]*=//')"
	scratch=$root

	# what is measured with is the same for both
	source=$root/tests
	make_template
	load_credits 2
	copy_template jobs
	sql jobs -v jobs="$(((rounds + 1) * 2 * (calls + 200) + 10000))" -v twin=0 -f "$source/test/bench/sql/load.sql"
	sql credits -f "$source/test/bench/sql/compare.sql"
	sql jobs -f "$source/test/bench/sql/compare.sql"
}

# on NAME: what is run from now on is run there
on() {
	local theirs=${1}_environment programs=${1}_bin
	declare -ga "environment=${!theirs}"
	bin=${!programs}
	data=$scratch/$1/data
}

# ---------------------------------------------------------------------------
# Rounds
# ---------------------------------------------------------------------------

# Sets database and statement to those of so many calls: of_row ROW CALLS
of_row() {
	database=credits
	case $1 in
		reserve) statement="CALL bench.compare_credits($2, false, NULL)" ;;
		reserve_settle) statement="CALL bench.compare_credits($2, true, NULL)" ;;
		insert) statement="CALL bench.compare_inserts($2, NULL)" ;;
		claim) database=jobs statement="CALL bench.compare_claims($2, false, NULL)" ;;
		claim_complete) database=jobs statement="CALL bench.compare_claims($2, true, NULL)" ;;
	esac
}

# measure ROW: microseconds of one
measure() {
	of_row "$1" "$calls"
	sql "$database" -c "$statement"
}

# instructions ROW CALLS: of a server that starts, makes so many calls, and ends
instructions() {
	of_row "$1" "$2"
	# how many pages are written for the first time since it started is a matter of chance
	as_server valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$bin/postgres" --single -D "$data" \
		-c full_page_writes=off "$database" <<<"$statement" 2>&1 >"$scratch/tmp/single" |
		awk '/ERROR|FATAL/ { print > "/dev/stderr"; exit 1 } /I +refs:/ { gsub(/,/, ""); found = 1; print $NF } END { exit !found }'
}

# count ROW: instructions of one call, without what the start, the first calls and the end take
count() {
	local fewer more
	fewer=$(instructions "$1" "$counted_calls")
	more=$(instructions "$1" $((2 * counted_calls)))
	echo $(((more - fewer) / counted_calls))
}

# The tables are as they were before, so that a round finds what the one before found.  The server is another one: where its
# memory happens to lie makes some per cent, in all calls until it ends.
begin_anew() {
	sql credits -c 'VACUUM public.credit_ledger, public.credit_accounts, public.jobs, studio_engine.queue'
	sql jobs -c 'VACUUM studio_engine.queue, studio_engine.attempts, public.studio_jobs'
	quietly as_server "$bin/pg_ctl" -D "$data" -l "$scratch/tmp/$1.log" -m fast -w restart
	warm_up credits
	warm_up jobs
}

warm_up() {
	sql "$1" -c "SELECT sum(bench.pg_prewarm(oid::regclass)) FROM pg_class
	              WHERE relkind IN ('r', 'i') AND relnamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace)" >"$scratch/tmp/warm"
}

round() {
	local row side
	for side in base new; do
		on "$side"
		begin_anew "$side"
	done
	for row in "${rows[@]}"; do
		for side in $(in_turn "$1" base new); do
			on "$side"
			measure "$row" | samples_of "$side $row"
		done
	done
}

# paired ROW: of the ratios of the rounds the median, and the quartiles
paired() {
	awk -F '\t' -v row="$1" '
		$1 == "base " row { base[++m] = $2 }
		$1 == "new " row { new[++n] = $2 }
		END { for (i = 1; i <= n; i++) print new[i] / base[i] }' "$samples" | sort -g |
		awk '{ r[NR] = $1 } END { m = NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2
			printf "%.3f (%.3f .. %.3f)", m, r[int((NR + 3) / 4)], r[NR + 1 - int((NR + 3) / 4)] }'
}

# told SIDE ROW: median and spread
told() {
	local median min max count
	read -r median min max count < <(statistics "$samples" "$1 $2")
	printf '%s (%s .. %s)' "$(pretty "$median")" "$(pretty "$min")" "$(pretty "$max")"
}

need_packages demo
open_scratch
samples=$scratch/tmp/compare.samples
: >"$samples"
as_server mkdir "$scratch/tests"
tar -C "$tests" --exclude=./test/output --exclude=node_modules -cf - ./test | as_server tar -C "$scratch/tests" -xf -
make_side base "$base_directory"
make_side new "$new_directory"
printf 'PostgreSQL %s, %s cores; base: %s, new: %s\n' "$(as_server "$bin/postgres" --version | sed 's/.* (PostgreSQL) //')" "$(nproc)" \
	"$base_directory" "$new_directory"
printf '%s rounds of %s calls; microseconds of one call; ready after %s s\n\n' "$rounds" "$calls" "$SECONDS"

# what a database does the first time does not count
for side in base new; do
	on "$side"
	for row in "${rows[@]}"; do measure "$row" >/dev/null; done
done
for ((number = 1; number <= rounds; number++)); do
	round "$number"
done

if [ "$rounds" -gt 0 ]; then
	printf '%-36s %-26s %-26s %s\n' '' base new 'new / base (half of them)'
	for row in "${rows[@]}"; do
		printf '%-36s %-26s %-26s %s\n' "${labels[$row]}" "$(told base "$row")" "$(told new "$row")" "$(paired "$row")"
	done
fi

if [ "${INSTRUCTIONS:-1}" = 0 ] || ! command -v valgrind >/dev/null; then
	exit
fi
printf '\n%-36s %-26s %-26s %s\n' 'instructions of one call' base new 'new / base'
for row in "${rows[@]}"; do
	for side in base new; do
		on "$side"
		[ ! -e "$data/postmaster.pid" ] || stop_cluster
		count "$row" | samples_of "$side counted $row"
	done
	read -r base _ < <(statistics "$samples" "base counted $row")
	read -r new _ < <(statistics "$samples" "new counted $row")
	printf '%-36s %-26s %-26s %.4f\n' "${labels[$row]}" "$(pretty "$base")" "$(pretty "$new")" \
		"$(awk -v n="$new" -v b="$base" 'BEGIN { print n / b }')"
done
