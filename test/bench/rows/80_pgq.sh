# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion: PgQ'
compared="claim_jobs() with store_refined_text() or complete_jobs(), with PgQ $(pgq_version): 4 workers, each result committed
by itself, or 500 in one transaction. PgQ hands out what lies between two ticks, 500 events by default; ours claims 500."
fair='both loops run inside the server, commits wait for the WAL, and the result of every job ends up in its row, which was
there before: of ours in studio_jobs, of PgQ, which keeps none, in a table with the same columns, checks and indexes that its
worker updates. Ours writes an attempt for each job besides, when it is claimed and when it ends. In favour of PgQ: no
attempts, no lease of a single job, no check of a transition, no order by priority; its events are there and ticked, and every
worker has a queue of its own, as there are no cooperative consumers in Debian. Bare PgQ, whose worker inserts the results into a narrow table of two
columns and a key, is printed and not scored: of a job there is nothing before it is done. ANALYZE on all.'
each=$(choose 1000 5000) # of each worker; batches are of 500
scale="$((4 * each)) jobs a side and round"
names=('jobs/s, one by one: PgQ, results stored' 'jobs/s, batches: PgQ, results stored')

prepare() {
	reason=$(why_no_pgq)
	[ -z "$reason" ] || return 0
	copy_results pgq_loaded "$((4 * each))"
	async pgq_loaded -f "$source/test/bench/sql/pgq.sql" -c "CALL bench.fill_queue(0, $each)" \
		-c "CALL bench.fill_queue(1, $each)" -c "CALL bench.fill_queue(2, $each)" -c "CALL bench.fill_queue(3, $each)" \
		-c 'VACUUM ANALYZE'
}

round() {
	local mode side
	[ -z "$reason" ] || return 0
	for mode in each batch; do
		for side in $(in_turn "$1" ours pgq bare); do
			renew work "$([ "$side" = ours ] && echo "jobs_$((4 * each))" || echo pgq_loaded)"
			[ "$side" != ours ] || sql work -f "$source/test/bench/sql/work_loops.sql"
			rate work loop.sql 4 1 -D procedure="${side}_$mode" -D each="$each" -M simple |
				awk -v each="$each" '{ print $1 * each }' | samples_of "${mode}_$side"
		done
	done
}

figures() {
	local mode words number=0
	for mode in each batch; do
		words=$([ "$mode" = each ] && echo 'one by one' || echo '500 in a transaction')
		if [ -n "$reason" ]; then
			not_measured "${names[number]}" '>= 1' "$reason"
		else
			figure "${mode}_ours" "ours, $words" jobs/s
			figure "${mode}_pgq" "PgQ, results stored, $words" jobs/s
			figure "${mode}_bare" "PgQ, bare, $words" jobs/s
			ratio 'ours to PgQ, results stored' "${mode}_ours" "${mode}_pgq" '>= 1' "${names[number]}"
			ratio 'ours to bare PgQ, not scored' "${mode}_ours" "${mode}_bare"
		fi
		number=$((number + 1))
	done
}
