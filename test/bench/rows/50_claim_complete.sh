# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion of a job'
compared='claim_jobs() and store_refined_text() of one job in two transactions, and finish_and_claim(), which completes one and
claims the next, with the same in PL/pgSQL with SKIP LOCKED (test/twin/queue.sql), in two calls and in one; pgbench, 4 clients,
prepared statements.'
fair='both check the lease, its end and the transition, and write the same rows under the same constraints and indexes: the
row that waits is deleted, an attempt is inserted, and updated when the job ends, with the job and its processing time; both
answer with the job that was claimed. The twin has static plans and a partial index, pins search_path as ours does, and leaves
out the check of the caller, the switch of the role, the limits of users. In one database, in turns, always the same number of
jobs, each commit waiting for its WAL.'
jobs=$(choose 40000 100000)
scale="$(choose 1 3) s a side and round, of $jobs jobs that wait"

prepare() { :; }

# series ROUND PREFIX SCRIPT SIDE...: transactions a second
series() {
	local side turn=$1 prefix=$2 script=$3
	shift 3
	for side in $(in_turn "$turn" "$@"); do
		as_side "$side" rate work "$script$([ "$side" = twin ] && echo _twin).sql" 4 "$(choose 1s 3s)" -D started=0 | samples_of "$prefix$side"
	done
}

# Every second round the other way round, so that no call is always the first.
round() {
	local prefix side
	fresh work "$jobs"
	for prefix in $(in_turn "$1" two_ one_); do
		if [ "$prefix" = two_ ]; then
			series "$1" two_ work "${ours[@]}" twin
		else
			series "$1" one_ finish ours twin
		fi
	done
	for side in $(in_turn "$1" "${ours[@]}" twin); do
		as_side "$side" async work -c "CALL bench.work('$side', $(choose 1000 4000), NULL)" | samples_of "us_$side"
	done
}

figures() {
	remark 'in two calls, a commit each:'
	figures_of two_ jobs/s "${ours[@]}" twin
	ratio 'ours to twin' two_ours two_twin '>= 1.8' 'claim and complete in two calls, jobs/s: PL/pgSQL twin'
	remark 'in one call:'
	figures_of one_ jobs/s ours twin
	ratio 'ours to twin in two calls' one_ours two_twin '>= 2.3' 'finish_and_claim, jobs/s: PL/pgSQL twin in two calls'
	ratio 'ours to twin in one call' one_ours one_twin '>= 1.8' 'finish_and_claim, jobs/s: PL/pgSQL twin in one statement'
	remark 'both calls, no commit, 1 session:'
	figures_of us_ us "${ours[@]}" twin
	ratio 'ours to twin' us_ours us_twin
	tell_direct_rows
}
