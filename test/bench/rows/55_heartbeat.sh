# shellcheck shell=bash disable=SC2034,SC2154
title='Heartbeat'
compared='heartbeat_job() with the same in PL/pgSQL (test/twin/queue.sql); 100 leases in turn, a transaction each.'
fair='both check the lease and its end by the clock, write the row of the attempt and no index, and answer with the same JSON;
time is that of the calls, without commits.'
jobs=$(choose 40000 100000) # as the row before has them
scale="$(pretty "$jobs") jobs"

prepare() {
	fresh heartbeat "$jobs"
}

round() {
	local side
	for side in $(in_turn "$1" ours twin); do
		async heartbeat -c "CALL bench.heartbeats('$side', $(choose 4000 20000), NULL)" | samples_of "us_$side"
	done
}

figures() {
	figures_of us_ us ours twin
	ratio 'ours to twin' us_ours us_twin '<= 0.35' 'heartbeat_job, time: PL/pgSQL twin'
}
