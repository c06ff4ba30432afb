# The server of test/lib/server.sh once more, run by valgrind's memcheck.
#
#   build_for_valgrind flags...   the extension anew, with test/valgrind/control.c in it
#   start_valgrind, stop_valgrind
#   make_mistakes                 the control, in a database of its own
#   tell_reports                  what memcheck found in our library; fails if it did, or missed the control
#
# What is found in our code: reads and writes outside of blocks from malloc(), which are few here, and whatever
# depends on memory that was never written, as long as the allocator got it fresh from malloc().
# What is not: with a server as Debian builds it memcheck knows nothing of palloc() and pfree(), so that a read
# of what was given back, or past the end of a chunk into the next, looks good.  A server that was built with
# -DUSE_VALGRIND tells it: PG_CONFIG=... chooses one, and the last line says which kind it was.
#
# Pitfall: under memcheck the server is thirty times as slow, so that a test in which two things take turns by
# time fails here without being wrong.  This suite is about memory: differing output is told, and not counted.

build_for_valgrind() {
	as_server cp "$source/test/valgrind/control.c" "$source/src/valgrind_control.c"
	build_again "$@" -g -O1 -fno-omit-frame-pointer -fno-inline-functions-called-once
}

# COPT comes after the flags of the server, so that its -O2 is overruled.
build_again() {
	compile clean
	compile all COPT="$*"
	compile install COPT="$*"
}

start_valgrind() {
	local waited=0
	reports=$scratch/reports
	as_server mkdir "$reports"
	# shellcheck disable=SC2086
	as_server valgrind --quiet --xml=yes --xml-file="$reports/%p.xml" --suppressions="$source/test/valgrind/suppressions" \
		--leak-check=no --error-limit=no --num-callers=60 --vgdb=no --time-stamp=no ${VALGRIND_OPTIONS:-} \
		"$bin/postgres" -D "$data" -c autovacuum=off -c log_disconnections=on -c log_line_prefix='%p %a ' \
		-c authentication_timeout=600s >"$scratch/valgrind.log" 2>&1 &
	until quietly_as_server "$bin/pg_isready" -t 30; do
		waited=$((waited + 1))
		if [ "$waited" -gt 120 ]; then
			cat "$scratch/valgrind.log" >&2
			return 1
		fi
		sleep 1
	done
}

quietly_as_server() {
	as_server "$@" >/dev/null 2>&1
}

stop_valgrind() {
	quietly as_server "$bin/pg_ctl" -D "$data" -m fast -w -t 600 stop
}

make_mistakes() {
	as_server createdb control
	quietly as_server psql -X -q -v ON_ERROR_STOP=1 -d control \
		-c "CREATE FUNCTION mistakes() RETURNS integer LANGUAGE c AS '\$libdir/studio_engine', 'valgrind_control'" \
		-c 'SELECT mistakes()'
}

tell_reports() {
	as_server perl "$source/test/valgrind/reports.pl" "$reports" "$scratch/valgrind.log"
}
