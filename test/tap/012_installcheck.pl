# make installcheck, as packagers run it: the tests of the suites regress and isolation of test/run.sh, all of them, on a
# server that runs; whoever it is that fails, it fails.
#
# Pitfall: PGXS does without a word what it has no list for.  Hence the lists are compared with the files.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('installcheck');
my $wrong = PostgreSQL::Test::Utils::tempdir();

# --- the lists ---------------------------------------------------------------

my ($commands) = run_command([ 'make', '-n', 'installcheck' ]);

sub listed_ok
{
	my ($program, $directory, $suffix) = @_;
	my ($listed) = $commands =~ m{/\Q$program\E .* --dbname=\S+ (.*)};
	my @files = map { s{.*/}{}r =~ s{\Q$suffix\E$}{}r } sort glob "$directory/*$suffix";

	cmp_ok(scalar @files, '>', 1, "there are files in $directory");
	is($listed, join(' ', @files), "$program runs the files of $directory in the order of their names");
	return;
}
listed_ok('pg_regress', 'test/sql', '.sql');
listed_ok('pg_isolation_regress', 'test/isolation/specs', '.spec');

# --- a run ---------------------------------------------------------------------

sub installcheck
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $said, $name, @settings) = @_;

	$node->command_checks_all([ 'make', 'installcheck', @settings ], $status, [$said], [ $status ? qr/\S/ : qr// ], $name);
	return;
}
my @some = ('REGRESS=000_setup 300_drafts', 'ISOLATION=000_setup claim_draft');

$node->command_checks_all([ 'make', 'installcheck', @some ], 2, [qr/^(?!.*000_setup\s+\.\.\.)/s],
	[qr/needs a server with max_prepared_transactions = 10/], 'it tells what the server has to have');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 10');
$node->restart;

my $passed = qr/000_setup.*300_drafts.*000_setup.*claim_draft/s;
installcheck(0, $passed, 'it runs tests of both suites', @some);
installcheck(0, $passed, '... and again, with what the first run left', @some);

# --- a failure -------------------------------------------------------------------

mkdir "$wrong/$_" foreach qw(sql specs expected);
append_to_file("$wrong/sql/wrong.sql", "SELECT 1;\n");
append_to_file("$wrong/specs/wrong.spec", "session s\nstep s { SELECT 1; }\n");
append_to_file("$wrong/expected/wrong.out", "something else\n");

installcheck(2, qr/wrong/, 'a regress test that fails fails it',
	'REGRESS=wrong', "REGRESS_OPTS=--inputdir=$wrong --dbname=contrib_regression", 'ISOLATION=000_setup');
installcheck(2, qr/wrong/, 'an isolation test that fails fails it',
	'REGRESS=000_setup', 'ISOLATION=wrong', "ISOLATION_OPTS=--inputdir=$wrong --use-existing --dbname=isolation_regression");

done_testing();
