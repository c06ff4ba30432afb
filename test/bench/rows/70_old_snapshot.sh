# shellcheck shell=bash disable=SC2034,SC2154
title='Claims while somebody holds an old snapshot'
compared='claim_jobs() of one job, 4 clients, a commit each: after so many jobs were claimed and completed since another
session began a REPEATABLE READ transaction that goes on, and after the same without that session.'
fair='two databases with the same jobs and the same history; snapshots of one do not hold back the other; they take turns.'
behind=$(choose 20000 100000)
jobs=$((behind * 2))
scale="$behind claims behind it"

prepare() {
	local side finishing=()
	for side in free held; do
		fresh "$side" "$jobs"
	done
	hold held
	for side in free held; do
		finish "$side" &
		finishing+=($!)
	done
	wait "${finishing[0]}"
	wait "${finishing[1]}"
}

# An open transaction that has read the queue, until the end of the server.
hold() {
	as_server psql -X -q -d "$1" -c 'BEGIN ISOLATION LEVEL REPEATABLE READ' \
		-c 'SELECT count(*) FROM studio_engine.queue' -c 'SELECT pg_sleep(36000)' >/dev/null 2>&1 &
	until [ -n "$(sql "$1" -c "SELECT 1 FROM pg_stat_activity WHERE datname = '$1' AND query LIKE '%pg_sleep(36000)' AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()")" ]; do
		sleep 0.1
	done
}

finish() {
	async "$1" -c "SELECT 1 / (sum((SELECT count(*) FROM claim_jobs('studio_jobs', 'bulk ' || n, 1000))) = $behind)::integer FROM generate_series(1, $behind / 1000) n" \
		-c "UPDATE studio_jobs j SET status = 'COMPLETE' FROM studio_engine.attempts a WHERE a.job_id = j.job_id AND a.ended_at IS NULL" >/dev/null
}

round() {
	local side
	for side in $(in_turn "$1" free held); do
		rate "$side" claim.sql 4 "$(choose 500 2500)" | samples_of "$side"
	done
}

figures() {
	figure free 'without the snapshot' claims/s
	figure held 'with the snapshot' claims/s
	ratio 'with to without' held free '>= 0.5' 'claims/s while an old snapshot is held: without it'
}
