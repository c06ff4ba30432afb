# shellcheck shell=bash disable=SC2034
title='Claim and completion of a job'
compared='claim_jobs() and store_refined_text() with the same in PL/pgSQL with SKIP LOCKED (test/twin/queue.sql).'
fair='both check the lease, its end and the transition, and write the same rows under the same constraints and
indexes: the queue, the history of attempts, the job with its processing time; both answer with the job. The twin has
static plans and a partial index, pins search_path as ours does, and leaves out the check of the caller, the switch of
the role, the limits of users. 100,000 jobs each, in one database, in turns.'

prepare() { :; }

round() {
	local side suffix
	local -A suffixes=([ours]='' [twin]=_twin)
	fresh work 100000
	for side in $(in_turn "$1" ours twin); do
		suffix=${suffixes[$side]}
		sample "two_$side" "$(rate work "work$suffix.sql" 4 "$(choose 3 5)")"
	done
	fresh work 100000
	for side in $(in_turn "$1" ours twin); do
		suffix=${suffixes[$side]}
		sample "one_$side" "$(rate work "work_at_once$suffix.sql" 4 "$(choose 3 5)")"
	done
	for side in $(in_turn "$1" ours twin); do
		sql work -c 'SET synchronous_commit = off' -c "CALL bench.work('$side', $(choose 2000 5000), NULL)" | samples_of "us_$side"
	done
}

figures() {
	figure two_ours 'ours, claim | complete, 4 clients' jobs/s
	figure two_twin 'twin' jobs/s
	ratio 'ours to twin' two_ours two_twin '>= 2.0'
	figure one_ours 'ours, claim + complete at once, 4 clients' jobs/s
	figure one_twin 'twin' jobs/s
	ratio 'ours to twin' one_ours one_twin '>= 2.0'
	figure us_ours 'ours, both calls, no commit, 1 session' us
	figure us_twin 'twin' us
	ratio 'ours to twin' us_ours us_twin '<= 0.5'
}
