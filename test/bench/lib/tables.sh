# shellcheck shell=bash disable=SC2154
# What becomes of the samples: lines on the terminal, a Markdown file, a list of targets, a plot.
#
#   figure SERIES 'label' unit                    median and spread
#   ratio 'label' SERIES SERIES ['<= 1.2' [plot]] of the medians, with the spread of the rounds' ratios, and a
#                                                 target.  plot: the name in the list of targets and in the plot
#   bound SERIES 'label' unit '<= 1350' 'name'    median and spread, with a target of their own, which the plot has not
#   remark 'text'                                 a line of its own
#
# Pitfall: in the list of targets nothing may be missing silently.  So what was not measured is in it, with
# the reason: not_measured.

# statistics FILE SERIES [SERIES]: median, smallest, largest of a series; with two of their ratio; number of rounds
statistics() {
	awk -F '\t' -v a="$2" -v b="${3:-}" '
		function sort_values(v, n,   i, j, t) {
			for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		}
		function median(v, n) { return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2 }
		$1 == a { x[++n] = $2 + 0 }
		$1 == b { y[++m] = $2 + 0 }
		END {
			if (n == 0 || (b != "" && m != n)) { print "no samples of " a " " b > "/dev/stderr"; exit 1 }
			if (b != "") for (i = 1; i <= n; i++) r[i] = x[i] / y[i]
			sort_values(x, n)
			if (b == "") { print median(x, n), x[1], x[n], n; exit }
			sort_values(y, m); sort_values(r, n)
			print median(x, n) / median(y, m), r[1], r[n], n
		}' "$1"
}

# 12345.6 -> 12,346; 1.234 -> 1.23; for awk programs, too
awk_pretty='
	function pretty(v,   s) {
		if (v == "") return ""
		s = v >= 100 ? sprintf("%.0f", v) : v >= 10 ? sprintf("%.1f", v) : sprintf("%.2f", v)
		while (s ~ /^[0-9][0-9][0-9][0-9]/) sub(/[0-9][0-9][0-9]($|,)/, ",&", s)
		return s
	}'

pretty() {
	awk -v v="$1" "$awk_pretty BEGIN { print pretty(v) }"
}

# line LABEL MEDIAN MIN MAX UNIT TARGET VERDICT
line() {
	printf '  %-52s %10s %21s %-10s %s %s' "$1" "$2" "$3 .. $4" "$5" "$6" "$7" | sed 's/ *$//'
	printf '\n'
	table+="| $1 | $2 | $3 .. $4 | $5 | $6 | $7 |"$'\n'
}

figure() {
	local median min max count
	read -r median min max count < <(statistics "$samples" "$1")
	line "$2" "$(pretty "$median")" "$(pretty "$min")" "$(pretty "$max")" "$3" '' ''
}

# figures_of SERIES-PREFIX UNIT SIDE...: a figure for each side
figures_of() {
	local prefix=$1 unit=$2 side
	local -A labels=([ours]=ours [kept]='ours, direct_rows off' [twin]='PL/pgSQL twin')
	shift 2
	for side; do
		figure "$prefix$side" "${labels[$side]}" "$unit"
	done
}

ratio() {
	local median min max count verdict=''
	read -r median min max count < <(statistics "$samples" "$2" "$3")
	if [ -n "${4:-}" ]; then
		verdict=$(judge "$median" "$4")
	fi
	line "$1" "$(pretty "$median")" "$(pretty "$min")" "$(pretty "$max")" ratio "${4:-}" "$verdict"
	if [ -n "${5:-}" ]; then
		printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$5" "$median" "$min" "$max" "$4" "$verdict" "$count" >>"$targets"
	fi
}

bound() {
	local median min max count verdict
	read -r median min max count < <(statistics "$samples" "$1")
	verdict=$(judge "$median" "$4")
	line "$2" "$(pretty "$median")" "$(pretty "$min")" "$(pretty "$max")" "$3" "$4" "$verdict"
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$5" "$median" "$min" "$max" "$4" "$verdict" "$count" "$3" >>"$targets"
}

judge() {
	awk -v v="$1" -v t="$2" 'BEGIN { split(t, p, " "); print ((p[1] == "<=" ? v <= p[2] : v >= p[2]) ? "met" : "NOT MET") }'
}

# Where direct rows cannot be switched off there is one figure of ours; the row says so.
tell_direct_rows() {
	[ "${#ours[@]}" -gt 1 ] || remark 'direct_rows: this build has no such setting; all of ours is with kept plans'
}

remark() {
	printf '  %s\n' "$1"
	table+="| $1 | | | | | |"$'\n'
}

# not_measured 'name' 'target' 'reason'
not_measured() {
	printf '  %s: NOT MEASURED: %s\n' "$1" "$3"
	table+="| $1: NOT MEASURED: $3 | | | | $2 | |"$'\n'
	printf '%s\t\t\t\t%s\tNOT MEASURED: %s\t0\n' "$1" "$2" "$3" >>"$targets"
}

# The list of targets, on the terminal and as Markdown.
list_targets() {
	awk -F '\t' "$awk_pretty"'
		{ printf "%-72s %7s  %17s  %-8s %s\n", $1, pretty($2), $2 == "" ? "" : pretty($3) " .. " pretty($4), $5, $6 }' "$targets"
}

markdown_targets() {
	printf '| what | ratio | min .. max | target | |\n|---|---:|---|---|---|\n'
	awk -F '\t' "$awk_pretty"'
		{ printf "| %s | %s | %s | %s | %s |\n", $1, pretty($2), $2 == "" ? "" : pretty($3) " .. " pretty($4), $5, $6 }' "$targets"
}

# How many times better than the other side, for gnuplot: name, factor, smallest, largest, target, met
plot_data() {
	awk -F '\t' '$2 + 0 > 0 && $8 == "" {
		split($5, p, " ")
		if (p[1] == "<=") print $1 "\t" 1 / $2 "\t" 1 / $4 "\t" 1 / $3 "\t" 1 / p[2] "\t" ($6 == "met")
		else print $1 "\t" $2 "\t" $3 "\t" $4 "\t" p[2] "\t" ($6 == "met") }' "$targets"
}
