#!/bin/bash
# The arguments of a call are read in the function that SQL calls, and passed on as values; what a function has
# entered it leaves itself.
#
# Pitfall: it reads the sources without a compiler, by the names of functions.
set -euo pipefail

mapfile -t sources < <(find src -name '*.c' | sort)
exec perl - "${sources[@]}" <<'PERL'
use strict;
use warnings;

# who reads arguments for the functions that SQL calls, besides the checks
my %reader = map { $_ => 1 } qw(
	trigger_data argument_pass arguments_first arguments_of_call queue_check_name new_job_check
	claim_read_request);

my ($count, $failed) = (0, 0);

sub report
{
	my ($what, @where) = @_;

	$count++;
	$failed ||= @where > 0;
	print @where ? "not ok $count - $what\n" : "ok $count - $what\n";
	print "# $_\n" foreach @where;
}

my (@takes, @reads, @unbalanced, @unlisted, %seen);
my $entries = 0;

foreach my $path (@ARGV)
{
	open my $source, '<', $path or die "$path: $!";
	my ($file) = $path =~ m{([^/]+)$};
	my $text = do { local $/; <$source> };
	my %entry = map { $_ => 1 } $text =~ /^PG_FUNCTION_INFO_V1\((\w+)\)/mg;

	while ($text =~ /^(\w+)\(([^;{]*)\)\n\{\n(.*?)^\}/msg)
	{
		my ($name, $parameters, $body) = ($1, $2, $3);
		my $called = $parameters eq 'PG_FUNCTION_ARGS';

		$entries += $called;
		push @unlisted, "$file: $name()" if $called && !$entry{$name};
		$seen{$name} = 1 if $parameters =~ /\bFunctionCallInfo\b/;
		if ($file ne 'checks.c' && !$reader{$name})
		{
			push @takes, "$file: $name()" if $parameters =~ /\bFunctionCallInfo\b/;
			push @reads, "$file: $name()" if !$called && $body =~ /\bPG_(?:GETARG_\w+|ARGISNULL|NARGS)\b/;
		}
		if ($file ne 'caller.c')
		{
			my $enters = $body =~ /\bcaller_enter_\w+\(/;
			my $leaves = $body =~ /\bcaller_leave\(/;

			push @unbalanced, "$file: $name()" if $enters != $leaves;
		}
	}
}

report('no helper takes FunctionCallInfo', @takes);
report('no helper reads arguments of the call', @reads);
report('who enters leaves', @unbalanced);
report('PG_FUNCTION_ARGS is what SQL calls', @unlisted);
report('who is known to take FunctionCallInfo does', grep { !$seen{$_} } sort keys %reader);
report("$entries functions were found", $entries < 100 ? ('too few') : ());
print "1..$count\n";
exit $failed;
PERL
