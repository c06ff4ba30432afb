# shellcheck shell=bash disable=SC2034,SC2154
title='WAL of a job, from its claim to its completion'
compared='the WAL that one session writes for so many jobs, by its position before and after: finish_and_claim(), then
claim_jobs() and store_refined_text(), then claim_jobs() and complete_jobs() of 500, and the twin in PL/pgSQL.'
fair='without images of pages, whose number depends on checkpoints and not on the calls; commits are in it, and what is
cleaned in a page on the way. The position is that of the server, on which nothing else happens.'
jobs=$(choose 40000 100000) # as rows before have them
done=$(choose 2000 5000)
scale="$done jobs a way and round"
ways=(finish finish_twin work work_twin batch)

prepare() { :; }

# full_page_writes on|off: until a checkpoint knows it
full_page_writes() {
	sql postgres -c "ALTER SYSTEM SET full_page_writes = $1" -c 'SELECT pg_reload_conf()' >/dev/null
	until [ "$(sql postgres -c CHECKPOINT -c "SELECT full_page_writes = '$1' FROM pg_control_checkpoint()")" = t ]; do
		sleep 0.1
	done
}

position() {
	sql postgres -c "SELECT pg_current_wal_insert_lsn() - '0/0'"
}

# wal_of WAY: bytes a job
wal_of() {
	local before after
	before=$(position)
	if [ "$1" = batch ]; then
		rate work loop.sql 1 1 -D procedure=ours_batch -D each="$done" -M simple >/dev/null
	else
		rate work "$1.sql" 1 "$done" -D started=0 >/dev/null
	fi
	after=$(position)
	sample "$1" "$(awk -v a="$after" -v b="$before" -v n="$done" 'BEGIN { print (a - b) / n }')"
}

round() {
	local way
	fresh work "$jobs"
	sql work -f "$source/test/bench/sql/work_loops.sql"
	full_page_writes off
	for way in $(in_turn "$1" "${ways[@]}"); do
		wal_of "$way"
	done
	full_page_writes on
}

figures() {
	bound finish 'ours, finish_and_claim' bytes '<= 1350' 'WAL of a job, finish_and_claim, bytes'
	figure finish_twin 'PL/pgSQL twin, in one statement' bytes
	figure work 'ours, two calls' bytes
	figure work_twin 'PL/pgSQL twin, two calls' bytes
	figure batch 'ours, 500 in a transaction' bytes
}
