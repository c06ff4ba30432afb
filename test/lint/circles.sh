#!/bin/bash
# No source file uses itself over others, and where src/ has folders, none uses a folder above its own.
#
# To use is to include a header, or to name a function or variable that another file defines.  The names are read from the
# object files, so that a function which is only named in an initializer counts as well.  A file is its .c and its .h.
#
# Pitfall: what a file defines for itself (static) is no use of another, and a macro or type counts by its header only.
set -euo pipefail

exec perl - <<'PERL'
use strict;
use warnings;
use File::Find;

# the floors, from below; those on one floor may use each other, and it is told where they do
my @floors = (['core'], ['workflow'], [ 'jobs', 'credits' ], ['content'], ['systems']);

my (@sources, %file, %defined, %uses, %folder_of);
my ($count, $failed) = (0, 0);

sub report
{
	my ($passed, $name, @details) = @_;

	$count++;
	$failed = 1 if !$passed;
	print $passed ? '' : 'not ', "ok $count - $name\n";
	print "# $_\n" foreach @details;
	return;
}

find({ no_chdir => 1, wanted => sub { push @sources, $_ if /\.[ch]$/ } }, 'src');
@sources = sort @sources;
foreach my $path (@sources)
{
	my ($name) = $path =~ m{([^/]+)\.[ch]$};

	die "two files of the name $name: $file{$name} and $path\n" if exists $file{$name} && $file{$name} ne $path =~ s/\.[ch]$//r;
	$file{$name} = $path =~ s/\.[ch]$//r;
	($folder_of{$name}) = $path =~ m{^src/(?:(.+)/)?[^/]+$};
	$uses{$name} //= {};
}

# --- who uses whom, by what --------------------------------------------------

sub read_lines
{
	my (@command) = @_;

	open my $output, '-|', @command or die "$command[0]: $!\n";
	my @lines = <$output>;
	close $output or die "@command failed\n";
	return @lines;
}

my @objects = grep { /\.c$/ } @sources;
foreach my $source (@objects)
{
	my $object = $source =~ s/c$/o/r;

	my $name = $source =~ s{.*/|\.c$}{}gr;

	die "$object is missing, or older than $source: run make\n" if !-e $object || -M $object > -M $source;
	foreach (read_lines('nm', '-g', '--defined-only', $object))
	{
		$defined{$1} = $name if /^\S+ [A-Z] (\w+)$/;
	}
}
foreach my $source (@objects)
{
	my $name = $source =~ s{.*/|\.c$}{}gr;

	foreach (read_lines('nm', '-u', $source =~ s/c$/o/r))
	{
		my ($symbol) = /^\s+[UwV] (\w+)/ or next;
		my $other = $defined{$symbol} // next;

		$uses{$name}{$other}{$symbol} = 1 if $other ne $name;
	}
}
foreach my $path (@sources)
{
	my $name = $path =~ s{.*/|\.[ch]$}{}gr;

	open my $text, '<', $path or die "$path: $!\n";
	while (<$text>)
	{
		my ($other) = m{^\s*#\s*include\s+"(?:.*/)?([^/"]+)\.h"} or next;

		# PostgreSQL has headers of the same names, in folders of its own
		next if !exists $file{$other} || $other eq $name || m{"(?!\Q@{[ $folder_of{$other} // '' ]}\E/)[^"]+/};
		$uses{$name}{$other}{ $path =~ /h$/ ? "#include in $name.h" : '#include' } = 1;
	}
	close $text;
}
my $arrows = 0;
$arrows += keys %{ $uses{$_} } foreach keys %uses;

sub arrow
{
	my ($from, $to) = @_;
	my @by = sort keys %{ $uses{$from}{$to} };

	@by = grep { $_ ne '#include' } @by if @by > 1;
	return "$from -> $to: " . join(', ', @by);
}

report(@objects > 10 && $arrows > @objects, sprintf '%d files, %d arrows', scalar keys %file, $arrows);

# --- circles -----------------------------------------------------------------

# What can be reached from each other (Tarjan).
my (%index, %low, %on_stack, @stack, @circles);

sub visit
{
	my ($name) = @_;

	$index{$name} = $low{$name} = keys %index;
	push @stack, $name;
	$on_stack{$name} = 1;
	foreach my $other (sort keys %{ $uses{$name} })
	{
		visit($other) if !exists $index{$other};
		$low{$name} = $low{$other} if $on_stack{$other} && $low{$other} < $low{$name};
	}
	return if $low{$name} != $index{$name};

	my @circle;
	do { push @circle, pop @stack; $on_stack{ $circle[-1] } = 0; } until $circle[-1] eq $name;
	push @circles, [ sort @circle ] if @circle > 1;
	return;
}

foreach my $name (sort keys %file) { visit($name) if !exists $index{$name}; }

report(1, 'no circle') if !@circles;
foreach my $circle (@circles)
{
	my %in = map { $_ => 1 } @$circle;
	my @closing;

	foreach my $from (@$circle)
	{
		push @closing, map { arrow($from, $_) } grep { $in{$_} } sort keys %{ $uses{$from} };
	}
	report(0, "a circle of " . @$circle . " files: @$circle", @closing);
}

# --- folders -----------------------------------------------------------------

my %floor;
foreach my $i (0 .. $#floors) { $floor{$_} = $i foreach @{ $floors[$i] }; }

my %has = map { $_ // '' => 1 } values %folder_of;
delete $has{''};

if (!%has)
{
	report(1, 'src/ has no folders');
}
else
{
	my @missing = grep { !$has{$_} } map { @$_ } @floors;
	my @unknown = grep { !exists $floor{$_} } sort keys %has;

	report(!@missing && !@unknown, 'src/ has the folders that have a floor, and no others',
		(map { "src/$_ is missing" } @missing), map { "src/$_ has no floor" } @unknown);

	# what is in src/ itself stands above all
	my (@up, @beside);
	foreach my $from (sort keys %uses)
	{
		my $own = $folder_of{$from};

		foreach my $to (sort keys %{ $uses{$from} })
		{
			my $other = $folder_of{$to} // '';

			next if !defined $own || $own eq $other;
			my ($at, $used) = map { $floor{$_} // @floors } $own, $other;
			my $told = "$own/" . arrow($from, $to) . " (of src/$other)";
			push @up, $told if $used > $at;
			push @beside, $told if $used == $at;
		}
	}
	report(!@up, 'no folder uses one above it', @up);
	print "# on one floor: $_\n" foreach @beside;
}
print "1..$count\n";
exit $failed;
PERL
