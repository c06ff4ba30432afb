#!/bin/bash
# src/README.md is the map of src/ as it is: each source file has its line, in the table of its folder; files and functions
# that the text names exist; and the searches of the newcomer's test find the files that stand below them.
#
# Pitfall: a function is looked for as a definition in C or in sql/api, so a macro of that name does not count.
set -euo pipefail

exec perl - <<'PERL'
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
	return;
}

sub contents
{
	my ($path) = @_;

	open my $file, '<', $path or die "$path: $!\n";
	local $/;
	return scalar <$file>;
}

my $map = contents('src/README.md');
my @sources = glob 'src/*.[ch] src/*/*.[ch]';
my @wrong;

# --- files -------------------------------------------------------------------

# A header has no line of its own beside its .c.
my %expected;
foreach my $path (@sources)
{
	my ($folder, $name) = $path =~ m{^(.*)/([^/]+)$};

	next if $name =~ /\.h$/ && -e $path =~ s/h$/c/r;
	$expected{$folder}{$name} = 1;
}

my ($folders) = $map =~ /^## Folders\n(.*?)^## /ms;
my (%named, $folder);
foreach (split /\n/, $folders)
{
	$folder = $1 eq 'src' ? 'src' : "src/$1" if /^### (\S+)$/;
	push @wrong, "no folder $folder" if /^### / && !$expected{$folder};
	next if !defined $folder || !/^\| `([^`]+)` \|/;
	push @wrong, "$folder/$1 is named twice" if $named{$folder}{$1}++;
	push @wrong, "no file $folder/$1" if !$expected{$folder}{$1};
}
foreach my $in (sort keys %expected)
{
	push @wrong, map { "$in/$_ is not named" } grep { !$named{$in}{$_} } sort keys %{ $expected{$in} };
}
report('each source file is named once, in its folder', @wrong);

@wrong = ();
my %paths = map { $_ => 1 } $map =~ m{`((?:src|sql|test)/[\w./]+)`}g, map { "src/$_" } $map =~ m{\]\((\.\./[\w.]+)\)}g;
foreach my $path (sort keys %paths) { push @wrong, "no $path" if !-e $path; }
report(scalar(keys %paths) . ' paths exist', @wrong, keys %paths > 10 ? () : 'too few were found');

# --- functions -----------------------------------------------------------------

my $code = join "\n", map { contents($_) } grep { /c$/ } @sources;
my $sql = join "\n", map { contents($_) } glob 'sql/api/*.sql';
my %functions = map { $_ => 1 } $map =~ /`(\w+)\(\)`/g;

@wrong = ();
# what is PostgreSQL's own has no backquotes, but for this one
delete $functions{clock_timestamp};
foreach my $function (sort keys %functions)
{
	push @wrong, "no function $function()" if $code !~ /^\Q$function\E\(/m && $sql !~ /FUNCTION [\w@]+\.\Q$function\E\(/;
}
report(scalar(keys %functions) . ' functions exist', @wrong, keys %functions > 10 ? () : 'too few were found');

# where the text says that a function is in a file
@wrong = ();
my $places = 0;
while ($map =~ /`(\w+)\(\)`\s+in\s+`(src\/[\w.\/]+)`/g)
{
	my ($function, $path) = ($1, $2);

	$places++;
	push @wrong, "$function() is not in $path" if !-e $path || contents($path) !~ /^\Q$function\E\(/m;
}
report("$places functions are where the text says", @wrong, $places > 5 ? () : 'too few were found');

# --- the newcomer's test ---------------------------------------------------------

my $questions = 0;
while ($map =~ /^```sh\n(grep -rl [^\n]*)\n```\n\n((?: {4}\S+\n)+)/mg)
{
	my ($command, $answer) = ($1, $2);
	my $found = join '', sort `$command`;

	$answer =~ s/^ {4}//gm;
	$questions++;
	report($command, $found eq $answer ? () : split /\n/, "it finds:\n$found");
}
report("$questions searches", $questions >= 3 ? () : 'too few were found');

print "1..$count\n";
exit $failed;
PERL
