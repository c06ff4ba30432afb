# Finds the PostgreSQL to build and test with, and has Debian install what is missing.
#
# need_packages test|demo|bench|sanitize   leaves PG_CONFIG set, or ends the script with one line that says what to install.
#
# PG_CONFIG chooses the server; without it the newest server of the machine is taken, and on a machine
# without any the one that the distribution prefers is installed.  Pitfall: Debian's server package creates
# and starts a cluster of its own, and packages may restart running ones.  Neither may happen because
# somebody ran a test: see hold_services.

oldest_major=15
PATH=$PATH:/usr/sbin:/sbin # `su` without a dash leaves root without them

need_packages() {
	local purpose=$1 packages
	find_server
	packages=$(missing_packages "$purpose")
	[ -n "$packages" ] || return 0

	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || ! of_debian; then
		tell_missing "$purpose" "$packages"
	fi
	refresh_lists
	find_server
	packages=$(missing_packages "$purpose")
	echo "make $purpose: installing $packages"
	# shellcheck disable=SC2086
	install_packages $packages

	find_server
	packages=$(missing_packages "$purpose")
	[ -z "$packages" ] || tell_missing "$purpose" "$packages"
}

# Sets bindir, major and PG_CONFIG; the files need not exist yet.
find_server() {
	if [ -n "${PG_CONFIG:-}" ]; then
		bindir=$("$PG_CONFIG" --bindir 2>/dev/null) || bindir=$(dirname "$PG_CONFIG")
	else
		bindir=/usr/lib/postgresql/$(installed_major || preferred_major)/bin
	fi
	major=$("$bindir/pg_config" --version 2>/dev/null | sed 's/^PostgreSQL \([0-9]*\).*/\1/') ||
		major=$(basename "$(dirname "$bindir")")
	if [[ ! $major =~ ^[0-9]+$ ]]; then
		echo "PG_CONFIG=$PG_CONFIG is no pg_config" >&2
		exit 1
	fi
	if [ "$major" -lt "$oldest_major" ]; then
		echo "PostgreSQL $oldest_major or newer is needed, and $bindir has PostgreSQL $major: set PG_CONFIG" >&2
		exit 1
	fi
	if [ -x "$bindir/pg_config" ]; then
		PG_CONFIG=$bindir/pg_config
	fi
}

of_debian() {
	[[ $bindir == /usr/lib/postgresql/*/bin ]]
}

installed_major() {
	local server newest=0
	for server in /usr/lib/postgresql/*/bin/postgres; do
		server=${server#/usr/lib/postgresql/}
		server=${server%/bin/postgres}
		[[ $server =~ ^[0-9]+$ && $server -gt $newest ]] && newest=$server
	done
	[ "$newest" -ge "$oldest_major" ] && echo "$newest"
}

preferred_major() {
	local preferred
	preferred=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p')
	echo "${preferred:-$oldest_major}"
}

# The Debian packages that hold what we cannot find, on one line.
missing_packages() {
	local purpose=$1 found=() share libraries pgxs headers
	share=$("$bindir/pg_config" --sharedir 2>/dev/null || true)
	libraries=$("$bindir/pg_config" --pkglibdir 2>/dev/null || true)
	pgxs=$libraries/pgxs
	headers=$("$bindir/pg_config" --includedir-server 2>/dev/null || true)

	command -v make >/dev/null || found+=(make)
	command -v gcc >/dev/null || found+=(gcc)
	echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || found+=(libc6-dev)
	[ -x "$bindir/postgres" ] || found+=("postgresql-$major")
	[ -x "$bindir/psql" ] && [ -x "$bindir/pg_config" ] || found+=("postgresql-client-$major")
	[ -e "$headers/postgres.h" ] && [ -e "$pgxs/src/makefiles/pgxs.mk" ] || found+=("postgresql-server-dev-$major")
	if [ "$purpose" = test ]; then
		# from 16 on it comes with the headers, and newer releases of Debian have no other
		command -v pg_bsd_indent >/dev/null || [ -x "$bindir/pg_bsd_indent" ] ||
			{ [ "$major" -lt 16 ] && found+=(pg-bsd-indent); } || found+=("postgresql-server-dev-$major")
		command -v pgbouncer >/dev/null || found+=(pgbouncer)
		command -v objdump >/dev/null || found+=(binutils)
		[ -e "$share/extension/pgtap.control" ] || found+=("postgresql-$major-pgtap")
		[ -e "$libraries/wal2json.so" ] || found+=("postgresql-$major-wal2json")
		command -v pg_prove >/dev/null || found+=(libtap-parser-sourcehandler-pgtap-perl)
		command -v prove >/dev/null || found+=(perl)
		command -v node >/dev/null || found+=(nodejs)
		command -v npm >/dev/null || found+=(npm)
		perl -MIPC::Run -e 1 2>/dev/null || found+=(libipc-run-perl)
		# Debian moved these from one package to the other between releases
		[ -e "$pgxs/src/test/perl/PostgreSQL/Test/Cluster.pm" ] && [ -e "$pgxs/src/test/isolation/isolationtester" ] ||
			found+=("postgresql-client-$major" "postgresql-server-dev-$major")
	fi
	if [ "$purpose" = sanitize ]; then
		command -v bzip2 >/dev/null || found+=(bzip2)
	fi
	if [ "$purpose" = bench ]; then
		command -v gnuplot >/dev/null || found+=(gnuplot-nox)
		# peers to measure beside; a server that is not Debian's is measured without those that it lacks
		if of_debian; then
			[ -e "$share/extension/pgq.control" ] || found+=("postgresql-$major-pgq3")
			command -v node >/dev/null || found+=(nodejs)
			command -v npm >/dev/null || found+=(npm)
		fi
	fi
	printf '%s\n' "${found[@]}" | awk 'NF && !seen[$0]++' | paste -sd ' '
}

tell_missing() {
	if of_debian; then
		echo "make $1 needs these packages; as root: apt-get install --no-install-recommends $2" >&2
	else
		echo "make $1 lacks, in $bindir or on this machine, what Debian packs as: $2" >&2
	fi
	exit 1
}

# A source that stays out of reach is not the end: the installation tells whether the others suffice.
refresh_lists() {
	local pause
	for pause in 5 10 0; do
		if apt-get -qq -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any update </dev/null; then
			return
		fi
		sleep "$pause"
	done
}

# A subshell, so that its trap takes the files of hold_services away again.
install_packages() (
	local package packages=() log
	log=$(mktemp)
	held=("$log")
	trap 'rm -f "${held[@]}"; rmdir /etc/postgresql-common/createcluster.d 2>/dev/null || true' EXIT
	trap 'exit 1' HUP INT TERM
	hold_services
	for package; do
		packages+=("$(same_minor "$package")")
	done
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
		-o Acquire::Retries=3 -o APT::Get::Upgrade-By-Source-Package=false --no-install-recommends --no-remove \
		install "${packages[@]}" </dev/null >"$log" 2>&1 ||
		{ cat "$log" >&2; exit 1; }
)

# No cluster is created and no service started or restarted while we install.
hold_services() {
	local policy=/usr/sbin/policy-rc.d clusters=/etc/postgresql-common/createcluster.d/studio_engine.conf
	mkdir -p "$(dirname "$clusters")"
	held+=("$clusters")
	echo "create_main_cluster = false" >"$clusters"
	if [ ! -e "$policy" ]; then
		held+=("$policy")
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
}

# A server that is already installed stays as it is (apt's Upgrade-By-Source-Package would replace it under
# a running cluster), so it wants the headers of its own minor release, as long as the archive has them.
same_minor() {
	local version
	case $1 in
		postgresql-server-dev-* | postgresql-client-*)
			version=$(dpkg-query -W -f '${Version}' "postgresql-$major" 2>/dev/null) || version=
			if [ -n "$version" ] && apt-cache show "$1=$version" >/dev/null 2>&1; then
				echo "$1=$version"
				return
			fi
			;;
	esac
	echo "$1"
}
