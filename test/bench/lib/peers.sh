# shellcheck shell=bash disable=SC2154
# The queues that ours is compared with: PgQ from Debian; graphile-worker and pg-boss from npm.
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
# What the rows of the peers from npm have in common: peer, one_by_one and batched are set
# ---------------------------------------------------------------------------

# load_worked JOBS: template jobs_N, made by the first row that wants it
load_worked() {
	lasting "jobs_$1" "$1"
}

prepare_peer() {
	local jobs
	reason=$(why_no_npm)
	[ -z "$reason" ] || return 0
	for jobs in "$one_by_one" "$batched"; do
		load_worked "$jobs"
		sql postgres -c "CREATE DATABASE peer_$jobs"
		peers "$peer" load "peer_$jobs" "$jobs"
		sql "peer_$jobs" -c 'VACUUM ANALYZE'
	done
}

round_of_peer() {
	[ -z "$reason" ] || return 0
	compare_with_peer "$1" each "$one_by_one"
	compare_with_peer "$1" batch "$batched"
}

# compare_with_peer ROUND MODE JOBS: both begin with a fresh copy of what was loaded
compare_with_peer() {
	local side
	for side in $(in_turn "$1" ours "$peer"); do
		renew work "$([ "$side" = ours ] && echo "jobs_$3" || echo "peer_$3")"
		peers "$side" "$2" work "$3" | samples_of "$2_$side"
	done
}

figures_of_peer() {
	local mode
	local -A words=([each]='one by one' [batch]='batches')
	for mode in each batch; do
		if [ -n "$reason" ]; then
			not_measured "claim + complete, jobs/s, ${words[$mode]}: $peer" '>= 1' "$reason"
		else
			figure "${mode}_ours" "ours, ${words[$mode]}" jobs/s
			figure "${mode}_$peer" "$peer, ${words[$mode]}" jobs/s
			ratio "ours to $peer" "${mode}_ours" "${mode}_$peer" '>= 1' "claim + complete, jobs/s, ${words[$mode]}: $peer"
		fi
	done
}
