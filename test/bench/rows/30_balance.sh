# shellcheck shell=bash disable=SC2034,SC2154
title='get_credit_balance, by the length of the history'
compared="get_credit_balance() of a user with so many entries, with itself for a user with 10, and with the function of that
name as the seed document words it (test/twin/seed_video.sql), which sums the entries."
fair='one session, the same calls in one database; the seed has the same entries and its own index. Processor time of the
session.'
scale='10 and 100,000 entries'

# The entries of the long history: more and less by turns, so that a balance is what must be summed.
prepare() {
	copy_template balance
	async balance -f "$source/test/twin/seed_video.sql" -f "$source/test/bench/sql/credit_calls.sql" \
		-f "$source/test/bench/sql/balance.sql"
}

round() {
	local length
	for length in $(in_turn "$1" 10 100000); do
		sql balance -c "CALL bench.balances('public.get_credit_balance', md5('$length')::uuid, $(choose 50000 100000), NULL)" |
			samples_of "ours_$length"
	done
	sql balance -c "CALL bench.balances('seed.get_credit_balance', md5('100000')::uuid, $(choose 10 50), NULL)" | samples_of seed_100000
	sql balance -c "CALL bench.balances('seed.get_credit_balance', md5('10')::uuid, $(choose 2000 5000), NULL)" | samples_of seed_10
}

figures() {
	figure ours_10 'ours, 10 entries' us
	figure ours_100000 'ours, 100,000 entries' us
	figure seed_10 "the seed's SQL, 10 entries" us
	figure seed_100000 "the seed's SQL, 100,000 entries" us
	ratio '100,000 to 10 entries' ours_100000 ours_10 '<= 1.2' 'get_credit_balance, 100,000 entries: 10 entries'
	ratio "the seed's to ours, 100,000 entries" seed_100000 ours_100000 '>= 100' "get_credit_balance, 100,000 entries: the seed's SQL"
}
