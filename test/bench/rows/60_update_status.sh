# shellcheck shell=bash disable=SC2034
title='UPDATE of the status of 100,000 jobs'
compared='the time that our triggers add (transition, times, queue) to that of one UPDATE without triggers, with the same
for triggers in PL/pgSQL (test/twin/queue.sql).'
fair='tables of the same columns and rows; the triggers of both check the same, write the same and have WHEN clauses.
Indexes but for the primary keys are dropped in both: they cost every side the same, and their noise would hide the
triggers. Each UPDATE is undone and its rows vacuumed before the next; the fastest of three (with QUICK one) counts in each round, with
the bare UPDATE and those with triggers one after the other.'

prepare() {
	fresh update_status 100000
	sql update_status -c 'CALL bench.drop_indexes()'
}

# fastest SIDE STATUS TRIGGERS: milliseconds
fastest() {
	for _ in $(seq "$(choose 1 3)"); do
		sql update_status -c "CALL bench.update_status('$1', '$2', $3, NULL)" \
			-c 'VACUUM studio_jobs, twin.studio_jobs, studio_engine.queue, twin.queue, studio_engine.attempts, twin.attempts'
	done | sort -g | head -n 1
}

round() {
	local side status bare with
	for status in REFINING COMPLETE; do
		for side in $(in_turn "$1" ours twin); do
			bare=$(fastest "$side" "$status" false)
			with=$(fastest "$side" "$status" true)
			sample "bare_${side}_$status" "$bare"
			sample "with_${side}_$status" "$with"
			sample "added_${side}_$status" "$(awk -v a="$with" -v b="$bare" 'BEGIN { print a - b }')"
		done
	done
}

figures() {
	figure bare_ours_REFINING 'to REFINING, no triggers' ms
	figure with_ours_REFINING 'ours' ms
	figure with_twin_REFINING 'twin' ms
	figure added_ours_REFINING 'added by ours' ms
	figure added_twin_REFINING 'added by the twin' ms
	ratio 'ours to twin, added' added_ours_REFINING added_twin_REFINING '<= 0.5'
	figure bare_ours_COMPLETE 'to COMPLETE (leaves the queue), no triggers' ms
	figure with_ours_COMPLETE 'ours' ms
	figure with_twin_COMPLETE 'twin' ms
	ratio 'ours to twin, added' added_ours_COMPLETE added_twin_COMPLETE
}
