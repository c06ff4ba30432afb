# shellcheck shell=bash disable=SC2034,SC2154
title='Claim of one job of one stage of eight'
compared='claim_jobs() with p_stages naming one of the eight stages from SCRIPTING to PACKAGING, with claim_jobs() of all.'
fair='one database, an eighth of the jobs at each stage, and those of the stage that is claimed come last in the queue; each
session has touched every page of the queue, the attempts and the jobs before; time is that of the calls, without commits;
pages are all that the calls touched.'
jobs=$(choose 100000 1000000)
scale="$(pretty "$jobs") jobs of the video system"

prepare() {
	load stages 0
	sql stages -v jobs="$jobs" -f "$source/test/bench/sql/stages.sql"
}

# What was claimed is given back, and cleaned, before the next.
round() {
	local what
	for what in $(in_turn "$1" all stage); do
		async stages -c "CALL bench.claims('jobs', $([ "$what" = all ] && echo NULL || echo "'{PACKAGING}'"), $(choose 400 600), NULL, NULL)" |
			samples_of "us_$what" "pages_$what"
		async stages -c "SELECT 1 / (release_leases('bench') > 0)::integer" -c 'VACUUM studio_engine.queue, studio_engine.attempts' >/dev/null
	done
}

figures() {
	figure us_all 'all stages' us
	figure pages_all 'all stages' pages
	figure us_stage 'one stage' us
	figure pages_stage 'one stage' pages
	ratio 'time, one stage to all' us_stage us_all '<= 1.2' "claim of one stage of eight at $(pretty "$jobs") waiting: of all"
	ratio 'pages, one stage to all' pages_stage pages_all
}
