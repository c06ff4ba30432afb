#!/bin/bash
# Each room keeps to itself: what only one source file may do, no other does.
set -euo pipefail

# shellcheck source=test/lib/lint.sh
source test/lib/lint.sh

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

# nowhere PATTERN: not in src/
nowhere() {
	never "no $1" "$1" "${sources[@]}"
}

# copied PATTERN COPY: what a relcache entry may free while it is open is named only where it is copied
copied() {
	local where
	where=$(grep -nE "$1" "${sources[@]}" | grep -vF "$2" || true)
	tell_where "$1 within $2 only" "$where"
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
never 'no pg_(try_)?advisory_' 'pg_(try_)?advisory_' "${sources[@]}" sql/*/*.sql
copied 'trigdesc' 'CopyTriggerDesc(rel->trigdesc)'
copied 'RelationGetFKeyList' 'copyObject(RelationGetFKeyList(rel))'
nowhere '\<rd_(fkeylist|indexlist|statlist|rsdesc|partkey|partdesc|options|indexprs|indpred|supportinfo|amcache)'
nowhere 'SPI_execute\(|SPI_exec\('
# PostgreSQL's own answer, where our code stands in the place of its statement
only rows.c 'errcode\(ERRCODE_T_R_SERIALIZATION_FAILURE\)'
nowhere 'errcode\(ERRCODE_T_R_DEADLOCK'
nowhere 'default:'
echo "1..$count"
exit "$failed"
