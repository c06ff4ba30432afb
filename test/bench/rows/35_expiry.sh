# shellcheck shell=bash disable=SC2034,SC2154
title='a call that expires credit, by the length of the history'
compared='charge_credits() of a user who has a lot that expired a moment ago, so that it is swept first: a user with so many
entries, beside one with 1,000.'
fair='one session, the same calls in one database, each of which makes one expire entry. Time of the call without its
commit; the granting of the lot is left out.'
scale='1,000 and 100,000 entries'

prepare() {
	copy_template expiry
	async expiry -f "$source/test/bench/sql/expiry.sql"
}

round() {
	local length
	for length in $(in_turn "$1" 1000 100000); do
		sql expiry -c "CALL bench.expiries(md5('$length')::uuid, $(choose 50 300), NULL)" | samples_of "entries_$length"
	done
}

figures() {
	figure entries_1000 '1,000 entries' us
	figure entries_100000 '100,000 entries' us
	ratio '100,000 to 1,000 entries' entries_100000 entries_1000 '<= 1.5' 'a call that expires credit, 100,000 entries: 1,000'
}
