# shellcheck shell=bash disable=SC2034,SC2154
title='The dashboard query under row level security'
compared="the dashboard query of the seed document (projects of a user with their latest job, LATERAL) as authenticated, with
the same query for the same users as superuser."
fair='one database, the same users in the same order, the claims of the request are set in both; a plan that is kept, as of
a prepared statement. Processor time of the session.'
users=$(choose 10000 100000)
scale="$(pretty "$users") users, $(pretty $((users * 10))) jobs, 5 projects a user, 2 jobs a project"

prepare() {
	copy_template dashboard
	async dashboard -v users="$users" -f "$source/test/bench/sql/dashboard.sql"
}

# Only a superuser may look at the processor time, so the role changes in between.
round() {
	local role
	for role in $(in_turn "$1" authenticated postgres); do
		sql dashboard -c "SET ROLE $role" -c 'CALL bench.dashboards(20)' -c 'RESET ROLE' -c 'CALL bench.start()' \
			-c "SET ROLE $role" -c "CALL bench.dashboards($(choose 2000 5000))" -c 'RESET ROLE' \
			-c "SELECT bench.stop() / $(choose 2000 5000)" | samples_of "us_$role"
	done
}

figures() {
	figure us_postgres 'superuser' us
	figure us_authenticated 'authenticated' us
	ratio 'authenticated to superuser' us_authenticated us_postgres '<= 1.3' 'dashboard query as authenticated: as superuser'
}
