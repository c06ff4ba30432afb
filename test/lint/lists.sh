#!/bin/bash
# What has to stand in two places is the same in both: the names of our tables, the settings and their values, and
# the states in which work has ended.
set -euo pipefail

exec perl <<'PERL'
use strict;
use warnings;

my ($count, $failed) = (0, 0);

sub report
{
	my ($what, @wrong) = @_;

	$count++;
	$failed ||= @wrong > 0;
	print @wrong ? "not ok $count - $what\n" : "ok $count - $what\n";
	print "# $_\n" foreach @wrong;
}

sub contents
{
	my ($path) = @_;

	open my $file, '<', $path or die "$path: $!";
	local $/;
	return scalar <$file>;
}

# the one source file of a name, in whatever folder
sub source_file
{
	my ($name) = @_;
	my @found = (glob("src/$name"), glob("src/*/$name"));

	@found = grep { -e } @found;
	die "$name: " . @found . " files\n" if @found != 1;
	return contents($found[0]);
}

# what is in one of two lists only
sub difference
{
	my ($here, $these, $there, $those) = @_;
	my %these = map { $_ => 1 } @$these;
	my %those = map { $_ => 1 } @$those;

	return ((map { "only in $here: $_" } grep { !$those{$_} } sort keys %these),
		(map { "only in $there: $_" } grep { !$these{$_} } sort keys %those),
		(map { "nothing in $_" } (%these ? () : $here), (%those ? () : $there)));
}

my $tables = join '', map { contents($_) } sort glob 'sql/tables/*.sql';

# tables
my ($names) = source_file('relations.c') =~ /^static const char \*const names\[\] = \{(.*?)^\};/ms;
my @names = $names =~ /"(\w+)"/g;
report('relations.c has the tables of sql/tables',
	difference('relations.c', \@names, 'sql/tables', [ $tables =~ /CREATE TABLE \@extschema\@\.(\w+)/g ]));
foreach my $script (glob 'studio_engine--*.sql')
{
	my ($list) = contents($script) =~ /'studio_setup\.tables', '\{([^}]*)\}'/;
	report("$script has them too", difference('relations.c', \@names, $script, [ split /,/, $list // '' ]));
}

# settings
my @known = map { s/"\s+"//gr } source_file('settings.c') =~ /\.name = ("[^"]*",\s*\.default_value = "[^"]*")/g;
@known = map { /^"(.*)",\s*\.default_value = "(.*)"$/s ? "$1 = $2" : () } @known;
my @rows;
while ($tables =~ /INSERT INTO studio_engine\.settings .*? VALUES\s(.*?);\n/gs)
{
	my $values = $1;
	push @rows, "$1 = $2" while $values =~ /^\s*\('(\w+)', '((?:[^']|'')*)',/mg;
}
report('settings.c has the settings of sql/tables', difference('settings.c', \@known, 'sql/tables', \@rows));

# states: the labels of each flow, and those that only a retry function leaves
my (%labels, %flow);
my %names = source_file('statuses.c') =~ /\*const (\w+)\[\w+\] = \{(.*?)\};/gs;
my ($header, $source) = map { source_file($_) } qw(statuses.h flows.c);
my %transitions = $source =~ /^static const Transition (\w+)\[\] = \{(.*?)^\};/gms;

while ($source =~ /\.states = (\w+),\s*\.nstates = (\w+),\s*\.transitions = (\w+),/g)
{
	my ($states, $nstates, $transitions) = ($1, $2, $3);
	my ($last) = $header =~ /#define $nstates \((\w+) \+ 1\)/;
	my ($enum) = $header =~ /\{([^{}]*\b$last)\s*\}/;
	my @symbols = $enum =~ /(\w+)/g;
	my @labels = $names{$states} =~ /"(\w+)"/g;
	my %left = map { $_ => 1 } $transitions{$transitions} =~ /\{(\w+), \w+, (?!RETRY)/g;

	die "$states\n" if @symbols != @labels;
	$flow{$states} = { map { $labels[$_] => !$left{ $symbols[$_] } } 0 .. $#symbols };
}

# the list names all states in which a flow ends, or none
sub is_whole
{
	my ($flow, %listed) = @_;
	my @ends = grep { $flow->{$_} } keys %$flow;
	my @missing = grep { !$listed{$_} } @ends;

	return @missing == 0 || @missing == @ends;
}

my ($lists, @partly) = (0);
foreach my $path (glob('src/*.c src/*/*.c'), glob('sql/*/*.sql'))
{
	my $text = contents($path);

	while ($text =~ /\bstatus (?:NOT )?IN \(([^()]*)\)/g)
	{
		my %listed = map { $_ => 1 } $1 =~ /'(\w+)'/g;
		my @flows = grep { my $f = $_; !grep { !exists $f->{$_} } keys %listed } values %flow;

		$lists++;
		push @partly, "$path: " . join(', ', sort keys %listed) unless grep { is_whole($_, %listed) } @flows;
	}
}
report("$lists lists of states have all in which work has ended, or none", @partly, $lists < 10 ? 'too few were found' : ());

print "1..$count\n";
exit $failed;
PERL
