# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion: pg-boss'
compared="ours with pg-boss $(version_of pg-boss), one by one and in batches: 4 loops of fetch() and complete(), which are its
functions for workers of one's own, with batchSize 1, 100 and 500, a batch completed by one call. Ours: 4 workers; one by one
finish_and_claim(), in batches complete_jobs() and claim_jobs() of as many in a transaction."
fair='all of it from JavaScript, by the same driver, over the same socket, each commit waiting for its WAL; the work is
nothing, its result is kept by both in the row of the job. Ours keeps an attempt for each job besides. pg-boss does not poll
and does not clean up meanwhile (supervise: false). ANALYZE on both before they begin.'
sides=(ours pg-boss)
runs=("each $(choose 1000 6000)" "batch100 $(choose 5000 20000)" "batch500 $(choose 5000 20000)")
scale="${runs[*]} jobs a side and round"
declare -A labels=([pg-boss]='pg-boss')
declare -A goals=(['pg-boss each']='>= 5' ['pg-boss batch100']='>= 2.5' ['pg-boss batch500']='>= 2.5')

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
