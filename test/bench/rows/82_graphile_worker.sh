# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion: graphile-worker'
compared="ours with graphile-worker $(version_of graphile-worker), one by one and in batches. One by one it is runOnce() with
concurrency 4, its default queries; in batches with what its page on performance recommends: concurrency 24, a local queue of
500, jobs completed together. Ours: 4 workers; one by one finish_and_claim(), in batches complete_jobs() and claim_jobs() of
500 in a transaction."
fair='all of it from JavaScript, by the same driver, over the same socket, with prepared statements, each commit waiting for
its WAL; the work is nothing. Ours writes the result into the row of the job, which was there before and which a user sees, and
keeps an attempt for each job. The peer deletes the job and keeps neither result nor history: that is one side. The other is
the peer with a task that does what its users do, and writes the result into the row of a table with the same columns, checks
and indexes as studio_jobs. ANALYZE on all before they begin.'
sides=(ours graphile-worker graphile-worker-stored)
runs=("each $(choose 1000 6000)" "batch500 $(choose 5000 20000)")
[ "$quick" = 1 ] || runs+=('batch500 100000')
scale="${runs[*]} jobs a side and round"
declare -A labels=([graphile-worker]='graphile-worker' [graphile-worker-stored]='graphile-worker, results stored')
declare -A goals=(
	['graphile-worker each']='>= 1.3' ['graphile-worker batch500']='>= 1.05'
	['graphile-worker-stored each']='>= 2' ['graphile-worker-stored batch500']='>= 5'
)

prepare() {
	reason=$(why_no_npm)
	[ -n "$reason" ] || prepare_peers
}

round() {
	[ -n "$reason" ] || round_of_peers "$1"
}

figures() {
	figures_of_peers "$reason"
}
