# shellcheck shell=bash disable=SC2034,SC2154
title='A change that clients hear of'
compared='what the database works for one change of a job: Broadcast, by enable_broadcast(), as the time of the change with it
less that without; and Postgres Changes, as the check that Realtime makes for each subscriber of the table. The check is
re-created (test/bench/sql/broadcast.sql): the filter of each subscriber is compared, then for those that pass
the claims are set and the row is looked up by its key with the rights of authenticated.'
fair='processor time of one session, 1, 500 and 2,000 subscribers, each with the filter of his user, so that one passes; and
without filters, so that each is asked. Decoding the WAL is left out of Postgres Changes, which is in its favour.'
changes=$(choose 500 2000)
scale="$(pretty "$changes") changes a round, each a transaction"
crowds=(1 500 2000)

prepare() {
	copy_template broadcast
	sql broadcast -f "$source/test/sql/include/realtime_stub.sql" -f "$source/test/bench/sql/broadcast.sql"
}

position() {
	sql postgres -c "SELECT pg_current_wal_insert_lsn() - '0/0'"
}

# the WAL of one video job, of which the first may write whole pages
wal_of_job() {
	local before after
	async broadcast -c 'CALL bench.video_job()'
	before=$(position)
	async broadcast -c 'CALL bench.video_job()'
	after=$(position)
	sample "wal_$1" $((after - before))
}

round() {
	local crowd way
	for crowd in "${crowds[@]}"; do
		sql broadcast -c "CALL bench.subscribe($crowd)"
		for way in $(in_turn "$1" off on); do
			sql broadcast -c "SELECT bench.broadcast('$way')" >/dev/null
			async broadcast -c 'CALL bench.changes(100, NULL)' -c "CALL bench.changes($changes, NULL)" | tail -n 1 | samples_of "us_${way}_$crowd"
		done
		awk -v on="us_on_$crowd" -v off="us_off_$crowd" '$1 == on { a = $2 } $1 == off { b = $2 } END { print a - b }' "$samples" |
			samples_of "us_broadcast_$crowd"
		sql broadcast -c "CALL bench.checks($(choose 50 200), true, NULL)" | samples_of "us_filtered_$crowd"
		sql broadcast -c "CALL bench.checks($(choose 5 20), false, NULL)" | samples_of "us_unfiltered_$crowd"
	done
	for way in off on; do
		sql broadcast -c "SELECT bench.broadcast('$way')" >/dev/null
		wal_of_job "$way"
	done
	sql broadcast -c 'SELECT count(*), sum(length(payload::text)), max(length(payload::text)) FROM bench.messages_of_job()' |
		samples_of messages bytes longest
}

figures() {
	local crowd
	for crowd in "${crowds[@]}"; do
		figure "us_broadcast_$crowd" "Broadcast, $crowd subscribers" us
		figure "us_filtered_$crowd" "Postgres Changes, $crowd subscribers with filters" us
		figure "us_unfiltered_$crowd" "Postgres Changes, $crowd subscribers without" us
	done
	ratio 'Broadcast at 2,000 subscribers to 1' us_broadcast_2000 us_broadcast_1 '<= 1.5' 'Broadcast, a change at 2,000 subscribers: at one'
	figure messages 'messages of a video job' messages
	figure bytes '... payload' bytes
	figure longest '... the longest' bytes
	figure wal_off 'WAL of a video job, without' bytes
	figure wal_on 'WAL of a video job, with Broadcast' bytes
}
