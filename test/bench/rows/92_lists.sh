# shellcheck shell=bash disable=SC2034,SC2154
title='Lists of 100,000 rows under row level security'
compared="all steps, files or log lines of a user, 100,000 rows, as authenticated, with the same query as superuser; and as
authenticated with the policies of before, which joined each row to its job."
fair='one database, rows of three users, the claims of the request are set in all; the rows are read and not sent.
Processor time of the session.'
rows=100000
scale="$(pretty "$rows") rows a user and table, three users, 100 jobs a user"
tables=(job_steps assets logs)

prepare() {
	copy_template lists
	async lists -v rows="$rows" -f "$source/test/bench/sql/lists.sql"
}

# list ROLE TABLE SERIES
list() {
	sql lists -c "SET ROLE $1" -c "CALL bench.list('$2', 1)" -c 'RESET ROLE' -c 'CALL bench.start()' \
		-c "SET ROLE $1" -c "CALL bench.list('$2', $(choose 2 5))" -c 'RESET ROLE' \
		-c "SELECT bench.stop() / 1000 / $(choose 2 5)" | samples_of "$3"
}

round() {
	local kind role
	for kind in "${tables[@]}"; do
		for role in $(in_turn "$1" authenticated postgres); do
			list "$role" "$kind" "ms_${role}_$kind"
		done
	done
	sql lists -c 'SELECT bench.join_policies(true)' >/dev/null
	list authenticated job_steps ms_joined_job_steps
	sql lists -c 'SELECT bench.join_policies(false)' >/dev/null
}

figures() {
	local kind
	for kind in "${tables[@]}"; do
		figure "ms_postgres_$kind" "$kind, superuser" ms
		figure "ms_authenticated_$kind" "$kind, authenticated" ms
		ratio "$kind: authenticated to superuser" "ms_authenticated_$kind" "ms_postgres_$kind" '<= 1.3' \
			"list of 100,000 rows of $kind as authenticated: as superuser"
	done
	figure ms_joined_job_steps 'job_steps, authenticated, policy with a join' ms
}
