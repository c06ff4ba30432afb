# A server that finds its own mistakes: PostgreSQL from the distribution's source package, with assertions, in
# AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   build_sanitized_server        into the directory that SANITIZE_SERVER names, if it is not there yet, else into scratch
#   move_to_sanitized_server flags...   from now on that server is meant: its copy, the extension built for it, a cluster
#   make_mistakes_sanitized       the control, in a database of its own
#   tell_sanitized                what they found in our library; fails if they did, or missed the control
#
# The server tells AddressSanitizer of palloc() and pfree() as it tells valgrind: test/sanitize/valgrind/memcheck.h.
# What was given back, what lies behind the end of a chunk, and a page that is not pinned is out of bounds.
#
# Pitfall: a mistake is reported and the process goes on, so that one run finds many.  What a process did after its
# first report may follow from it.

sanitizer_flags='-fsanitize=address,undefined -fno-sanitize=alignment -fsanitize-recover=address,undefined -fno-omit-frame-pointer'

build_sanitized_server() {
	sanitized=${SANITIZE_SERVER:-$scratch/sanitized}
	if [[ $sanitized != /* ]]; then
		echo "SANITIZE_SERVER=$sanitized is no absolute path" >&2
		return 1
	fi
	[ ! -x "$sanitized/bin/pg_config" ] || return 0
	echo "building PostgreSQL $major with sanitizers; SANITIZE_SERVER=directory keeps it for the next time"
	mkdir -p "$sanitized"
	chown "$server_user" "$sanitized"
	as_server mkdir -p "$scratch/build"
	fetch_source
	(cd "$scratch/build/postgresql" && compile_server >"$scratch/build/log" 2>&1) ||
		{ tail -n 30 "$scratch/build/log" >&2; return 1; }
	as_server rm -rf "$scratch/build/postgresql"
	echo "built after $SECONDS s"
}

# The source packages of the machine's own sources, from lists that apt keeps in scratch: nothing of the machine's is
# changed, and no root is needed.
fetch_source() {
	local apt=$scratch/build/apt list version found=''
	as_server mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
	as_server tee "$apt/conf" >/dev/null <<-EOF
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$apt/sources";
		Dir::State::lists "$apt/lists";
		Dir::Cache "$apt/cache";
	EOF
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -e "$list" ] || sed -n 's/^deb\([[:space:]]\)/deb-src\1/p' "$list" | as_server tee "$apt/sources/$(basename "$list" .list).list" >/dev/null
	done
	for list in /etc/apt/sources.list.d/*.sources; do
		[ ! -e "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" | as_server tee "$apt/sources/$(basename "$list")" >/dev/null
	done
	quietly as_server env APT_CONFIG="$apt/conf" apt-get -qq update
	# the newest may have gone from the archive since its list was made
	for version in $(as_server env APT_CONFIG="$apt/conf" apt-cache showsrc "postgresql-$major" | sed -n 's/^Version: //p' | sort -rV); do
		(cd "$scratch/build" && as_server env APT_CONFIG="$apt/conf" apt-get -qq --download-only source "postgresql-$major=$version") \
			>"$scratch/tmp/fetch.log" 2>&1 && found=$version && break
	done
	if [ -z "$found" ]; then
		cat "$scratch/tmp/fetch.log" >&2
		return 1
	fi
	# without the patches of the distribution, which tie it to its place in the system
	as_server mkdir "$scratch/build/postgresql"
	as_server tar -C "$scratch/build/postgresql" --strip-components=1 -xf "$scratch/build/postgresql-${major}_${found%%-*}".orig.tar.*
}

# Programs of the build run while it goes on: what they leak is not meant.
compile_server() {
	local quiet=(env ASAN_OPTIONS=detect_leaks=0 nice)
	as_server mkdir -p "$sanitized/include/sanitize" &&
		as_server cp -r "$source/test/sanitize/valgrind" "$sanitized/include/sanitize" &&
		as_server "${quiet[@]}" ./configure --prefix="$sanitized" --enable-cassert --enable-debug --enable-tap-tests \
			--without-readline --without-zlib --without-icu \
			CPPFLAGS="-DUSE_VALGRIND -I$sanitized/include/sanitize" CFLAGS="-O1 $sanitizer_flags" LDFLAGS='-fsanitize=address,undefined' &&
		as_server "${quiet[@]}" make -s -j "$(nproc)" &&
		as_server "${quiet[@]}" make -s install &&
		as_server "${quiet[@]}" make -s -C contrib/amcheck install
}

move_to_sanitized_server() {
	reports=$scratch/reports
	server=$scratch/sanitized_copy data=$scratch/sanitized_data PG_CONFIG=$sanitized/bin/pg_config
	as_server mkdir "$server" "$reports"
	# for what copy_server asks the programs before they are copied
	export ASAN_OPTIONS=detect_leaks=0
	local options="detect_leaks=0:halt_on_error=0:handle_abort=1:detect_stack_use_after_return=0:quarantine_size_mb=32:allocator_may_return_null=1"
	# %M is the library, by which ours is known
	local format='stack_trace_format="    #%n in %f %S %M"'
	environment+=(ASAN_OPTIONS="$options:log_path=$reports/asan:$format")
	copy_server
	as_server cp "$source/test/sanitize/control.c" "$source/src/sanitize_control.c"
	compile clean
	compile all COPT="$*"
	compile install COPT="$*"
	start_cluster
}

make_mistakes_sanitized() {
	as_server createdb control
	quietly as_server psql -X -q -v ON_ERROR_STOP=1 -d control \
		-c "CREATE FUNCTION mistakes() RETURNS integer LANGUAGE c AS '\$libdir/studio_engine', 'sanitize_control'" \
		-c 'SELECT mistakes()'
}

# Logs of all servers that ran: an assertion that failed, or a process that broke, is a report too.
tell_sanitized() {
	local logs=("$scratch/server.log" "$source"/tmp_check/log/*.log) log existing=()
	for log in "${logs[@]}"; do
		[ ! -e "$log" ] || existing+=("$log")
	done
	as_server perl "$source/test/sanitize/reports.pl" "$reports" "${existing[@]}"
}
