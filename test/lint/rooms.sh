#!/bin/bash
# Each room keeps to itself: what only one source file may do, no other does.
set -euo pipefail

count=0
failed=0
mapfile -t sources < <(find src -name '*.[ch]' | sort)

# only FILE PATTERN...: in src/, the pattern occurs in this file and nowhere else; compat.h, which wraps, does not count
only() {
	local file=$1 pattern=$2 others
	count=$((count + 1))
	others=$(grep -lwE "$pattern" "${sources[@]}" | grep -vE "/($file|compat\.h)$" || true)
	if [ -z "$others" ] && grep -qwE "$pattern" $(find src -name "$file"); then
		echo "ok $count - $pattern in $file only"
	else
		echo "not ok $count - $pattern in $file only"
		echo "# elsewhere: ${others:-nowhere, not even in $file}" | paste -sd ' ' >&2
		failed=1
	fi
}

# never PATTERN [FILE...]: nowhere in these, else in src/
never() {
	local pattern=$1 where files=("${sources[@]}")
	shift
	[ $# -eq 0 ] || files=("$@")
	count=$((count + 1))
	where=$(grep -nE "$pattern" "${files[@]}" || true)
	if [ -z "$where" ]; then
		echo "ok $count - no $pattern"
	else
		echo "not ok $count - no $pattern"
		while read -r line; do echo "# $line"; done <<<"$where" >&2
		failed=1
	fi
}

# copied PATTERN COPY: what a relcache entry may free while it is open is named only where it is copied
copied() {
	local pattern=$1 copy=$2 where
	count=$((count + 1))
	where=$(grep -nE "$pattern" "${sources[@]}" | grep -vF "$copy" || true)
	if [ -z "$where" ]; then
		echo "ok $count - $pattern within $copy only"
	else
		echo "not ok $count - $pattern within $copy only"
		while read -r line; do echo "# $line"; done <<<"$where"
		failed=1
	fi
}

only compat.h 'PG_VERSION_NUM'
only statements.c 'SPI_prepare|SPI_keepplan'
only statements.c 'SPI_execute_plan|SPI_execute_snapshot'
only caller.c 'SetUserIdAndSecContext'
only errors.h 'MAKE_SQLSTATE'
only studio_engine.c 'DefineCustom[A-Za-z]*Variable'
only relations.c 'CacheRegisterSyscacheCallback'
only relations.c 'CacheRegisterRelcacheCallback'
only rows.c '(compat_)?table_tuple_(insert|update|delete|lock)|(compat_)?index_(insert|rescan|beginscan)'
only layouts.c 'BuildIndexInfo'
only advisory.c 'LockAcquire|SET_LOCKTAG_ADVISORY'
# everybody can hold the locks of SQL's functions
never 'pg_(try_)?advisory_' "${sources[@]}" sql/*/*.sql
copied 'trigdesc' 'CopyTriggerDesc(rel->trigdesc)'
copied 'RelationGetFKeyList' 'copyObject(RelationGetFKeyList(rel))'
never '\<rd_(fkeylist|indexlist|statlist|rsdesc|partkey|partdesc|options|indexprs|indpred|supportinfo|amcache)'
never 'SPI_execute\(|SPI_exec\('
# PostgreSQL's own answer, where our code stands in the place of its statement
only rows.c 'errcode\(ERRCODE_T_R_SERIALIZATION_FAILURE\)'
never 'errcode\(ERRCODE_T_R_DEADLOCK'
never 'default:'
echo "1..$count"
exit "$failed"
