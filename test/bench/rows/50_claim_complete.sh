# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion of a job'
compared='claim_jobs() and store_refined_text() of one job, in one transaction or in two, with the same in PL/pgSQL with
SKIP LOCKED (test/twin/queue.sql); pgbench, 4 clients, prepared statements.'
fair='both check the lease, its end and the transition, and write the same rows under the same constraints and
indexes: the queue, the history of attempts, the job with its processing time; both answer with the job. The twin has
static plans and a partial index, pins search_path as ours does, and leaves out the check of the caller, the switch of
the role, the limits of users. In one database, in turns, always the same number of jobs.'
jobs=$(choose 40000 100000)
scale="$(choose 1 3) s a side and round, of $jobs jobs that wait"

prepare() { :; }

# series ROUND SCRIPT SERIES: all sides, on a fresh copy
series() {
	local side turn=$1 script=$2 series=$3
	fresh work "$jobs"
	for side in $(in_turn "$turn" "${ours[@]}" twin); do
		as_side "$side" rate work "$script$([ "$side" = twin ] && echo _twin).sql" 4 "$(choose 1s 3s)" | samples_of "$series$side"
	done
}

round() {
	local side
	series "$1" work_at_once one_
	series "$1" work two_
	for side in $(in_turn "$1" "${ours[@]}" twin); do
		as_side "$side" async work -c "CALL bench.work('$side', $(choose 1000 4000), NULL)" | samples_of "us_$side"
	done
}

figures() {
	remark 'in one transaction:'
	figures_of one_ jobs/s "${ours[@]}" twin
	ratio 'ours to twin' one_ours one_twin '>= 2.0' 'claim + complete, jobs/s, 4 clients: PL/pgSQL twin'
	remark 'in two transactions:'
	figures_of two_ jobs/s "${ours[@]}" twin
	ratio 'ours to twin' two_ours two_twin
	remark 'both calls, no commit, 1 session:'
	figures_of us_ us "${ours[@]}" twin
	ratio 'ours to twin' us_ours us_twin
	tell_direct_rows
}
