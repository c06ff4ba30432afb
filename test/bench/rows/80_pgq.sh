# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion: PgQ'
compared="claim_jobs() and store_refined_text() with PgQ $(pgq_version): 4 workers, each result committed by itself, and 500 in
one transaction. PgQ hands out what lies between two ticks, 500 events by default; ours claims 500."
fair='both loops run inside the server, commits wait for the WAL, and the result of every job is kept: PgQ has no place for
it, so its worker inserts it into a narrow table of two columns and a key. In favour of PgQ: it keeps no attempts, no
lease of a single job, no status and no order by priority, its events are there and ticked, and every worker has a queue
of its own, as there are no cooperative consumers in Debian. ANALYZE on both.'
each=$(choose 1000 5000) # of each worker; batches are of 500
scale="$((4 * each)) jobs a side and round"
names=('claim + complete, jobs/s, one by one: PgQ' 'claim + complete, jobs/s, batches: PgQ')

prepare() {
	reason=$(why_no_pgq)
	[ -z "$reason" ] || return 0
	load_worked "$((4 * each))"
	copy_template pgq_loaded
	async pgq_loaded -f "$source/test/bench/sql/pgq.sql" -c "CALL bench.fill_queue(0, $each)" \
		-c "CALL bench.fill_queue(1, $each)" -c "CALL bench.fill_queue(2, $each)" -c "CALL bench.fill_queue(3, $each)" \
		-c 'VACUUM ANALYZE'
}

round() {
	local mode side
	[ -z "$reason" ] || return 0
	for mode in each batch; do
		for side in $(in_turn "$1" ours pgq); do
			renew "work_$side" "$([ "$side" = ours ] && echo "jobs_$((4 * each))" || echo pgq_loaded)"
			[ "$side" = pgq ] || sql work_ours -f "$source/test/bench/sql/work_loops.sql"
			rate "work_$side" loop.sql 4 1 -D procedure="${side}_$mode" -D each="$each" -M simple |
				awk -v each="$each" '{ print $1 * each }' | samples_of "${mode}_$side"
		done
	done
}

figures() {
	if [ -n "$reason" ]; then
		not_measured "${names[0]}" '>= 1' "$reason"
		not_measured "${names[1]}" '>= 1' "$reason"
		return
	fi
	figure each_ours 'ours, one by one' jobs/s
	figure each_pgq 'PgQ, one by one' jobs/s
	ratio 'ours to PgQ' each_ours each_pgq '>= 1' "${names[0]}"
	figure batch_ours 'ours, 500 in a transaction' jobs/s
	figure batch_pgq 'PgQ, 500 in a transaction' jobs/s
	ratio 'ours to PgQ' batch_ours batch_pgq '>= 1' "${names[1]}"
}
