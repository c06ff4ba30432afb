# shellcheck shell=bash disable=SC2034,SC2154
title='Claim and completion: pgmq'
compared='ours with pgmq: 4 loops of read() and delete(), of one message and of 500. Ours: 4 workers; one by one
finish_and_claim(), in batches complete_jobs() and claim_jobs() of 500 in a transaction.'
fair='all of it from JavaScript, by the same driver, over the same socket, with prepared statements, each commit waiting for
its WAL; the work is nothing. Ours writes the result into the row of the job and keeps an attempt for each job. In favour of
the peer: it deletes the message and keeps no result and no history. ANALYZE on both before they begin.'
sides=(ours pgmq)
runs=("each $(choose 1000 6000)" "batch500 $(choose 5000 20000)")
scale="${runs[*]} jobs a side and round"
declare -A labels=([pgmq]='pgmq, read + delete')
declare -A goals=(['pgmq each']='>= 1.2' ['pgmq batch500']='>= 1.2')

prepare() {
	reason=$(why_no_pgmq)
	[ -n "$reason" ] || prepare_peers
}

round() {
	[ -n "$reason" ] || round_of_peers "$1"
}

figures() {
	figures_of_peers "$reason"
}
