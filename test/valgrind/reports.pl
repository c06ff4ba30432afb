#!/usr/bin/perl
# Reads what memcheck wrote, one XML file for each process, and prints every report
# with a frame of our library in it, once.  reports.pl DIRECTORY SERVER_LOG
#
# Fails when there is one, and also when the mistakes of control.c are not among
# them: then memcheck did not run, did not see our library, or this filter is wrong.
#
# Reports of leaks, which XML brings along, are left out: a process of PostgreSQL ends without freeing anything.
#
# Pitfall: a frame of a function with debug information does not name the library
# in memcheck's plain text, so that a search of the text finds nothing.

use strict;
use warnings;

my $library = qr{/studio_engine\.so$};
my @mistakes = qw(control_overrun control_undefined);
my ($directory, $server_log) = @ARGV;

sub slurp
{
	my ($file) = @_;

	open my $handle, '<', $file or die "$file: $!\n";
	local $/ = undef;
	return scalar <$handle>;
}

sub element
{
	my ($name, $xml) = @_;
	my ($text) = $xml =~ m{<$name>(.*?)</$name>}s;

	return '' if !defined $text;
	$text =~ s/&lt;/</g;
	$text =~ s/&gt;/>/g;
	$text =~ s/&amp;/&/g;
	return $text;
}

# The stacks of a report one after the other: where it happened, and where its block was freed and allocated.
sub frames
{
	my ($xml) = @_;

	return map {
		/^<auxwhat>/
		  ? { library => '', note => element('auxwhat', $_) }
		  : { library => element('obj', $_), function => element('fn', $_), file => element('file', $_), line => element('line', $_) }
	} $xml =~ m{(<auxwhat>.*?</auxwhat>|<frame>.*?</frame>)}gs;
}

sub frame_text
{
	my ($frame) = @_;
	my $mark = $frame->{library} =~ $library ? '  *' : '   ';

	return "  $frame->{note}" if exists $frame->{note};
	return "$mark $frame->{function}" . ($frame->{file} ne '' ? " ($frame->{file}:$frame->{line})" : " in $frame->{library}");
}

# Which script a process worked for, from the names that sessions give.
sub sessions
{
	my ($file) = @_;

	return slurp($file) =~ m{^(\d+) (\S+) LOG:  disconnection}mg;
}

my %session = sessions($server_log);
my (%seen, @ours);
my %count = (processes => 0, errors => 0, ours => 0);
foreach my $file (glob "$directory/*.xml")
{
	my $xml = slurp($file);
	my ($pid) = $file =~ /(\d+)\.xml$/;

	$count{processes}++;
	foreach my $error (grep { element('kind', $_) !~ /^Leak_/ } $xml =~ m{<error>(.*?)</error>}gs)
	{
		my @frames = frames($error);

		$count{errors}++;
		next if !grep { $_->{library} =~ $library } @frames;
		if (my ($mistake) = grep { /^control_/ } map { $_->{function} // '' } @frames)
		{
			$seen{$mistake}++;
			next;
		}
		$count{ours}++;
		my $text = join "\n", element('kind', $error) . ': ' . (element('what', $error) || element('text', $error)), map { frame_text($_) } @frames;
		push @ours, $text if !$seen{$text}++;
		print "in $session{$pid}, process $pid:\n$text\n\n" if $seen{$text} == 1;
	}
}

my @missed = grep { !$seen{$_} } @mistakes;
printf "%d processes, %d reports, %d with studio_engine.so in it (%d different); the server %s\n",
  @count{qw(processes errors ours)}, scalar @ours,
  $seen{control_released} ? 'tells memcheck of palloc and pfree' : 'does not tell memcheck of palloc and pfree';
print "NOT SEEN, though made on purpose: @missed\n" if @missed;
exit(@ours || @missed ? 1 : 0);
