# A private PostgreSQL for tests and the demo: a scratch directory with a copy of the server, a copy of the
# source, and a cluster on a unix socket.  Nothing outside of it is written, two runs never meet.
#
#   open_scratch              makes it; at the end of the script, however that comes, all of it is gone
#   copy_server               the server of PG_CONFIG; installing an extension changes the copy only
#   build_extension [flags]   compiles with these flags from a copy of the source, installs into the copy
#   build_safeupdate [flags]  the same for the library safeupdate, if the server has none
#   start_cluster, stop_cluster
#   prepare_database name     a database with the Supabase stand-in and the extension
#   as_server command...      runs it where the server runs: as an unprivileged user, PATH and PG* set
#
# The caller sets `repository` and, through need_packages, PG_CONFIG.  Pitfall: root cannot run a server and
# the user who can may not be able to read the clone.  So after open_scratch everything that is not a plain
# copy goes through as_server, and starts from an environment that the caller's does not leak into.

scratch='' source='' running=''
environment=()

open_scratch() {
	local base=${TMPDIR:-/tmp}
	choose_server_user
	make_scratch "$base" || make_scratch /tmp
	trap close_scratch EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	source=$scratch/source server=$scratch/server data=$scratch/data
	environment=(HOME="$scratch" TMPDIR="$scratch/tmp" LC_ALL=C.UTF-8 PATH="$PATH")
	cd "$scratch"
	as_server mkdir source server socket tmp
}

choose_server_user() {
	server_user=$(id -un)
	if [ "$(id -u)" -eq 0 ]; then
		server_user=postgres
		id "$server_user" >/dev/null 2>&1 || server_user=nobody
	fi
}

# A socket's path has 107 bytes, and tests nest theirs three directories deep: 40 is what is left for us.
# The mode stays 0700: the cluster trusts everybody who can reach its socket.
make_scratch() {
	[ "${#1}" -le 40 ] || return 1
	scratch=$(mktemp -d "$1/studio.XXXXXX") || return 1
	chown "$server_user" "$scratch"
	as_server test -w "$scratch" && return
	rmdir "$scratch"
	return 1
}

as_server() {
	local become=()
	[ "$(id -un)" = "$server_user" ] || become=(runuser -u "$server_user" --)
	"${become[@]}" env -i "${environment[@]}" "$@"
}

# Every directory keeps its path below the copy: PostgreSQL finds its files relative to its programs.
# Headers are only read, so a link does.
copy_server() {
	local bindir libdir sharedir headers
	bindir=$("$PG_CONFIG" --bindir) libdir=$("$PG_CONFIG" --pkglibdir)
	sharedir=$("$PG_CONFIG" --sharedir) headers=$("$PG_CONFIG" --pkgincludedir)
	tar -C / --exclude=bitcode --exclude='llvmjit*' --exclude="${sharedir#/}/man" -cf - "${bindir#/}" "${libdir#/}" "${sharedir#/}" |
		as_server tar -C "$server" -xf -
	as_server mkdir -p "$server$(dirname "$headers")"
	as_server ln -s "$headers" "$server$headers"

	bin=$server$bindir
	pg_config=$bin/pg_config
	pgxs=$server$libdir/pgxs
	environment+=(PATH="$bin:$PATH" PG_CONFIG="$pg_config")
	if [ "$(as_server "$pg_config" --pkglibdir --sharedir)" != "$server$libdir"$'\n'"$server$sharedir" ]; then
		echo "the server of $PG_CONFIG cannot be moved: its copy still points elsewhere" >&2
		return 1
	fi
	match_loader "$bin/postgres" "$pgxs"/src/test/regress/pg_regress "$pgxs"/src/test/isolation/*
}

# A server that was unpacked beside the system's own C library has a loader and a library path written into
# its programs.  The test programs among them may have been forgotten: give them the same.
match_loader() {
	local model=$1 program
	shift
	for program; do
		if as_server "$program" -V >/dev/null 2>&1; then
			continue
		fi
		as_server patchelf --force-rpath --set-rpath "$(patchelf --print-rpath "$model")" \
			--set-interpreter "$(patchelf --print-interpreter "$model")" "$program"
	done
}

build_extension() {
	tar -C "$repository" --exclude=./.git --exclude=./test/output --exclude=node_modules -cf - . |
		as_server tar -C "$source" -xf -
	compile clean
	compile all COPT="$*"
	compile install COPT="$*"
}

# What Supabase loads for the API roles; where the server has it, it stays.
build_safeupdate() {
	[ ! -e "$(as_server "$pg_config" --pkglibdir)/safeupdate.so" ] || return 0
	compile -C test/safeupdate install COPT="$*"
}

compile() {
	as_server make -s -C "$source" "$@" PG_CONFIG="$pg_config" with_llvm=no
}

start_cluster() {
	environment+=(PGHOST="$scratch/socket" PGPORT=54321 PGUSER=postgres PGDATABASE=postgres)
	quietly as_server "$bin/initdb" -D "$data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync
	as_server tee -a "$data/postgresql.conf" >/dev/null <<-EOF
		listen_addresses = ''
		unix_socket_directories = '$scratch/socket'
		port = 54321
		fsync = off
		wal_level = logical
		max_prepared_transactions = 10
	EOF
	quietly as_server "$bin/pg_ctl" -D "$data" -l "$scratch/server.log" -w start ||
		{ as_server cat "$scratch/server.log" >&2; return 1; }
}

stop_cluster() {
	quietly as_server "$bin/pg_ctl" -D "$data" -m fast -w stop
}

prepare_database() {
	quietly as_server "$source/test/lib/prepare_database.sh" "$1"
}

# Shows what a command said only if it failed.
quietly() {
	local said
	said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}

# Runs a function in the background, where a signal to this script can end it and all that it started, and
# sets outcome.  It returns no status: as a condition of the caller's it would run without `set -e`.
attended() {
	outcome=0
	set -m
	"$@" &
	running=$!
	set +m
	wait "$running" || outcome=$?
	running=''
}

close_scratch() {
	local status=$?
	trap - EXIT
	trap '' HUP INT TERM
	cd /
	end_running
	if [ "${KEEP:-}" = 1 ] && [ -e "$data/postmaster.pid" ]; then
		tell_kept
	else
		stop_servers
		rm -rf "$scratch"
	fi
	exit "$status"
}

end_running() {
	[ -n "$running" ] || return 0
	kill -TERM -- "-$running" 2>/dev/null || return 0
	for _ in {1..50}; do
		sleep 0.2
		kill -0 -- "-$running" 2>/dev/null || return 0
	done
	kill -KILL -- "-$running" 2>/dev/null || true
}

# All servers below the scratch directory, also those of a test that was killed.
stop_servers() {
	local pidfile
	find "$scratch" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
		as_server "$bin/pg_ctl" -D "$(dirname "$pidfile")" -m immediate -w stop >/dev/null 2>&1 || true
	done
}

tell_kept() {
	local become=''
	[ "$(id -un)" = "$server_user" ] || become="runuser -u $server_user -- "
	cat <<-EOF
		Kept: $scratch
		  connect: $bin/psql -h $scratch/socket -p 54321 -U postgres
		  stop:    cd / && $become$bin/pg_ctl -D $data -m fast stop; rm -rf $scratch
	EOF
}
