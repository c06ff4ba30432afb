# shellcheck shell=bash disable=SC2034,SC2154
title='Reaping 100 expired leases, by the number of jobs that wait'
compared='reap_expired_leases() with itself, at 1,000, 100,000 and 1,000,000 waiting jobs; per lease.'
fair='the same session does the same calls in databases that differ in the number of jobs only; the databases take
turns; every call is undone, the median of five counts.'
depths=(1000 100000 1000000)
scale='up to 1,000,000 jobs'
extra=1

prepare() {
	local depth
	for depth in "${depths[@]}"; do
		lasting "depth_$depth" "$depth"
	done
}

round() {
	local depth
	for depth in $(in_turn "$1" "${depths[@]}"); do
		sql "depth_$depth" -c "CALL bench.reap('ours', NULL, NULL)" | samples_of "us_$depth" "pages_$depth"
		sql "depth_$depth" -c 'VACUUM studio_engine.queue, studio_engine.attempts, studio_jobs'
	done
}

figures() {
	figure us_1000 '1,000 waiting' us
	figure us_100000 '100,000 waiting' us
	figure us_1000000 '1,000,000 waiting' us
	ratio 'time, 1,000,000 to 1,000' us_1000000 us_1000
	figure pages_1000 '1,000 waiting' pages
	figure pages_100000 '100,000 waiting' pages
	figure pages_1000000 '1,000,000 waiting' pages
	ratio 'pages, 1,000,000 to 1,000' pages_1000000 pages_1000
}
