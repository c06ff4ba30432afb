# shellcheck shell=bash
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
		peers_missing="npm ci failed: $(tail -n 1 "$log")"
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
	sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$source/test/bench/node_modules/$1/package.json" | head -n 1
}

# peers MODE DATABASE JOBS: one run of peers.mjs; prints jobs a second
peers() {
	as_server node "$source/test/bench/peers.mjs" "$@"
}
