# shellcheck shell=bash disable=SC2034,SC2154
title='UPDATE of the status of many rows: what the triggers add'
compared='the time that the triggers of the transition and of updated_at add to one UPDATE of cm_course_plans, with what the
same two in PL/pgSQL add (test/bench/sql/update_status.sql); then all triggers of studio_jobs, the queue included, with
those of test/twin/queue.sql.'
fair='tables of the same columns and rows, without indexes but the primary keys: they cost every side the same, and their
noise would hide the triggers. The triggers check the same flow and write the same columns; those of the twin have WHEN
clauses and static expressions. Each UPDATE is undone and its rows vacuumed; the bare one and the one with triggers are
measured one after the other, in processor time of the session; of two (with QUICK one) the faster counts.'
rows=$(choose 40000 100000)
scale="$(choose 40,000 100,000) rows"

prepare() {
	fresh update_status "$rows"
	sql update_status -v rows="$rows" -f "$source/test/bench/sql/update_status.sql"
}

# faster TABLE STATUS TRIGGERS: milliseconds
faster() {
	for _ in $(seq "$(choose 1 2)"); do
		async update_status -c "CALL bench.update_status('$1', '$2', $3, NULL)" -c "VACUUM $1"
	done | sort -g | head -n 1
}

# added SERIES TABLE STATUS
added() {
	local bare with
	bare=$(faster "$2" "$3" false)
	with=$(faster "$2" "$3" true)
	sample "bare_$1" "$bare"
	sample "with_$1" "$with"
	sample "added_$1" "$(awk -v a="$with" -v b="$bare" 'BEGIN { print a - b }')"
}

round() {
	local side
	local -A schema=([ours]=public [twin]=twin)
	for side in $(in_turn "$1" ours twin); do
		added "plans_$side" "${schema[$side]}.cm_course_plans" active
		added "jobs_$side" "${schema[$side]}.studio_jobs" REFINING
	done
}

figures() {
	figure bare_plans_ours 'cm_course_plans to active, no triggers' ms
	figure added_plans_ours 'added by ours' ms
	figure added_plans_twin 'added by the twin' ms
	ratio 'ours to twin, added' added_plans_ours added_plans_twin '<= 0.5' 'transition + clock trigger, time added: PL/pgSQL twin'
	figure bare_jobs_ours 'studio_jobs to REFINING, no triggers' ms
	figure added_jobs_ours 'added by ours, all triggers' ms
	figure added_jobs_twin 'added by the twin, all triggers' ms
	ratio 'ours to twin, added' added_jobs_ours added_jobs_twin
}
