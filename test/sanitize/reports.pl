#!/usr/bin/perl
# Reads what AddressSanitizer wrote, one file for each process, and prints every report with a frame of our library in
# it, once.  Then what the logs of the servers say: undefined behaviour in our sources, assertions that failed, processes
# that broke.  reports.pl DIRECTORY SERVER_LOG...
#
# Fails when there is one, and also when the mistakes of control.c are not among the reports: then the sanitizers did
# not run, did not see our library, or this filter is wrong.
#
# Pitfall: the process title of PostgreSQL lies where UndefinedBehaviorSanitizer looks for its options, so that it
# writes to the log of the server, and no stack: ours is what the compiler found in src/, or in a header of the server
# as it is installed.

use strict;
use warnings;

my @mistakes = qw(control_overrun control_released control_deleted control_undefined);
my ($directory, @logs) = @ARGV;
my (%seen, %count);
$count{$_} = 0 foreach qw(reports ours others broken);

sub slurp
{
	my ($file) = @_;

	open my $handle, '<', $file or die "$file: $!\n";
	local $/ = undef;
	return scalar <$handle> // '';
}

# What happened, and its stacks: where it did, and where the memory was freed and allocated.  The same of two processes
# has other addresses.
sub told
{
	my ($report) = @_;
	my @lines = grep { /ERROR: |^\s+#\d+ |^(?:freed|previously allocated|allocated) by/ } split /\n/, $report;

	foreach (@lines)
	{
		s/^==\d+==ERROR: //;
		s/ at pc \w+ bp.*//;
		s/\b0x[0-9a-f]+/ADDRESS/g;
		s/^\s+(#\d+) in (.*?)\s*\(([^()]+)\+ADDRESS\)$/$3 eq 'studio_engine.so' ? "  * $1 $2" : "    $1 $2"/e;
	}
	return join "\n", @lines;
}

# One report, ours or not; a mistake is made on purpose.
sub note
{
	my ($where, $is_ours, $mistake, $told) = @_;

	$count{reports}++;
	if (defined $mistake)
	{
		$seen{$mistake}++;
	}
	elsif (!$seen{$told}++)
	{
		$count{ $is_ours ? 'ours' : 'others' }++;
		print "$where: $told\n" if $is_ours;
	}
	return;
}

foreach my $file (sort glob "$directory/*")
{
	my ($process) = $file =~ /(\d+)$/;

	foreach my $report (grep { /^==\d+==ERROR: / } split /^(?===\d+==ERROR: )/m, slurp($file))
	{
		note("process $process", scalar $report =~ /\(studio_engine\.so\+0x/, $report =~ /\bin (control_\w+)/ ? $1 : undef, told($report));
	}
}

foreach my $log (@logs)
{
	foreach (split /\n/, slurp($log))
	{
		if (my ($place, $error) = /(\S+:\d+:\d+): runtime error: (.*)/)
		{
			note($log, scalar $place =~ m{^src/|^/}, $place =~ m{^src/sanitize_control\.c} ? 'control_undefined' : undef, "$place: $error");
		}
		next if !/TRAP: |was terminated by signal|\(PID \d+\) exited with exit code (?![01]\b)/;
		$count{broken}++;
		print "$log: $_\n";
	}
}

my @missed = grep { !$seen{$_} } @mistakes;
printf "%d reports; of studio_engine %d different ones, of the server alone %d; %d processes broke\n", @count{qw(reports ours others broken)};
print "NOT SEEN, though made on purpose: @missed\n" if @missed;
exit($count{ours} || $count{broken} || @missed ? 1 : 0);
