#!/bin/bash
# Every entry point in C enters before it touches the data layer: what opens a table or runs a statement is reached
# through caller_enter_...() or caller_become(), or is called by what is.
#
# Pitfall: it reads the sources without a compiler, by the names of functions.  A function that is called through a
# pointer is not followed.
set -euo pipefail

mapfile -t sources < <(find src -name '*.c' | sort)
exec perl - "${sources[@]}" <<'PERL'
use strict;
use warnings;

# what touches the data layer, or evaluates what its owner wrote
my $touches = qr/\b(?:statement_(?:run|read|look)\w*|SPI_(?:execute|cursor_open|prepare)\w*|(?:try_)?(?:relation|table|index)_open\w*|build_column_default|BuildIndexInfo|ExecInit\w+)\b/;
my $enters = qr/\b(?:caller_enter_\w+|caller_become)\b/;

# what touches catalogs only; who adds one says which
my %known = (
	find_extension_schema => 'pg_extension',
);

my (%body, %entry, %elsewhere);

foreach my $path (@ARGV)
{
	open my $source, '<', $path or die "$path: $!";
	my ($name, $text, $static, $before) = ('', '', 0, '');

	while (my $line = <$source>)
	{
		$entry{$1} = $path if $line =~ /^PG_FUNCTION_INFO_V1\((\w+)\)/;
		if ($line =~ /^(\w+)\(/)
		{
			$name = $1;
			$elsewhere{$name} = $path if $before !~ /^(?:pg_noreturn )?static /;
		}
		$before = $line;
		$text = '' if $line =~ /^\{/;
		$text .= $line;
		if ($line =~ /^\}/ && $name ne '')
		{
			$body{$path}{$name} = $text =~ s{/\*.*?\*/}{}gsr;
			$name = '';
		}
	}
}

# The first way from a function to what touches the data layer without entering; '' for none.
my %way;

sub way_from
{
	my ($path, $name) = @_;

	$path = $elsewhere{$name} if !exists $body{$path}{$name};
	return '' if !defined $path || !exists $body{$path}{$name};
	return $way{$path}{$name} if exists $way{$path}{$name};
	$way{$path}{$name} = '';
	return '' if $known{$name};

	# what stands before entering, and after leaving
	my $text = $body{$path}{$name};
	$text =~ s/$enters.*\bcaller_(?:leave|resume)\b//s or $text =~ s/$enters.*//s;

	return $way{$path}{$name} = "$name > $1" if $text =~ /($touches)\s*\(/;
	foreach my $called ($text =~ /\b(\w+)\s*\(/g)
	{
		my $further = way_from($path, $called);
		return $way{$path}{$name} = "$name > $further" if $further ne '';
	}
	return '';
}

my ($count, $failed) = (0, 0);

foreach my $name (sort keys %entry)
{
	my $way = exists $body{ $entry{$name} }{$name} ? way_from($entry{$name}, $name) : "$name, which is not in $entry{$name}";

	$count++;
	$failed ||= $way ne '';
	print $way eq '' ? "ok $count - $name()\n" : "not ok $count - $name()\n# nobody enters: $way\n";
}
foreach my $name (sort keys %known)
{
	$count++;
	my $stale = !grep { ($body{$_}{$name} // '') =~ $touches } keys %body;
	$failed ||= $stale;
	print $stale ? "not ok $count - $name() is known, and touches nothing\n" : "ok $count - $name() is known: $known{$name}\n";
}
print "1..$count\n";
exit($failed || $count < 50 ? 1 : 0);
PERL
