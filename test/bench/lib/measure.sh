# shellcheck shell=bash disable=SC2154
# What the rows of the bench are written in: databases, and ways to measure in them.
#
# Pitfall: what runs on a loaded machine takes longer than it costs.  So what one session does is measured
# in processor time of that session, and rates of several clients only side by side, round by round.

# choose QUICK NORMAL: a length of time, a number of calls or of rows
choose() {
	if [ "$quick" = 1 ]; then echo "$1"; else echo "$2"; fi
}

# sql DATABASE ARGUMENT...
sql() {
	local database=$1
	shift
	as_server psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$database" "$@"
}

# async DATABASE ARGUMENT...: the same where commits need not be waited for; never where they are measured
async() {
	local database=$1
	shift
	sql "$database" -c 'SET synchronous_commit = off' "$@"
}

# Sources of the rows below test/bench/sql and test/twin, as arguments of sql
scripts() {
	printf -- '-f\n%s\n' "${@/#/$source/test/}"
}

# load NAME JOBS: a database with so many waiting jobs of ours; of the twin, too, up to 100,000
load() {
	copy_template "$1"
	sql "$1" -f "$source/test/twin/queue.sql"
	sql "$1" -v jobs="$2" -v twin="$(($2 <= 100000))" -f "$source/test/bench/sql/load.sql"
}

# A database with the extension and the helpers of measure.sql.
copy_template() {
	sql postgres -c "CREATE DATABASE $1 TEMPLATE bench"
}

make_template() {
	prepare_database bench
	sql bench -f "$source/test/bench/sql/measure.sql"
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
	renew "$1" "jobs_$2"
}

# renew NAME TEMPLATE: a new copy, whatever was there.  It is as if it had been at work for a while: its pages
# are in memory, and in the WAL since the last checkpoint, which has left files of WAL to be used again.
renew() {
	sql postgres -c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c CHECKPOINT -c "CREATE DATABASE $1 TEMPLATE $2 STRATEGY wal_log"
}

# in_turn N A B...: the words, every second time in reverse, so that no side is always the first
in_turn() {
	local turn=$1 word reversed=()
	shift
	for word; do reversed=("$word" "${reversed[@]}"); done
	if ((turn % 2)); then echo "$@"; else echo "${reversed[@]}"; fi
}

# Our sides, as "${ours[@]}": with kept plans once more where direct rows can be switched off.  The setting is
# there once the library is loaded, in builds that have it.
# shellcheck disable=SC2034
find_direct_rows() {
	ours=(ours)
	if [ -n "$(sql bench -c "LOAD 'studio_engine'" -c "SELECT current_setting('studio_engine.direct_rows', true)")" ]; then
		ours=(ours kept)
	fi
}

# Session settings of a side, as PGOPTIONS
options_of() {
	case $1 in
		kept) echo "$quiet -c studio_engine.direct_rows=off" ;;
		*) echo "$quiet" ;;
	esac
}

# as_side SIDE sql|async DATABASE ARGUMENT...
as_side() {
	local side=$1 before=("${environment[@]}")
	shift
	environment+=(PGOPTIONS="$(options_of "$side")")
	"$@"
	environment=("${before[@]}")
}

# rate DATABASE SCRIPT CLIENTS EACH [OPTION]...: transactions of test/bench/sql/SCRIPT a second, for so many by each
# client; EACH 1s is one second.  A client that fails, say because nothing is left to claim, fails the run.
rate() {
	local said database=$1 script=$2 clients=$3 length=(-t "$4")
	[[ $4 != *s ]] || length=(-T "${4%s}")
	shift 4
	said=$(as_server pgbench -n -M prepared -d "$database" -f "$source/test/bench/sql/$script" -c "$clients" -j 2 \
		"${length[@]}" "$@" 2>&1) ||
		{ printf '%s\n' "$said" >&2; return 1; }
	awk '/^tps/ { print $3 }' <<<"$said"
}

sample() {
	printf '%s\t%s\n' "$1" "$2" >>"$samples"
}

# samples_of SERIES...: what `sql` prints is values separated by |, one for each series
samples_of() {
	local values series i=0
	IFS='|' read -ra values
	for series; do
		sample "$series" "${values[i]}"
		i=$((i + 1))
	done
}

# sample_all [VALUE NAME]...: what a program prints as lines "name value", under these names with a prefix
sample_all() {
	local prefix=$1 name value
	while read -r name value; do
		sample "$prefix$name" "$value"
	done
}

# load_credits JOBS: database credits, 10,000 users with so many jobs each, for ours and the twin, which must agree
load_credits() {
	copy_template credits
	sql credits -f "$source/test/twin/credits.sql" -f "$source/test/bench/sql/credit_twin.sql" \
		-f "$source/test/bench/sql/credit_calls.sql" -v jobs_per_user="$1" -f "$source/test/bench/sql/credits.sql"
	sql credits -c 'CALL bench.compare_books()' -c VACUUM
}
