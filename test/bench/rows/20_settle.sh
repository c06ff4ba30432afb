# shellcheck shell=bash disable=SC2034,SC2154
title='reserve_credits + settle_credits, commits'
compared='reserve_credits() and settle_credits(), a transaction each, with the same in PL/pgSQL
(test/bench/sql/credit_twin.sql); pgbench, 8 clients, prepared statements.'
fair='both check and write the same, as in the row before, in one database, the same jobs in the same order, each commit
waits for its WAL; both sides begin with a fresh copy of the database.'
scale="$(choose 1 4) s a side and round, jobs of 10,000 users"

prepare() {
	load_credits "$(choose 3 10)"
}

# Every job is held once, so there must be enough of them: pgbench fails where there are not.
round() {
	local side
	for side in $(in_turn "$1" "${ours[@]}" twin); do
		renew settle credits
		as_side "$side" rate settle "settle_$([ "$side" = twin ] && echo twin || echo ours).sql" 8 "$(choose 1s 4s)" -D jobs=0 |
			awk '{ print 2 * $1 }' | samples_of "commits_$side"
	done
}

figures() {
	figures_of commits_ commits/s "${ours[@]}" twin
	tell_direct_rows
	ratio 'ours to twin' commits_ours commits_twin '>= 1.5' 'reserve + settle, commits/s, 8 clients: PL/pgSQL twin'
}
