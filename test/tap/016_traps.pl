# A matrix of traps: every kind of object that can carry code, planted by each
# role that may plant it, on each table and under each name; then everything of
# ours is run by everybody.  No trap may run as a role that its planter is not a
# member of, and none may leave behind what runs later.
#
# Pitfall: a trap that never fires shows nothing.  Each set is seen to fire on
# the tables, each call is seen to succeed where nothing is planted, and a
# table or a function that is not in the matrix fails the test.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use StudioCalls;
use StudioTest;
use Test::More;
use Traps;

my $node = new_cluster('traps');

query($node, 'postgres', 'CREATE ROLE dev LOGIN');

# A database of dev's, who installs, with rows; dev owns the data.
query($node, 'postgres', 'CREATE DATABASE base OWNER dev');
load_stub($node, 'base');
query($node, 'base', q{
	GRANT USAGE ON SCHEMA auth TO dev;
	GRANT TRIGGER, REFERENCES ON auth.users TO dev;
	GRANT CREATE ON SCHEMA public TO dev;
	ALTER PUBLICATION supabase_realtime OWNER TO dev;
	CREATE PUBLICATION trap_forget FOR ALL TABLES WITH (publish = 'insert');
	SET SESSION AUTHORIZATION dev;
	CREATE EXTENSION studio_engine;});
query($node, 'base', fixture());
my %tables = our_tables($node, 'base');

# --- the matrix itself ---------------------------------------------------------

# What was refused, one per line.
sub lines
{
	my ($refused) = @_;

	return join "\n", map { "$_: $refused->{$_}" } sort keys %$refused;
}

is(join(' ', calls_left_out($node, 'base')), '', 'every function of the extension has a call, and every call a function');
is(join(' ', unused_triggers($node, 'base')), '', 'every trigger function has a trigger');
is(lines(calls($node, 'base', 'superuser')), '', 'every call succeeds where nothing is planted');
is(join(' ', grep { query($node, 'base', "SELECT count(*) FROM $_") eq '0' } sort keys %tables), '', 'every table has rows');

# A copy of the database in which dev plants a set.
sub planted
{
	my ($set, %refused) = @_;
	query($node, 'postgres', "CREATE DATABASE $set TEMPLATE base OWNER dev");
	prepare_planter($node, $set, 'dev');
	my $refused = plant($node, $set, 'dev', $set, %tables);
	my %count;

	$count{ s/ on .*//r }++ foreach keys %$refused;
	is_deeply(\%count, \%refused, "$set: planted on every table") or diag(lines($refused));
	return;
}

# Everything of ours is run in a database by everybody.
sub run_everything
{
	my ($db) = @_;
	my $from = log_position($node);

	foreach my $role (qw(superuser service user))
	{
		calls($node, $db, $role, forget => 1);
		changes($node, $db, $role, %tables);
	}
	story($node, $db);
	sign_ups($node, $db);
	adoptions($node, $db, qw(superuser owner));
	return trapped($node, $from);
}

# --- traps on tables --------------------------------------------------------------

# Set => kind => how many tables do not let it be planted, and on how many nothing runs it
my %sets = (
	worn => [
		{ 'cast of a foreign key' => 7 },
		{ (map { $_ => 0 } kinds_of('worn')), 'policy' => 7, 'default' => 3 } ],
	quiet => [ { 'exclusion' => 2 }, { (map { $_ => 0 } kinds_of('quiet')), 'exclusion' => 2 } ],
	indexed => [ {}, { map { $_ => 0 } kinds_of('indexed') } ],
	# INSERT ... ON CONFLICT refuses a table with such a rule
	ruled => [ {}, { (map { $_ => 0 } kinds_of('ruled')), 'rule for insert' => 16 } ],
	viewed => [ {}, { map { $_ => 0 } kinds_of('viewed') } ],
	instead => [ {}, { map { $_ => 0 } kinds_of('instead') } ],
	parted => [ {}, { map { $_ => 0 } kinds_of('parted') } ],
	deferred => [ {}, { map { $_ => 2 } kinds_of('deferred') } ],
);

foreach my $set (sort keys %sets)
{
	my ($refused, $dead) = @{ $sets{$set} };

	planted($set, %$refused);
	my @traps = run_everything($set);
	live_ok("$set: the traps are live", \@traps, \%tables, %$dead);
	no_escape_ok($node, "$set: none ran as somebody else", @traps);
}

$node->stop;
done_testing();
