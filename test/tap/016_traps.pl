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
load_storage($node, 'base', 'dev');
query($node, 'base', q{
	GRANT USAGE ON SCHEMA auth TO dev;
	GRANT TRIGGER, REFERENCES ON auth.users TO dev;
	GRANT CREATE ON SCHEMA public TO dev;
	ALTER PUBLICATION supabase_realtime OWNER TO dev;
	CREATE PUBLICATION trap_forget FOR ALL TABLES WITH (publish = 'insert');
	SET SESSION AUTHORIZATION dev;
	CREATE EXTENSION studio_engine;});
query($node, 'base', fixture());
query($node, 'base', broadcast_fixture('dev'));
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
foreach my $role (qw(superuser owner))
{
	my $refused = refusals(calls($node, 'base', $role));
	my %not_his = map { ("$role $_" => 1) } calls_refused_to($role);

	none_ok("every call of the $role succeeds where nothing is planted, but for what is not for him",
		(map { "$_: $refused->{$_}" } grep { !$not_his{$_} } sort keys %$refused),
		(map { "$_: not refused" } grep { ($refused->{$_} // '') !~ /^42501/ } sort keys %not_his));
}
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
		calls($node, $db, $role, forget => $db eq 'quiet' || $db eq 'indexed');
		changes($node, $db, $role, %tables);
	}
	copies($node, $db, %tables);
	story($node, $db);
	sign_ups($node, $db);
	adoptions($node, $db, qw(superuser owner));
	return trapped($node, $from);
}

# --- traps on tables --------------------------------------------------------------

# Set => kind => how many tables do not let it be planted, and on how many nothing runs it
my %sets = (
	worn => [
		{ 'cast of a foreign key' => 15 },
		{ (map { $_ => 0 } kinds_of('worn')), 'policy' => 19, 'default' => 3 } ],
	# nothing reads the table of welcomed addresses
	quiet => [ { 'exclusion' => 1 }, { (map { $_ => 0 } kinds_of('quiet')), 'exclusion' => 2, 'check of a child' => 1 } ],
	indexed => [ {}, { map { $_ => 0 } kinds_of('indexed') } ],
	# INSERT ... ON CONFLICT refuses a table with such a rule
	ruled => [ {}, { (map { $_ => 0 } kinds_of('ruled')), 'rule for insert' => 22 } ],
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

# --- what a trap may leave behind ---------------------------------------------------

# What is planted on the table that a statement names is left behind by
# PostgreSQL, as is what foreign keys fire: so it is taken away first.
my @plain = (
	(map { [ $_, "UPDATE $_ SET $tables{$_} = $tables{$_};" ] } sort keys %tables),
	[ 'public.jobs', in_uuids(q{INSERT INTO public.jobs (project_id, user_id, status) VALUES ({b1}, {a1}, 'QUEUED');}) ],
	[ 'public.jobs', in_uuids(q{UPDATE public.jobs SET status = 'FAILED' WHERE id = {c2};}) ],
	[ 'public.studio_jobs', in_uuids(q{INSERT INTO public.studio_jobs (user_id, raw_audio_url) VALUES ({a1}, 'u');}) ],
	[ 'public.credit_ledger', in_uuids(q{INSERT INTO public.credit_ledger (user_id, type, amount) VALUES ({a1}, 'grant', 1);}) ],
	[ 'pipeline.job_events', q{INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('a run', 'b', 'x');} ],
	[ 'pipeline.jobs', q{UPDATE pipeline.jobs SET status = 'running' WHERE run_id = 'a run';} ],
	[ 'public.cm_module_content', q{UPDATE public.cm_module_content SET introduction = 'other words';} ],
	[ 'public.mm_multimedia_assets', in_uuids(q{INSERT INTO public.mm_multimedia_assets (session_id, asset_type, file_path) VALUES ({f6}, 'audio', '/a');}) ],
	[ 'public.mm_rendering_queue', in_uuids(q{UPDATE public.mm_rendering_queue SET status = 'failed' WHERE render_id = {fd};}) ],
);

planted('leaving');
{
	my $from = log_position($node);
	my $said = '';

	$said .= calls($node, 'leaving', $_, forget => 1, state => 1) foreach qw(superuser service user);
	foreach my $plain (@plain)
	{
		my ($table, $statement) = @$plain;
		my ($schema) = split /\./, $table;
		my $before = "ALTER TABLE $table DISABLE TRIGGER \"00_leave\"; DROP INDEX $schema.leave_" . ($table =~ tr/./_/r) . ';';

		$said .= attempt($node, 'leaving', join '', map { as_role('leaving', $_, $statement, $statement, before => $before, forget => 1, state => 1) } qw(superuser service));
	}
	$said .= attempt($node, 'leaving',
		as_role('leaving', 'auth', 'sign-up', q{INSERT INTO users (id, email) VALUES ('00000000-0000-4000-8000-0000000000a9', 'n@example.com');}, state => 1)
		  . join '', map { as_role('leaving', $_, 'adopt', 'DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine;', forget => 1, state => 1) } qw(superuser owner));
	live_ok('leaving: the traps are live', [ trapped($node, $from) ], \%tables, leaving => 0);
	none_ok('no trap leaves anything behind in a session', split /\n(?! )/, lines(left_behind($said)));
}

# --- names that we call --------------------------------------------------------------

# Tables are made by this role, in a session as a dump or a diff tool has it.
sub table_makers
{
	my ($round) = @_;

	return join '', map {
		my $role = $_;
		map { as_role($round, $role, 'create table', "$_ CREATE TABLE public.made (); CREATE TABLE of_dev.other AS SELECT 1; CREATE VIEW public.seen AS SELECT 1;") }
		  ('', 'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off;')
	} qw(superuser service owner);
}

foreach my $round (qw(renamed overloaded))
{
	query($node, 'postgres', "CREATE DATABASE $round TEMPLATE base OWNER dev");
	prepare_planter($node, $round, 'dev');
	query($node, $round, 'GRANT CREATE ON SCHEMA of_dev, public TO service_role');
	$round eq 'renamed' ? replace_names($node, $round, 'dev') : overload_names($node, $round, 'dev');

	my $from = log_position($node);
	my $gone = $round eq 'renamed' ? 'gone' : 'studio_engine';

	query($node, $round, "SET application_name = '$round|owner himself|'; SELECT studio_engine.table_names();", user => 'dev') if $round eq 'renamed';
	foreach my $role (qw(superuser service user))
	{
		attempt($node, $round, join '', map {
			my ($name, $call, $before) = map { s/\bstudio_engine\./$gone./gr } @$_;
			as_role($round, $role, $name, $call, before => $before);
		} function_calls());
		changes($node, $round, $role, map { s/^studio_engine\./$gone./r } %tables);
	}
	attempt($node, $round, table_makers($round));
	sign_ups($node, $round);
	adoptions($node, $round, qw(superuser owner));
	attempt($node, $round, join '', map { as_role($round, $_, 'restore', 'DROP EXTENSION studio_engine CASCADE; SET LOCAL row_security = off; CREATE EXTENSION studio_engine;') }
		  qw(superuser owner));
	my @traps = trapped($node, $from);
	ok(scalar(grep { $_->{ran} eq 'dev' } @traps), "$round: a name is live") if $round eq 'renamed';
	no_escape_ok($node, "$round: no name led to somebody else's function", @traps);
}

# While the script of the extension runs, too: what the owner planted renames.
query($node, 'postgres', 'CREATE DATABASE halfway TEMPLATE base OWNER dev');
prepare_planter($node, 'halfway', 'dev');
{
	my $say = say_trap('dev', q{'name of ours'}, q{'lint'});
	my $from = log_position($node);

	query($node, 'halfway', qq{
		CREATE FUNCTION of_dev.rename() RETURNS trigger LANGUAGE plpgsql AS \$trap\$
		BEGIN
			RAISE LOG 'TRAP|%|dev|halfway|%|%|%', current_setting('application_name'), TG_TABLE_NAME, current_user, session_user;
			ALTER SCHEMA studio_engine RENAME TO gone;
			CREATE SCHEMA studio_engine;
			CREATE FUNCTION studio_engine.lint(OUT problem text, OUT type text, OUT identity text) RETURNS SETOF record LANGUAGE plpgsql AS
				'BEGIN } . ($say =~ s/'/''/gr) . qq{ END';
			CREATE FUNCTION studio_engine.table_names() RETURNS text[] LANGUAGE plpgsql AS 'BEGIN } . ($say =~ s/'/''/gr) . qq{ RETURN NULL; END';
			CREATE FUNCTION studio_engine.lock_jobs_of_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN } . ($say =~ s/'/''/gr) . qq{ RETURN OLD; END';
			RETURN NULL;
		END \$trap\$;
		CREATE TRIGGER "00_rename" AFTER INSERT ON studio_engine.queue FOR EACH STATEMENT EXECUTE FUNCTION of_dev.rename();}, user => 'dev');
	attempt($node, 'halfway', join '', map { as_role('halfway', $_, 'adopt', 'DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine; DELETE FROM auth.users;',
		target => 'auth.users') } qw(superuser owner));
	my @traps = trapped($node, $from);
	ok(scalar(grep { $_->{kind} eq 'halfway' } @traps), 'halfway: the trap is live');
	no_escape_ok($node, 'halfway: the script does not run what was renamed under it', grep { $_->{kind} ne 'halfway' || $_->{ran} ne 'dev' } @traps);
}

# Where somebody has prepared the ground for a first installation, too: the private schema is his, the tables have traps, and
# there are functions that are called as ours are.  Those make a call ambiguous, so then it may be refused.
foreach my $db (qw(squatted crowded))
{
	query($node, 'postgres', "CREATE DATABASE $db TEMPLATE worn OWNER dev");
	overload_names($node, $db, 'dev') if $db eq 'crowded';
	query($node, $db, q{SET application_name = 'planting'; SET client_min_messages = error; DROP EXTENSION studio_engine CASCADE; DROP TABLE studio_engine.meta CASCADE;});

	my $from = log_position($node);

	foreach my $loading ('', 'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off;')
	{
		my $said = attempt($node, $db, join '', map { as_role($db, $_, 'install', "$loading CREATE EXTENSION studio_engine; SELECT * FROM studio_engine.lint(); CREATE TABLE public.made ();") }
			  qw(superuser owner));
		is(lines(refusals($said)), '', "$db: the extension installs as a dump is loaded") if $db eq 'squatted' && $loading;
	}
	no_escape_ok($node, "$db: nothing that was prepared ran as somebody else", trapped($node, $from));
}

# --- traps of others than the owner ---------------------------------------------------

# A superuser installs for dev, and default privileges name a developer; maker may create in every schema of ours that is
# not private.  Services and these two plant what they can, under names of PostgreSQL's too, and the path begins there.
my @strangers = qw(maker developer service_role);

query($node, 'postgres', 'CREATE ROLE maker LOGIN; CREATE ROLE developer LOGIN; GRANT service_role TO developer; CREATE DATABASE strangers OWNER dev');
load_stub($node, 'strangers');
load_storage($node, 'strangers', 'dev');
query($node, 'strangers', q{
	ALTER DEFAULT PRIVILEGES FOR ROLE postgres, dev GRANT ALL ON TABLES TO developer;
	ALTER DEFAULT PRIVILEGES FOR ROLE postgres, dev GRANT ALL ON SEQUENCES TO developer;
	ALTER DEFAULT PRIVILEGES FOR ROLE postgres, dev GRANT ALL ON FUNCTIONS TO developer;
	ALTER DEFAULT PRIVILEGES FOR ROLE postgres, dev GRANT ALL ON TYPES TO developer;
	ALTER DEFAULT PRIVILEGES FOR ROLE postgres, dev GRANT ALL ON SCHEMAS TO developer;
	GRANT USAGE ON SCHEMA auth TO dev;
	GRANT TRIGGER, REFERENCES ON auth.users TO dev;
	GRANT CREATE ON SCHEMA public TO dev, maker;
	ALTER PUBLICATION supabase_realtime OWNER TO dev;
	CREATE PUBLICATION trap_forget FOR ALL TABLES WITH (publish = 'insert');
	CREATE EXTENSION studio_engine;
	GRANT USAGE, CREATE ON SCHEMA pipeline TO maker;});
query($node, 'strangers', fixture());
prepare_planter($node, 'strangers', $_) foreach @strangers;
{
	my $from = log_position($node);
	my @planted;

	foreach my $planter (@strangers)
	{
		foreach my $set (qw(worn quiet ruled viewed instead parted deferred))
		{
			my $refused = plant($node, 'strangers', $planter, $set, %tables);

			push @planted, map { my $kind = $_; map { "$planter: $kind on $_" } grep { !$refused->{"$kind on $_"} } sort keys %tables } kinds_of($set);
		}
	}
	none_ok('nobody but the owner can plant anything on a table', @planted);

	shadow_names($node, 'strangers', 'maker', qw(public pipeline of_maker));
	shadow_names($node, 'strangers', 'service_role', 'of_service_role');
	my $path = 'of_maker, of_service_role, public, pipeline, pg_catalog';
	query($node, 'strangers', qq{SET application_name = 'strangers|owner himself|'; SET search_path = $path;
		SELECT now(), format('a'), 1 = 2, 'a' || 'b'::text, count('a'::pg_catalog.text);}, user => 'maker');
	foreach my $role (qw(superuser owner service user))
	{
		calls($node, 'strangers', $role, path => $path);
		changes($node, 'strangers', $role, %tables);
	}
	attempt($node, 'strangers', "ALTER DATABASE strangers SET search_path = $path");
	sign_ups($node, 'strangers');
	changes($node, 'strangers', 'service', %tables);
	adoptions($node, 'strangers', qw(superuser owner));
	my @traps = trapped($node, $from);
	cmp_ok(scalar(grep { $_->{kind} eq 'shadow' && $_->{ran} eq 'maker' } @traps), '>=', 3, 'names of PostgreSQL in front of its own are live');
	no_escape_ok($node, 'strangers: none ran as somebody else', @traps);
}

# --- a dump with traps -----------------------------------------------------------------

# PostgreSQL itself checks rows, fills in columns and builds indexes as it restores them.  What of ours is there then does
# nothing as the superuser; and rows that come by COPY meet it.
{
	my $from = log_position($node);
	my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';

	local $ENV{PGAPPNAME} = 'restored|superuser restore|';
	foreach my $set (qw(worn quiet ruled viewed))
	{
		$node->command_ok([ 'pg_dump', '-Fc', '-f', $file, $set ], "$set: dumped");
		query($node, 'postgres', "CREATE DATABASE restored_$set OWNER dev");
		load_stub($node, "restored_$set");
		$node->run_log([ 'pg_restore', '-d', "restored_$set", $file ]);
		cmp_ok(query($node, "restored_$set", 'SELECT count(*) FROM public.jobs'), '>=', 6, "$set: restored");
	}
	no_escape_ok($node, 'restore: nothing of ours ran a trap', grep { $_->{kind} !~ /^(?:check|domain|generated column|cast of a foreign key|index|exclusion|statistics|view)/ } trapped($node, $from));
}
$node->stop;
done_testing();
