# shellcheck shell=bash disable=SC2154
# The queues that ours is compared with: PgQ from Debian; graphile-worker and pg-boss from npm; pgmq where the server has it.
#
# Pitfall: a peer that cannot be had must not vanish from the tables.  why_no_* say the reason, or nothing
# where the peer is there; rows pass it to not_measured.

peers_missing=''

# The packages that package-lock.json names, into the copy of the source; no script of theirs is run.
install_peers() {
	local log=$scratch/npm.log
	peers_missing=$(node_missing)
	[ -z "$peers_missing" ] || return 0
	(cd "$source/test/bench" && npm ci --ignore-scripts --no-audit --no-fund) >"$log" 2>&1 ||
		peers_missing="npm ci failed: $(sed -n 's/^npm error //p' "$log" | head -n 1)"
	chmod -R a+rX "$source/test/bench"
}

node_missing() {
	local version
	version=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/') || version=
	if [ -z "$version" ] || ! command -v npm >/dev/null; then
		echo 'node or npm is not installed'
	elif [ "$version" -lt 20 ]; then
		echo "pg-boss needs node 20, this is $version"
	fi
}

why_no_pgq() {
	[ -e "$(as_server "$pg_config" --sharedir)/extension/pgq.control" ] || echo 'the server has no extension pgq'
}

why_no_npm() {
	echo "$peers_missing"
}

# Neither Debian nor npm has pgmq.  Its SQL does without the extension: PGMQ_SQL=FILE.
why_no_pgmq() {
	if [ -n "${PGMQ_SQL:-}" ] || [ -e "$(as_server "$pg_config" --sharedir)/extension/pgmq.control" ]; then
		why_no_npm
	else
		echo 'the server has no extension pgmq, and PGMQ_SQL names no file with its SQL'
	fi
}

version_of() {
	sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$source/test/bench/node_modules/$1/package.json" 2>/dev/null | head -n 1 || true
}

# peers MODE DATABASE JOBS: one run of peers.mjs; prints jobs a second
peers() {
	as_server node "$source/test/bench/peers.mjs" "$@"
}

pgq_version() {
	sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$(as_server "$pg_config" --sharedir)/extension/pgq.control" 2>/dev/null || true
}

# ---------------------------------------------------------------------------
# What the rows of peers.mjs have in common
# ---------------------------------------------------------------------------
#
#   sides             ours, and queues of peers.mjs; stored ones have the table of results
#   runs              an array of 'MODE JOBS', MODE each, batch100 or batch500
#   labels[SIDE]      what a side is called
#   goals[SIDE MODE]  the targets; none: printed and not scored

# load_worked JOBS: template jobs_N, made by the first row that wants it
load_worked() {
	lasting "jobs_$1" "$1"
}

# copy_results NAME JOBS: a database with so many rows in bench.results, which is like studio_jobs
copy_results() {
	load_worked "$2"
	sql postgres -c "CREATE DATABASE $1 TEMPLATE jobs_$2"
	sql "$1" -f "$source/test/bench/sql/results.sql"
}

# loaded SIDE JOBS: what a round begins with a copy of
loaded() {
	if [ "$1" = ours ]; then echo "jobs_$2"; else echo "${1//-/_}_$2"; fi
}

# load_peer SIDE JOBS
load_peer() {
	local database
	database=$(loaded "$1" "$2")
	case $1 in
		ours) load_worked "$2"; return ;;
		*-stored) copy_results "$database" "$2" ;;
		*) sql postgres -c "CREATE DATABASE $database" ;;
	esac
	[ "$1" != pgmq ] || install_pgmq "$database"
	peers "$1" load "$database" "$2"
	sql "$database" -c 'VACUUM ANALYZE'
}

install_pgmq() {
	if [ -n "${PGMQ_SQL:-}" ]; then
		sql "$1" -c 'CREATE SCHEMA IF NOT EXISTS pgmq'
		sql "$1" -f - <"$PGMQ_SQL" >/dev/null
	else
		sql "$1" -c 'CREATE EXTENSION pgmq'
	fi
}

prepare_peers() {
	local side run
	for run in "${runs[@]}"; do
		for side in "${sides[@]}"; do
			exists "$(loaded "$side" "${run#* }")" || load_peer "$side" "${run#* }"
		done
	done
}

# All begin with a fresh copy of what was loaded.
round_of_peers() {
	local run mode jobs side
	for run in "${runs[@]}"; do
		read -r mode jobs <<<"$run"
		for side in $(in_turn "$1" "${sides[@]}"); do
			renew work "$(loaded "$side" "$jobs")"
			peers "$side" "$mode" work "$jobs" | samples_of "${mode}_${jobs}_$side"
		done
	done
}

# figures_of_peers [REASON]: why nothing was measured
figures_of_peers() {
	local run mode jobs words
	for run in "${runs[@]}"; do
		read -r mode jobs <<<"$run"
		words='one by one'
		[ "$mode" = each ] || words="batches of ${mode#batch}, $(pretty "$jobs") jobs"
		figures_of_mode "$mode" "$jobs" "$words" "${1:-}"
	done
}

# figures_of_mode MODE JOBS WORDS REASON
figures_of_mode() {
	local side series=$1_$2 goal
	[ -n "$4" ] || figure "${series}_ours" "ours, $3" jobs/s
	for side in "${sides[@]:1}"; do
		goal=${goals["$side $1"]:-}
		if [ -n "$4" ]; then
			not_measured "jobs/s, $3: ${labels[$side]}" "$goal" "$4"
			continue
		fi
		figure "${series}_$side" "${labels[$side]}" jobs/s
		if [ -n "$goal" ]; then
			ratio 'ours to it' "${series}_ours" "${series}_$side" "$goal" "jobs/s, $3: ${labels[$side]}"
		else
			ratio 'ours to it, not scored' "${series}_ours" "${series}_$side"
		fi
	done
}
