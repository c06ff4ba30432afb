#!/bin/bash
# Measures on a throwaway server: make bench, or test/bench/run.sh [row]... for some of the rows.
#
# A row is a file in test/bench/rows/.  It says what is compared, why that is fair and at what scale, and has
#   prepare   makes what all rounds need
#   round N   measures every series once; sample SERIES VALUE for each, in an order that changes with N
#   figures   lists what to print: lib/tables.sh; what it can measure with: lib/measure.sh
# extra=1 says that no target depends on it; QUICK=1 leaves it out.
# Medians of the rounds count.  All of it goes to test/output/bench/: bench.md, bench.svg and the samples.
#
# Pitfall: a machine is never quiet.  So both sides of a comparison are measured in every round, one right
# after the other, and a difference smaller than the spread means nothing.
#
# ROUNDS=n (5), QUICK=1 (smaller, as many rounds as fit; ends within 3 minutes), PG_CONFIG=..., KEEP=1 as in
# test/run.sh.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd -P)
output=$repository/test/output/bench
# shellcheck source=test/lib/packages.sh
source "$repository/test/lib/packages.sh"
# shellcheck source=test/lib/server.sh
source "$repository/test/lib/server.sh"
# shellcheck source=test/bench/lib/measure.sh
source "$repository/test/bench/lib/measure.sh"
# shellcheck source=test/bench/lib/tables.sh
source "$repository/test/bench/lib/tables.sh"
# shellcheck source=test/bench/lib/peers.sh
source "$repository/test/bench/lib/peers.sh"
exec </dev/null

quick=${QUICK:-0}
rounds=${ROUNDS:-5}
quick_seconds=150 # leaves some for the end
quiet='-c client_min_messages=warning'

# ---------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------

# run_row FILE ROWS-LEFT: with QUICK a row has its part of the time that is left, and one round at least
run_row() {
	local file=$1 row number start=$SECONDS until=$((SECONDS + (quick_seconds - SECONDS) / $2)) last=0
	local title='' compared='' fair='' scale='' extra=0
	row=$(basename "$file" .sh)
	samples=$scratch/tmp/$row.samples table=''
	: >"$samples"
	# shellcheck disable=SC1090
	source "$file"
	if [ "$quick" = 1 ] && [ "$extra" = 1 ]; then
		printf '\n%s\n  left out with QUICK=1: no target depends on it\n' "$title"
		return
	fi
	if [ "$quick" = 1 ] && [ $((quick_seconds - SECONDS)) -lt 8 ]; then
		rounds=0
		figures() { not_measured "$title" '' 'no time was left'; }
	else
		prepare
	fi
	for ((number = 1; number <= rounds; number++)); do
		if [ "$quick" = 1 ] && ((number > 1 && SECONDS + last > until)); then
			break
		fi
		last=$SECONDS
		round "$number"
		last=$((SECONDS - last))
	done
	tell_row "$((number - 1))" "$((SECONDS - start))"
	drop_databases
}

tell_row() {
	printf '\n%s\n  (%s; rounds: %s; %s s)\n' "$title" "${scale:-one scale}" "$1" "$2"
	figures
	{
		printf '## %s\n\nCompared: %s\n\nFair because: %s\n\n' "$title" "$compared" "$fair"
		printf 'Scale: %s. Rounds: %s.\n\n' "${scale:-as said}" "$1"
		printf '| what | median | min .. max | unit | target | |\n|---|---:|---|---|---|---|\n%s\n' "$table"
	} >>"$scratch/tmp/rows.md"
}

# All but those that other rows use again: jobs_N and depth_N.
drop_databases() {
	sql postgres -c "SELECT format('DROP DATABASE %I WITH (FORCE);', datname) FROM pg_database
	                  WHERE NOT datistemplate AND datname NOT IN ('postgres', 'bench')
	                    AND datname !~ '^(jobs|depth)_'" >"$scratch/tmp/drop.sql"
	sql postgres -f "$scratch/tmp/drop.sql"
}

run_rows() {
	local left=$#
	for file; do
		(run_row "$file" "$left")
		left=$((left - 1))
	done
}

# ---------------------------------------------------------------------------
# The server
# ---------------------------------------------------------------------------

# As delivered but for memory, and nothing that starts by itself in the middle of a round.
tune_cluster() {
	as_server tee -a "$data/postgresql.conf" >/dev/null <<-EOF
		fsync = on
		synchronous_commit = on
		wal_level = replica
		shared_buffers = 1GB
		max_wal_size = 16GB
		min_wal_size = 2GB
		checkpoint_timeout = 1h
		autovacuum = off
		jit = off
	EOF
	stop_cluster
	quietly as_server "$bin/pg_ctl" -D "$data" -l "$scratch/server.log" -w start
}

machine() {
	printf 'PostgreSQL %s, %s cores (%s), fsync on (%s), %s rounds%s, %s\n' \
		"$(as_server "$bin/postgres" --version | sed 's/.* (PostgreSQL) //')" "$(nproc)" \
		"$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)" \
		"$(df --output=fstype "$data" | tail -n 1)" "$rounds" \
		"$([ "$quick" = 1 ] && echo ' at most, quick')" "$(date -u +%F)"
}

# ---------------------------------------------------------------------------
# The report
# ---------------------------------------------------------------------------

write_report() {
	local report=$scratch/tmp/report
	mkdir -p "$report"
	{
		printf '# Measurements\n\n%s\n\n' "$(cat "$scratch/tmp/machine")"
		printf 'Medians of the rounds, smallest and largest of them, and ratios of medians. Repeat it with make bench.\n'
		printf 'The cluster has autovacuum off and shared_buffers of 1 GB. Processor time is that of the session, user and\n'
		printf 'system; rates are of several clients that commit with fsync on.\n\n## Targets\n\n'
		markdown_targets
		printf '\n'
		cat "$scratch/tmp/rows.md"
	} >"$report/bench.md"
	cp "$scratch"/tmp/*.samples "$report"
	plot_data >"$scratch/tmp/plot.tsv"
	if [ -s "$scratch/tmp/plot.tsv" ]; then
		gnuplot -e "input='$scratch/tmp/plot.tsv'; output='$report/bench.svg'" "$repository/test/bench/plot.gp"
	fi
	if mkdir -p "$output" 2>/dev/null && cp "$report"/* "$output"; then
		chown -R --reference="$repository" "$repository/test/output" 2>/dev/null || true
		printf '\ntest/output/bench/: bench.md, bench.svg, samples (%s s)\n' "$SECONDS"
	fi
}

files=()
for row in "${@:-}"; do
	found=("$repository"/test/bench/rows/*"$row"*.sh)
	[ -e "${found[0]}" ] || { echo "test/bench/run.sh: no row $row in test/bench/rows" >&2; exit 2; }
	files+=("${found[@]}")
done

need_packages bench
open_scratch
targets=$scratch/tmp/targets
copy_server
build_extension
install_peers
start_cluster
tune_cluster
environment+=(PGOPTIONS="$quiet")
cd "$source"
as_server touch "$targets" "$scratch/tmp/rows.md"
make_template
find_direct_rows
machine | tee "$scratch/tmp/machine"

attended run_rows "${files[@]}"
if [ "$outcome" -ne 0 ]; then
	exit "$outcome"
fi
printf '\nTargets\n'
list_targets
write_report
