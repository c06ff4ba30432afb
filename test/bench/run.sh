#!/bin/bash
# Measures on a throwaway server: make bench, or test/bench/run.sh [row]... for some of the rows.
#
# A row is a file in test/bench/rows/.  It says what is compared and why that is fair, and has two functions:
#   prepare   makes what all rounds need
#   round N   measures every series once; sample SERIES VALUE for each, in an order that changes with N
# and figures, which lists what to print:
#   figure SERIES 'label' unit             median and spread
#   ratio 'label' SERIES SERIES ['<= 1.2'] of the medians, with the spread of the rounds' ratios, and a target
#
# Pitfall: a machine is never quiet.  So both sides of a comparison are measured in every round, one right
# after the other, and a difference smaller than the spread means nothing.
#
# ROUNDS=n (5), QUICK=1 (2 rounds, shorter ones; ends within 3 minutes), PG_CONFIG=..., KEEP=1 as in test/run.sh.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd -P)
output=$repository/test/output/bench
# shellcheck source=test/lib/packages.sh
source "$repository/test/lib/packages.sh"
# shellcheck source=test/lib/server.sh
source "$repository/test/lib/server.sh"
exec </dev/null

quick=${QUICK:-0}
rounds=${ROUNDS:-$([ "$quick" = 1 ] && echo 2 || echo 5)}

# ---------------------------------------------------------------------------
# What the rows are written in
# ---------------------------------------------------------------------------

# choose QUICK NORMAL: a length of time or a number of calls
choose() {
	if [ "$quick" = 1 ]; then echo "$1"; else echo "$2"; fi
}

# sql DATABASE ARGUMENT...
sql() {
	local database=$1
	shift
	as_server psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$database" "$@"
}

# load NAME JOBS: a database with so many waiting jobs of ours; of the twin, too, up to 100,000
load() {
	prepare_database "$1"
	sql "$1" -f "$source/test/twin/queue.sql" -f "$source/test/bench/sql/measure.sql"
	sql "$1" -v jobs="$2" -v twin="$(($2 <= 100000))" -f "$source/test/bench/sql/load.sql"
}

exists() {
	[ -n "$(sql postgres -c "SELECT 1 FROM pg_database WHERE datname = '$1'")" ]
}

# lasting NAME JOBS: the same, for rows that leave it as it was; loaded by the first of them
lasting() {
	exists "$1" || load "$1" "$2"
}

# fresh NAME JOBS: new, whatever was there.  Loaded once for each number of jobs, then copied.
fresh() {
	exists "jobs_$2" || load "jobs_$2" "$2"
	sql postgres -c "DROP DATABASE IF EXISTS $1" -c "CREATE DATABASE $1 TEMPLATE jobs_$2" -c CHECKPOINT
}

# in_turn N A B...: the words, every second time in reverse, so that no side is always the first
in_turn() {
	local turn=$1 word reversed=()
	shift
	for word; do reversed=("$word" "${reversed[@]}"); done
	if ((turn % 2)); then echo "$@"; else echo "${reversed[@]}"; fi
}

# rate DATABASE SCRIPT CLIENTS SECONDS: transactions of test/bench/sql/SCRIPT a second.  A client that fails,
# say because nothing is left to claim, fails the run.
rate() {
	local said
	said=$(as_server pgbench -n -M prepared -d "$1" -f "$source/test/bench/sql/$2" -c "$3" -j 2 -T "$4" 2>&1) ||
		{ printf '%s\n' "$said" >&2; return 1; }
	awk '/^tps/ { print $3 }' <<<"$said"
}

sample() {
	printf '%s\t%s\n' "$1" "$2" >>"$samples"
}

# samples_of SERIES...: what `sql` prints is values separated by |, one for each series
samples_of() {
	local line values series i=0
	IFS='|' read -ra values
	for series; do
		sample "$series" "${values[i]}"
		i=$((i + 1))
	done
}

# ---------------------------------------------------------------------------
# The tables
# ---------------------------------------------------------------------------

# statistics FILE SERIES [SERIES]: median, smallest, largest of a series; with two of their ratio
statistics() {
	awk -F '\t' -v a="$2" -v b="${3:-}" '
		function sorted(v, n,   i, j, t) {
			for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		}
		function median(v, n) { return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2 }
		$1 == a { x[++n] = $2 + 0 }
		$1 == b { y[++m] = $2 + 0 }
		END {
			if (n == 0 || (b != "" && m != n)) { print "no samples of " a " " b > "/dev/stderr"; exit 1 }
			if (b != "") for (i = 1; i <= n; i++) r[i] = x[i] / y[i]
			sorted(x, n)
			if (b == "") { print median(x, n), x[1], x[n]; exit }
			sorted(y, m); sorted(r, n)
			print median(x, n) / median(y, m), r[1], r[n]
		}' "$1"
}

# 12345.6 -> 12,346; 1.234 -> 1.23
pretty() {
	awk -v v="$1" 'BEGIN {
		s = v >= 1000 ? sprintf("%.0f", v) : v >= 100 ? sprintf("%.0f", v) : v >= 10 ? sprintf("%.1f", v) : sprintf("%.2f", v)
		while (s ~ /^[0-9][0-9][0-9][0-9]/) sub(/[0-9][0-9][0-9]($|,)/, ",&", s)
		print s }'
}

# line LABEL MEDIAN MIN MAX UNIT TARGET VERDICT
line() {
	printf '  %-46s %10s %21s %-10s %s %s' "$1" "$2" "$3 .. $4" "$5" "$6" "$7" | sed 's/ *$//'
	printf '\n'
	table+="| $1 | $2 | $3 .. $4 | $5 | $6 | $7 |"$'\n'
}

figure() {
	local median min max
	read -r median min max < <(statistics "$samples" "$1")
	line "$2" "$(pretty "$median")" "$(pretty "$min")" "$(pretty "$max")" "$3" '' ''
}

ratio() {
	local median min max verdict=''
	read -r median min max < <(statistics "$samples" "$2" "$3")
	if [ -n "${4:-}" ]; then
		verdict=$(awk -v v="$median" -v t="$4" 'BEGIN { split(t, p, " "); print ((p[1] == "<=" ? v <= p[2] : v >= p[2]) ? "met" : "MISSED") }')
	fi
	line "$1" "$(pretty "$median")" "$(pretty "$min")" "$(pretty "$max")" ratio "${4:-}" "$verdict"
}

run_row() {
	local file=$1 row number start=$SECONDS
	row=$(basename "$file" .sh)
	samples=$scratch/tmp/$row.samples table=''
	: >"$samples"
	# shellcheck disable=SC1090
	source "$file"
	prepare
	for ((number = 1; number <= rounds; number++)); do
		round "$number"
	done
	printf '\n%s\n' "$title"
	figures
	printf '  (%s s)\n' "$((SECONDS - start))"
	{
		printf '## %s\n\nCompared: %s\n\nFair because: %s\n\n' "$title" "$compared" "$fair"
		printf '| what | median | min .. max | unit | target | |\n|---|---:|---:|---|---|---|\n%s\n' "$table"
	} >>"$scratch/tmp/rows.md"
}

run_rows() {
	local file
	for file; do
		run_row "$file"
	done
}

# ---------------------------------------------------------------------------
# The server
# ---------------------------------------------------------------------------

# As delivered but for memory, and nothing that starts by itself in the middle of a round.
tune_cluster() {
	as_server tee -a "$data/postgresql.conf" >/dev/null <<-EOF2
		fsync = on
		synchronous_commit = on
		wal_level = replica
		shared_buffers = 1GB
		max_wal_size = 16GB
		checkpoint_timeout = 1h
		autovacuum = off
		jit = off
	EOF2
	stop_cluster
	quietly as_server "$bin/pg_ctl" -D "$data" -l "$scratch/server.log" -w start
}

machine() {
	printf 'PostgreSQL %s, %s cores (%s), fsync on, %s rounds%s, %s\n' \
		"$(as_server "$bin/postgres" --version | sed 's/.* (PostgreSQL) //')" "$(nproc)" \
		"$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)" "$rounds" \
		"$([ "$quick" = 1 ] && echo ', quick')" "$(date -u +%F)"
}

files=()
for row in "${@:-}"; do
	found=("$repository"/test/bench/rows/*"$row"*.sh)
	[ -e "${found[0]}" ] || { echo "test/bench/run.sh: no row $row in test/bench/rows" >&2; exit 2; }
	files+=("${found[@]}")
done

need_packages bench
open_scratch
copy_server
build_extension
start_cluster
tune_cluster
environment+=(PGOPTIONS='-c client_min_messages=warning')
cd "$source"
machine | tee "$scratch/tmp/machine"

attended run_rows "${files[@]}"
if [ "$outcome" -ne 0 ]; then
	exit "$outcome"
fi

if mkdir -p "$output" 2>/dev/null && {
	printf '# Measurements\n\n%s\n\nThe median of the rounds, the spread, and ratios of medians. Repeat it: `make bench`.\nThe cluster has autovacuum off and shared_buffers of 1 GB; figures taken within one session have synchronous_commit off, those of\nseveral clients commit with fsync on.\n\n' "$(cat "$scratch/tmp/machine")"
	cat "$scratch/tmp/rows.md"
} >"$output/bench.md"; then
	cp "$scratch"/tmp/*.samples "$output/"
	chown -R --reference="$repository" "$repository/test/output" 2>/dev/null || true
	printf '\ntest/output/bench/bench.md, samples beside it (%s s)\n' "$SECONDS"
fi
