#!/bin/bash
# Runs the tests: test/run.sh [lint|regress|isolation|pgtap|tap|rest|soak|valgrind|sanitize]..., all but the last three when
# none is named.
# regress_sql and isolation_sql are regress and isolation once more, with studio_engine.direct_rows off.
#
# Builds with every warning an error and with the assertions of our own code switched on, against a private
# copy of the server.  What a failed suite leaves is copied to test/output/.  Pitfall: a suite without a
# single test is a failure, so that a moved directory is not taken for a passed suite.
#
# PG_CONFIG=... chooses the server; KEEP=1 leaves it running and says where.  REST_TESTS='10 30', TAP_TESTS='010',
# REGRESS_TESTS='250' and ISOLATION_TESTS='reverse' run those files of test/rest, test/tap, test/sql and test/isolation
# only.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd -P)
output=$repository/test/output
# shellcheck source=test/lib/packages.sh
source "$repository/test/lib/packages.sh"
# shellcheck source=test/lib/server.sh
source "$repository/test/lib/server.sh"
# shellcheck source=test/lib/valgrind.sh
source "$repository/test/lib/valgrind.sh"
# shellcheck source=test/lib/sanitize.sh
source "$repository/test/lib/sanitize.sh"
exec </dev/null

all_suites=(lint regress regress_sql isolation isolation_sql pgtap tap rest)
on_request=(soak valgrind sanitize)
# which warnings there are is said by PG_CFLAGS in the Makefile
flags=(-Werror -DUSE_ASSERT_CHECKING)

# Each is an executable script that prints TAP; one that is not executable fails.
suite_lint() {
	list_tests test/lint .sh
	as_server prove --failures --exec '' "${tests[@]}"
}

# One database for all, in name order: 000_setup.sql prepares it for those that follow.
suite_regress() {
	list_tests test/sql .sql
	choose_names "${REGRESS_TESTS:-}"
	as_server "$pgxs/src/test/regress/pg_regress" --bindir="$bin" --inputdir=test \
		--dbname=contrib_regression "${names[@]}" ||
		fail_with_diffs regress regression.diffs regression.out results
}

suite_isolation() {
	list_tests test/isolation/specs .spec
	choose_names "${ISOLATION_TESTS:-}"
	prepare_database isolation
	as_server env PGISOLATIONTIMEOUT=60 "$pgxs/src/test/isolation/pg_isolation_regress" --bindir="$bin" \
		--inputdir=test/isolation --outputdir=output_iso --use-existing --dbname=isolation "${names[@]}" ||
		fail_with_diffs isolation output_iso/{regression.diffs,regression.out,results}
}

# The fast path and the statements in its place do the same.
by_statement() {
	environment+=(PGOPTIONS='-c studio_engine.direct_rows=off')
	"$@"
}

suite_regress_sql() {
	by_statement suite_regress
}

suite_isolation_sql() {
	by_statement suite_isolation
}

suite_pgtap() {
	list_tests test/pgtap .sql
	prepare_database pgtap
	quietly as_server psql -X -q -v ON_ERROR_STOP=1 -d pgtap -c 'CREATE SCHEMA tap' \
		-c 'GRANT USAGE ON SCHEMA tap TO PUBLIC' -c 'CREATE EXTENSION pgtap SCHEMA tap' \
		-c 'ALTER DATABASE pgtap SET search_path = public, extensions, tap'
	as_server pg_prove --dbname pgtap "${tests[@]}"
}

suite_tap() {
	list_tests test/tap .pl
	choose_tests "${TAP_TESTS:-}"
	prove_tap "${tests[@]}"
}

# PostgREST and its clients.  npm runs as who called us, whose cache makes the second time fast.
suite_rest() {
	local log=$source/test/rest/postgrest.log
	list_tests test/rest .test.mjs
	choose_tests "${REST_TESTS:-}"
	(umask 022 && cd test/rest && quietly npm ci --prefer-offline --no-progress --loglevel=error)
	prepare_database rest
	as_server env PGDATABASE=rest REST_LOAD_SECONDS="${REST_LOAD_SECONDS:-}" POSTGREST_LOG="$log" node test/rest/lib/stage.mjs "${tests[@]}" ||
		{ keep_output rest "$log"; return 1; }
}

# The longest of them, with as many operations as SOAK_OPERATIONS says; on request only.
suite_soak() {
	FARM_JOBS=${FARM_JOBS:-20000}
	prove_tap test/tap/050_model.pl test/tap/070_workers.pl test/tap/072_farm.pl test/tap/090_memory.pl
}

# The regress suite on a server in memcheck, or of it those scripts that VALGRIND_SCRIPTS names; on request only.
suite_valgrind() {
	local differing=0 start=$SECONDS
	list_tests test/sql .sql
	[ -z "${VALGRIND_SCRIPTS:-}" ] || read -ra names <<<"000_setup $VALGRIND_SCRIPTS"
	build_for_valgrind "${flags[@]}"
	stop_cluster
	start_valgrind
	make_mistakes
	as_server "$pgxs/src/test/regress/pg_regress" --bindir="$bin" --inputdir=test \
		--dbname=contrib_regression "${names[@]}" || differing=$?
	stop_valgrind
	echo "${#names[@]} scripts in $((SECONDS - start)) s$([ "$differing" -eq 0 ] || echo '; some differ, see test/output/valgrind')"
	[ "$differing" -eq 0 ] || keep_output valgrind regression.diffs regression.out results
	tell_reports || { keep_output valgrind "$reports" "$scratch/valgrind.log"; return 1; }
}

# On a server in AddressSanitizer and UBSan: the regress suite both ways, calls with every cache thrown away at every
# occasion, and SANITIZE_MINUTES of load with changes of the tables in it; on request only.  The server is slow, so that
# output of the regress suite that differs is told, and not counted.
suite_sanitize() {
	local failed=0
	stop_cluster
	build_sanitized_server
	move_to_sanitized_server "${flags[@]}"
	make_mistakes_sanitized
	sanitized_step 'regress' suite_regress || true
	sanitized_step 'regress_sql' suite_regress_sql || true
	sanitized_step 'without caches' call_without_caches || failed=1
	sanitized_step 'changing tables' prove_changing_tables || failed=1
	tell_sanitized || failed=1
	[ "$failed" -eq 0 ] || keep_output sanitize "$reports" "$scratch/server.log" "$scratch"/tmp/*.log tmp_check/log
	return "$failed"
}

call_without_caches() {
	prepare_database without_caches &&
		as_server psql -X -q -e -v ON_ERROR_STOP=1 -d without_caches -f test/sanitize/without_caches.sql
}

prove_changing_tables() {
	CHANGES_SECONDS=$((60 * ${SANITIZE_MINUTES:-10}))
	prove_tap test/tap/035_changing_tables.pl
}

sanitized_step() {
	local name=$1 start=$SECONDS log=$scratch/tmp/${1// /_}.log
	shift
	# in a shell of its own, which keeps its settings
	if ("$@") >"$log" 2>&1; then
		echo "$name: passed, $((SECONDS - start)) s"
	else
		echo "$name: failed, $((SECONDS - start)) s"
		tail -n 30 "$log"
		return 1
	fi
}

# These make clusters of their own, below TMPDIR and TESTDATADIR.
prove_tap() {
	as_server env SOAK_SEED="${SOAK_SEED:-}" SOAK_OPERATIONS="${SOAK_OPERATIONS:-}" CHANGES_SECONDS="${CHANGES_SECONDS:-}" \
		FARM_JOBS="${FARM_JOBS:-}" FARM_SEED="${FARM_SEED:-}" CLAIM_DEPTH="${CLAIM_DEPTH:-}" TESTDIR="$source" TESTDATADIR="$source/tmp_check" TESTLOGDIR="$source/tmp_check/log" \
		PGPORT=65432 PG_REGRESS="$pgxs/src/test/regress/pg_regress" \
		prove -I "$pgxs/src/test/perl" -I "$source" "$@" ||
		{ keep_output tap tmp_check/log; return 1; }
}

# Sets tests to the files of a directory in name order, names to their bare names.
list_tests() {
	local test
	tests=("$1"/*"$2") names=()
	if [ ! -e "${tests[0]}" ]; then
		echo "there is no $1/*$2" >&2
		return 1
	fi
	for test in "${tests[@]}"; do
		names+=("$(basename "$test" "$2")")
	done
}

# Keeps those of names that begin with one of the words, and 000_setup; or all.
choose_names() {
	local name word chosen=()
	[ -n "$1" ] || return 0
	for name in "${names[@]}"; do
		for word in 000_setup $1; do
			[[ $name == "$word"* ]] && chosen+=("$name") && break
		done
	done
	names=("${chosen[@]}")
}

# Keeps those of tests whose names begin with one of the words, or all.
choose_tests() {
	local test word chosen=()
	[ -n "$1" ] || return 0
	for test in "${tests[@]}"; do
		for word in $1; do
			[[ $(basename "$test") == "$word"* ]] && chosen+=("$test") && break
		done
	done
	if [ "${#chosen[@]}" -eq 0 ]; then
		echo "no test begins with one of: $1" >&2
		return 1
	fi
	tests=("${chosen[@]}")
}

fail_with_diffs() {
	local lines
	if [ -e "$2" ]; then
		lines=$(wc -l <"$2")
		head -n 300 "$2"
		[ "$lines" -le 300 ] || echo "... $((lines - 300)) more lines"
	fi
	keep_output "$@"
	return 1
}

# Copies what a suite left into the clone, which may be read-only or another user's.
keep_output() {
	local to=$output/$1
	shift
	if mkdir -p "$to" 2>/dev/null && cp -r -- "$@" "$to" 2>/dev/null; then
		chown -R --reference="$repository" "$output" 2>/dev/null || true
		echo "kept in test/output/$(basename "$to")"
	fi
}

run_suites() {
	local suite start report=() failed=()
	for suite; do
		printf '\n== %s\n' "$suite"
		start=$SECONDS
		attended recorded "$suite"
		if [ "$outcome" -eq 0 ]; then
			report+=("suite $suite: passed, $((SECONDS - start)) s")
		else
			report+=("suite $suite: FAILED, $((SECONDS - start)) s")
			failed+=("$suite")
		fi
	done
	printf '\n'
	printf '%s\n' "${report[@]}"
	for suite in "${failed[@]}"; do
		tell_failures "$suite" $((12 / ${#failed[@]}))
	done
	[ "${#failed[@]}" -eq 0 ]
}

recorded() {
	"suite_$1" 2>&1 | tee "$scratch/tmp/$1.log"
}

# What failed in a suite, in a few lines, since the end of the output is what is kept of a long one: the words of prove,
# of the tests in Perl and pgTAP, of the lints, of pg_regress before and after 16, and of node.  Where none of them is
# said, no test came to an end, and the last words are what is known.
tell_failures() {
	local log=$scratch/tmp/$1.log limit=$(($2 > 2 ? $2 : 2)) lines
	lines=$({ grep -a '(Wstat: ' "$log"; grep -aE 'Failed test |^ *not ok|FAILED|✖' "$log" | grep -av '✖ failing tests'; } |
		sed -E 's/^[# ]+//; s/ +\([0-9.]+ms\)$//' | awk '!seen[$0]++' || true)
	[ -n "$lines" ] || lines=$(grep -av '^kept in ' "$log" | tail -n 3)
	printf '%s\n' "$lines" | cut -c 1-160 | awk -v suite="$1" -v limit="$limit" '
		NR <= limit { print "  " suite ": " $0 }
		END { if (NR > limit) print "  " suite ": ... " NR - limit " more lines" }'
}

for suite; do
	if [[ " ${all_suites[*]} ${on_request[*]} " != *" $suite "* ]]; then
		echo "test/run.sh: no such suite: $suite (there are: ${all_suites[*]} ${on_request[*]})" >&2
		exit 2
	fi
done
need_packages test
[[ " $* " != *" sanitize "* ]] || need_packages sanitize
open_scratch
rm -rf "$output" 2>/dev/null || true
copy_server
build_extension "${flags[@]}"
build_safeupdate "${flags[@]}"
start_cluster
cd "$source"
echo "PostgreSQL $(as_server "$bin/postgres" --version | sed 's/.* (PostgreSQL) //'), ready after $SECONDS s"
if [ $# -eq 0 ]; then
	set -- "${all_suites[@]}"
fi
run_suites "$@"
