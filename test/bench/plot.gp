# Draws how many times better each target row is than the other side, and what the target is.
# Called by run.sh with `input` (tab separated: name, factor, smallest, largest, target, met) and `output`.
# Pitfall: factors go from below 1 to hundreds, hence the logarithmic axis; a bar begins at 1 (equal).
set terminal svg size 960,(90 + 34 * int(system(sprintf("wc -l <'%s'", input)))) font 'sans-serif,13' background '#ffffff'
set termoption noenhanced
set output output
set datafile separator '\t'
set logscale x 10
set yrange [*:*] reverse
set offsets 0, 0, 0.7, 0.7
set grid xtics lc rgb '#dddddd'
set border 1
set tics nomirror scale 0.5
set xlabel 'times better than what it is compared with (log scale); the mark is the target'
set title 'make bench: medians, smallest and largest round'
unset key
set style fill solid noborder
half = 0.28
plot input using (1):0:(1):2:($0 - half):($0 + half):(column(6) > 0 ? 0x3b7d4f : 0xb5543c):ytic(1) with boxxyerror lc rgb variable, \
     '' using 2:0:3:4 with xerrorbars pt 0 lc rgb '#222222', \
     '' using 5:($0 - 0.42):(0):(0.84) with vectors nohead lw 3 lc rgb '#1f4e9c'
