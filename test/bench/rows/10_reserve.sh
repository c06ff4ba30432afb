# shellcheck shell=bash disable=SC2034,SC2154
title='reserve_credits, processor time of a call'
compared='reserve_credits() with the same in PL/pgSQL (test/bench/sql/credit_twin.sql): a hold each for so many users, one
statement in one transaction that is undone.'
fair='both lock the job and the account, look for an earlier hold and for expired credit, write the entry, the account and
the job, in tables with the same columns, indexes, foreign keys and guards; before the first round 100 jobs are held and
settled by both, and every entry, account and job must be the same. The twin is written to be fast, and leaves the check
of the caller to GRANT. Processor time of the session, user and system.'
scale="$(choose 5,000 10,000) of 10,000 users, who have one entry each"

prepare() {
	load_credits 2
}

round() {
	local side
	for side in $(in_turn "$1" "${ours[@]}" twin); do
		as_side "$side" async credits -c "CALL bench.reservations('$side', $(choose 5000 10000), NULL)" | samples_of "us_$side"
		sql credits -c 'VACUUM credit_ledger, credit_accounts, jobs, twin.credit_ledger, twin.credit_accounts, twin.jobs'
	done
}

figures() {
	figures_of us_ 'us' "${ours[@]}" twin
	tell_direct_rows
	ratio 'ours to twin' us_ours us_twin '<= 0.40' 'reserve_credits, processor time: PL/pgSQL twin'
}
