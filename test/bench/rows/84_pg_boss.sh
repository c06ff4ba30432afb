# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion: pg-boss'
compared="claim_jobs() and store_refined_text() with pg-boss $(version_of pg-boss), one by one and in batches: 4 loops of
fetch() and complete(), which are its functions for workers of one's own, with batchSize 1 and 100, a batch completed by
one call. Ours: 4 workers, claims of 1 and of 100, a batch completed by one statement."
fair='all of it from JavaScript, by the same driver, over the same socket, each commit waiting for its WAL; the work is
nothing, its result is kept by both. pg-boss does not poll and does not clean up meanwhile (supervise: false). In favour
of the peer: it keeps no history of attempts. ANALYZE on both before they begin.'
peer=pg-boss
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
