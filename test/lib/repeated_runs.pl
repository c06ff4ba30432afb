#!/usr/bin/perl
# Runs of lines that stand in more than one place, longest first: test/lib/repeated_runs.pl [options] [folder...]
#
#   --lines N      a run has so many lines or more (6)
#   --comments     comments are lines, too
#   --summary      only the counts per folder
#
# Without folders: src, sql and test, but for expected output.  Blank lines and #include are no lines, and blanks within a
# line count as one.  A folder is a folder of the first two levels.  "to spare" are the lines that would be gone if each run
# stood in one place.
#
# Pitfall: where three places share six lines and two of them ten, that is two runs; the lines to spare are counted once.

use strict;
use warnings;

use File::Find;
use Getopt::Long;

my ($least, $comments, $summary) = (6, 0, 0);
GetOptions('lines=i' => \$least, 'comments' => \$comments, 'summary' => \$summary) or exit 2;

my @folders = @ARGV ? @ARGV : qw(src sql test);
my $code = qr/\.(?:c|h|sql|spec|sh|pl|pm|mjs|ts|gp)$/;
my (@text, @line, @path);    # of every line of all files: what it says, its number, its file

# --- the lines -----------------------------------------------------------------

# Blanks that stand for comments, so that the numbers of the lines stay.
sub without_comments
{
	my ($path, $text) = @_;

	return $text if $comments;
	$text =~ s{(/\*.*?\*/)}{$1 =~ s/[^\n]+//gr}gse if $path =~ /\.(?:c|h|sql|mjs|ts)$/;
	$text =~ s{^\s*--.*$}{}gm if $path =~ /\.sql$/;
	$text =~ s{^\s*//.*$}{}gm if $path =~ /\.(?:c|h|mjs|ts)$/;
	$text =~ s{^\s*#.*$}{}gm if $path =~ /\.(?:sh|pl|pm|spec|gp)$/;
	return $text;
}

sub read_file
{
	my ($path) = @_;

	open my $file, '<', $path or die "$path: $!\n";
	my $text = without_comments($path, do { local $/; <$file> } // '');
	close $file;

	my $number = 0;
	foreach my $said (split /\n/, $text)
	{
		$number++;
		$said =~ s/^\s+|\s+$//g;
		$said =~ s/\s+/ /g;
		next if $said eq '' || $said =~ /^#\s*include\b/;
		push @text, $said;
		push @line, $number;
		push @path, $path;
	}

	# no run goes from one file into the next
	push @text, "\0$path";
	push @line, 0;
	push @path, $path;
	return;
}

my @paths;
find({
	no_chdir => 1,
	preprocess => sub { grep { !/^(?:expected|node_modules|output|releases)$/ } sort @_ },
	wanted => sub { push @paths, $_ if -f && /$code/ && !/\.types\.ts$/ }
}, grep { -e } @folders);
read_file($_) foreach sort @paths;

# --- what begins where -----------------------------------------------------------

# The places of the window of $least lines at each line; those that overlap the one before are left out.
my %places;
foreach my $at (0 .. $#text - $least)
{
	my $window = join "\n", @text[ $at .. $at + $least - 1 ];

	next if $window =~ /\0/;
	push @{ $places{$window} }, $at if !$places{$window} || $at >= $places{$window}[-1] + $least;
}

my %group;    # by the first of its places
foreach my $at (values %places) { $group{ $at->[0] } = $at if @$at > 1; }

# Whether a group stands so many lines behind another one.
sub follows
{
	my ($at, $before, $by) = @_;

	return $at && "@$at" eq join ' ', map { $_ + $by } @$before;
}

my (@runs, %spare);
foreach my $first (sort { $a <=> $b } keys %group)
{
	my $at = $group{$first};
	my $length = $least;

	foreach my $again (@$at[ 1 .. $#$at ]) { $spare{$_} = 1 foreach $again .. $again + $least - 1; }
	next if $group{ $first - 1 } && follows($at, $group{ $first - 1 }, 1);
	$length++ while follows($group{ $first + $length - $least + 1 }, $at, $length - $least + 1);
	push @runs, [ $length, $at ];
}

# --- what is told -----------------------------------------------------------------

sub folder
{
	my ($path) = @_;

	return $path =~ m{^([^/]+/[^/]+)/} ? $1 : $path =~ m{^([^/]+)/} ? $1 : '.';
}

my (%runs_in, %lines_in, %spare_in);
foreach my $run (sort { $b->[0] <=> $a->[0] || $a->[1][0] <=> $b->[1][0] } @runs)
{
	my ($length, $at) = @$run;
	my %seen;

	$runs_in{$_}++ foreach grep { !$seen{$_}++ } map { folder($path[$_]) } @$at;
	next if $summary;
	printf "%d lines in %d places: %s\n", $length, scalar @$at, substr $text[ $at->[0] ], 0, 70;
	printf "  %s:%d-%d\n", $path[$_], $line[$_], $line[ $_ + $length - 1 ] foreach @$at;
}
$lines_in{ folder($path[$_]) }++ foreach grep { $text[$_] !~ /^\0/ } 0 .. $#text;
$spare_in{ folder($path[$_]) }++ foreach keys %spare;

printf "%-20s %6s %8s %6s\n", 'folder', 'runs', 'to spare', 'lines';
printf "%-20s %6d %8d %6d\n", $_, $runs_in{$_} // 0, $spare_in{$_} // 0, $lines_in{$_} foreach sort keys %lines_in;
printf "%-20s %6d %8d %6d\n", 'all', scalar @runs, scalar keys %spare, scalar grep { !/^\0/ } @text;
