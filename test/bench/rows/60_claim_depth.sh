# shellcheck shell=bash disable=SC2034,SC2154
title='Claim of one job, by the number of jobs that wait'
compared="claim_jobs() with itself, at 1,000 and at $(choose '100,000' '100,000 and 1,000,000') waiting jobs."
fair='a session does the same calls in databases that differ in the number of jobs only, whose identifiers are random; it has
touched every page of the queue, the attempts and the jobs before, as a worker that has served for a while has; the databases
take turns; time is that of the calls, without commits; pages are all that the calls touched, counted by EXPLAIN (BUFFERS).'
read -ra depths <<<"$(choose '1000 100000' '1000 100000 1000000')"
deepest=${depths[-1]}
scale="up to $deepest jobs"

prepare() {
	local depth
	for depth in "${depths[@]}"; do
		lasting "depth_$depth" "$depth"
	done
}

# What was claimed is given back, and cleaned, before the next round.
round() {
	local depth
	for depth in $(in_turn "$1" "${depths[@]}"); do
		async "depth_$depth" -c "CALL bench.claims('studio_jobs', NULL, $(choose 400 600), NULL, NULL)" | samples_of "us_$depth" "pages_$depth"
		async "depth_$depth" -c "SELECT 1 / (release_leases('bench') > 0)::integer" -c 'VACUUM studio_engine.queue, studio_engine.attempts' >/dev/null
	done
}

figures() {
	local depth name
	for depth in "${depths[@]}"; do
		figure "us_$depth" "$depth waiting" us
		figure "pages_$depth" "$depth waiting" pages
	done
	name="claim at $(pretty "$deepest") waiting: at 1,000"
	ratio "time, $deepest to 1000" "us_$deepest" us_1000 '<= 1.2' "$name"
	ratio "pages, $deepest to 1000" "pages_$deepest" pages_1000
}
