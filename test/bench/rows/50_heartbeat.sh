# shellcheck shell=bash disable=SC2034
title='Heartbeat'
compared='heartbeat_job() with the same in PL/pgSQL (test/twin/queue.sql); 100 leases in turn, a transaction each.'
fair='both check the lease and its end by the clock, write one narrow row and no index, and answer with the same JSON;
time is that of the calls, without commits.'

prepare() {
	fresh heartbeat 100000
}

round() {
	local side
	for side in $(in_turn "$1" ours twin); do
		sql heartbeat -c 'SET synchronous_commit = off' -c "CALL bench.heartbeats('$side', $(choose 5000 20000), NULL)" | samples_of "us_$side"
	done
}

figures() {
	figure us_ours 'ours' us
	figure us_twin 'twin' us
	ratio 'ours to twin' us_ours us_twin '<= 0.5'
}
