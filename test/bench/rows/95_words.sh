# shellcheck shell=bash disable=SC2034,SC2154
title='Counting the words of a text'
compared='the trigger that counts the words of mm_script_generations, with one in PL/pgSQL that counts them with a regular
expression (test/twin/words.sql).'
fair='the same texts, in English, in tables of the same columns; the time of the same UPDATE without the trigger is taken off.
Both must write the same number, which is checked first; the expression does ASCII only, ours all scripts. Processor time of
the session.'
scripts=$(choose 20 40)
scale="$scripts texts of 200 kB"

prepare() {
	copy_template words
	sql words -v scripts="$scripts" -v repeats=1000 -f "$source/test/twin/words.sql" -f "$source/test/bench/sql/words.sql"
}

round() {
	local side
	# enough for both to be told from nothing
	local -A times=([ours]=$(choose 10 20) [twin]=1)
	for side in $(in_turn "$1" ours twin); do
		sql words -c "CALL bench.count_words('$side', ${times[$side]}, NULL)" | samples_of "mb_$side"
	done
}

figures() {
	figures_of mb_ MB/s ours twin
	ratio 'ours to twin' mb_ours mb_twin '>= 20' 'word count trigger, MB/s: PL/pgSQL with regexp'
}
