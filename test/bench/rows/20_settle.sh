# shellcheck shell=bash disable=SC2034,SC2154
title='reserve_credits, and reserve_credits + settle_credits, commits'
compared='reserve_credits() by itself, and followed by settle_credits(), a transaction each, with the same in PL/pgSQL
(test/bench/sql/credit_twin.sql); pgbench, 8 clients, prepared statements.'
fair='both check and write the same, as in the row before, in one database, the same jobs in the same order, each job once,
each commit waits for its WAL; both sides begin with a fresh copy of the database.'
scale="$(choose 1 4) s a side and round, jobs of 10,000 users"

prepare() {
	load_credits "$(choose 3 10)"
}

# commits ROUND SCRIPT EACH SIDE...: every job is held once, so there must be enough of them: pgbench fails where there are not
commits() {
	local side turn=$1 script=$2 each=$3
	shift 3
	for side in $(in_turn "$turn" "$@"); do
		renew settle credits
		as_side "$side" rate settle "${script}_$([ "$side" = twin ] && echo twin || echo ours).sql" 8 "$(choose 1s 4s)" -D jobs=0 |
			awk -v each="$each" '{ print each * $1 }' | samples_of "${script}_$side"
	done
}

round() {
	commits "$1" reserve 1 ours twin
	commits "$1" settle 2 "${ours[@]}" twin
}

figures() {
	remark 'reserve_credits alone:'
	figures_of reserve_ commits/s ours twin
	ratio 'ours to twin' reserve_ours reserve_twin '>= 1.3' 'reserve, commits/s, 8 clients: PL/pgSQL twin'
	remark 'reserve_credits and settle_credits:'
	figures_of settle_ commits/s "${ours[@]}" twin
	tell_direct_rows
	ratio 'ours to twin' settle_ours settle_twin '>= 1.5' 'reserve + settle, commits/s, 8 clients: PL/pgSQL twin'
}
