#!/bin/bash
# Whatever is not in C stands in the list of CONTRIBUTING.md, "Who runs what", as the kind that it is.
set -euo pipefail

count=0
failed=0

check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		failed=1
	fi
}

# The functions of sql/api/ that are written in SQL or PL/pgSQL: name, language, ATOMIC or not.
functions=$(awk '
	/^CREATE FUNCTION / { name = $3; sub(/\(.*/, "", name); sub(/^.*\./, "", name); language = ""; atomic = "no"; guard = "no" }
	name != "" && / LANGUAGE (sql|plpgsql)/ { language = / LANGUAGE sql/ ? "sql" : "plpgsql" }
	name != "" && /^BEGIN ATOMIC/ { atomic = "yes" }
	name != "" && /only the owner of the data may run this/ { guard = "yes" }
	/^COMMENT ON FUNCTION / { if (language != "") print name, language, atomic, guard; name = ""; language = "" }
' sql/api/*.sql)

# not grep -q, which ends before sed has written all, so that the pipe may fail
listed() {
	sed -n '/^## Who runs what/,/^## Lock order/p' CONTRIBUTING.md | grep -F "\`$1()\`" >/dev/null
}
is_safe() {
	local language=$1 atomic=$2 guard=$3 name=$4
	case $language in
		sql) [ "$atomic" = yes ] ;;
		plpgsql) [ "$guard" = yes ] || [ "$name" = partitionable ] ;;
	esac
}

while read -r name language atomic guard; do
	check "$name() is in the list of CONTRIBUTING.md" listed "$name"
	check "$name() is bound to what it names, or refuses everybody but the owner" is_safe "$language" "$atomic" "$guard" "$name"
done <<<"$functions"

# In the install script a superuser names no function of ours but these, all before the owner of the data has his turn.
calls=$(grep -hoE '(studio_engine|pipeline|@extschema@)\.[a-z_]+ ?\(' sql/install/*.sql Makefile sql/attach/90_auth.sql | sed 's/ *($//' | sort -u | paste -sd ' ')
check "the install script calls only what it must: $calls" \
	test "$calls" = 'studio_engine.missing_hooks studio_engine.run_as_data_owner'

# Statements before the switch of roles: these files have them, by design.
enters=$(find src -name '*.c' -exec grep -lE 'caller_enter_self|caller_resume' {} + | xargs -n 1 basename | sort | paste -sd ' ')
check "who runs statements as somebody else than the owner: $enters" test "$enters" = 'auth_users.c caller.c companies.c policies.c realtime.c setup.c'

echo "1..$count"
exit "$failed"
