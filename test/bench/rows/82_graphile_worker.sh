# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion: graphile-worker'
compared="claim_jobs() and store_refined_text() with graphile-worker $(version_of graphile-worker), one by one and in batches.
One by one it is runOnce() with concurrency 4, its default queries; in batches with what its page on performance
recommends: concurrency 24, a local queue of 500, jobs completed together. Ours: 4 workers, claims of 1 and of 100, a
batch completed by one statement."
fair='all of it from JavaScript, by the same driver, over the same socket, with prepared statements, each commit waiting for
its WAL; the work is nothing. In favour of the peer: it deletes the job and keeps no result and no history. ANALYZE on
both before they begin.'
peer=graphile-worker
one_by_one=$(choose 1000 6000)
batched=$(choose 5000 20000)
scale="$one_by_one jobs one by one, $batched in batches, a side and round"

prepare() {
	prepare_peer
}

round() {
	round_of_peer "$1"
}

figures() {
	figures_of_peer
}
