# Hooks on auth.users beside those of a project: nobody's trigger is replaced, both
# fire at sign-up, and ours stays one, whoever creates, drops and restores triggers.
#
# Pitfall: a project creates its trigger before the extension, after it, or with a
# dump; as the owner of the database, who does not own auth.users, or as a superuser.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('hooks');
my $dir = PostgreSQL::Test::Utils::tempdir();

# --- a starter project -------------------------------------------------------------

# The usual shape, with counters that tell which of its triggers fired.
my $project = q{
	CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, full_name text);
	CREATE TABLE public.deletions (id uuid);
	CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
	BEGIN
		INSERT INTO public.profiles VALUES (NEW.id, NEW.raw_user_meta_data ->> 'full_name');
		RETURN NEW;
	END $$;
	CREATE FUNCTION public.handle_deleted_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
	BEGIN
		INSERT INTO public.deletions VALUES (OLD.id);
		RETURN OLD;
	END $$;
	CREATE SCHEMA studio;
	GRANT USAGE ON SCHEMA studio TO anon, authenticated, service_role;};
my $project_triggers = q{
	CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
	CREATE TRIGGER on_auth_user_deleted BEFORE DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_deleted_user();};

# A database of an owner who is no superuser and owns nothing in schema auth.
sub database
{
	my ($db, $sql, %options) = @_;

	query($node, 'postgres', qq(DROP DATABASE IF EXISTS "$db"));
	query($node, 'postgres', qq(CREATE DATABASE "$db" OWNER developer));
	load_stub($node, $db);
	query($node, $db, q{
		GRANT CREATE ON SCHEMA public TO developer;
		GRANT USAGE ON SCHEMA auth TO developer;
		GRANT ALL ON auth.users TO developer;});
	query($node, $db, $sql, user => 'developer') if defined $sql;
	return;
}

# The triggers on auth.users and what they run, sorted by name.
sub triggers
{
	my ($db) = @_;

	return query($node, $db, q{
		SELECT tgname || ' ' || tgfoid::regproc::text || CASE tgenabled WHEN 'O' THEN '' ELSE ' ' || tgenabled::text END
		  FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND NOT tgisinternal ORDER BY tgname;});
}

# Hooks as they are where both triggers of the project are there; %s is our schema.
my $beside = join "\n", 'on_auth_user_created handle_new_user', 'on_auth_user_deleted handle_deleted_user',
	'on_auth_user_updated studio_engine.handle_user_change', 'studio_engine_on_auth_user_created studio.handle_new_user',
	'studio_engine_on_auth_user_deleted studio_engine.lock_jobs_of_user';
my $alone = join "\n", 'on_auth_user_created studio.handle_new_user', 'on_auth_user_deleted studio_engine.lock_jobs_of_user',
	'on_auth_user_updated studio_engine.handle_user_change';

# A user signs up and is deleted: rows on both sides, once.
sub both_fire
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name, %options) = @_;
	my $id = uuid_of($name, $db);
	my $theirs = $options{without_project} ? 0 : 1;

	is(query($node, $db, qq{
		INSERT INTO auth.users (id, email, raw_user_meta_data) VALUES ('$id', '$id\@example.com', '{"full_name": "Ada"}');
		SELECT (SELECT count(*) FROM public.profiles WHERE id = '$id' AND full_name = 'Ada'),
			   (SELECT count(*) FROM studio.profiles WHERE id = '$id' AND display_name = 'Ada'),
			   (SELECT array_agg(amount) FROM studio.credit_ledger WHERE user_id = '$id');
		DELETE FROM auth.users WHERE id = '$id';
		SELECT (SELECT count(*) FROM public.deletions WHERE id = '$id'), (SELECT count(*) FROM studio.profiles WHERE id = '$id'),
			   (SELECT count(*) FROM studio_engine.welcomed) > 0;
		DELETE FROM public.deletions;}), "$theirs|1|{10}\n$theirs|0|t", $name);
	return;
}

my $problems = 'SELECT hook, detail, remedy FROM studio_engine.missing_hooks();';

# --- installed beside it ------------------------------------------------------------

query($node, 'postgres', 'CREATE ROLE developer LOGIN;');
my %installer = (owner => 'developer', superuser => 'postgres');

foreach my $who (sort keys %installer)
{
	my @as = (user => $installer{$who});

	database('beside', $project . $project_triggers);
	my $theirs = triggers('beside');
	sql_ok($node, 'beside', 'CREATE EXTENSION studio_engine SCHEMA studio', "$who: installs beside a project with triggers of the same names", @as);
	is(triggers('beside'), $beside, "$who: ... whose triggers stay, and ours have names of their own");
	is(query($node, 'beside', $problems), '', "$who: ... no hook is missing");
	both_fire('beside', "$who: ... both sides have their rows");
	alive_ok($node, 'beside', "$who: ... all works", 'studio');

	sql_ok($node, 'beside', 'DROP EXTENSION studio_engine CASCADE', "$who: DROP EXTENSION", @as);
	is(triggers('beside'), $theirs, "$who: ... leaves the triggers of the project and no other");
	sql_ok($node, 'beside', 'CREATE EXTENSION studio_engine SCHEMA studio', "$who: adopts",
		user => 'developer');
	is(triggers('beside'), $beside, "$who: ... with the same hooks");
	both_fire('beside', "$who: ... after which both sides have their rows");

	query($node, 'beside', 'DROP EXTENSION studio_engine CASCADE; DROP TRIGGER on_auth_user_created ON auth.users; DROP TRIGGER on_auth_user_deleted ON auth.users;');
	query($node, 'beside', 'CREATE EXTENSION studio_engine SCHEMA studio', user => 'developer');
	is(triggers('beside'), $alone, "$who: adopted where the project gave its triggers up, ours have their names");
	both_fire('beside', "$who: ... and fire", without_project => 1);
}

# names that are taken too, and names that want quoting
database('crowded', $project . $project_triggers . q{
	CREATE TRIGGER studio_engine_on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_deleted_user();
	DROP FUNCTION public.handle_deleted_user() CASCADE;
	CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER studio_engine_on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.nothing();
	CREATE SCHEMA "Studio Stage";
	GRANT USAGE ON SCHEMA "Studio Stage" TO anon, authenticated, service_role;});
sql_ok($node, 'crowded', 'CREATE EXTENSION studio_engine SCHEMA "Studio Stage"', 'installs where its second name is taken too', user => 'developer');
is(triggers('crowded'), join("\n", 'on_auth_user_created handle_new_user', 'on_auth_user_deleted studio_engine.lock_jobs_of_user',
	'on_auth_user_updated studio_engine.handle_user_change', 'studio_engine_on_auth_user_created nothing',
	'studio_engine_on_auth_user_created_2 "Studio Stage".handle_new_user'), '... with a third');
alive_ok($node, 'crowded', '... and all works', '"Studio Stage"');

# --- the project puts its triggers back ------------------------------------------------

my %putting_back = (
	'CREATE TRIGGER' => $project_triggers,
	'CREATE OR REPLACE TRIGGER' => $project_triggers =~ s/CREATE TRIGGER/CREATE OR REPLACE TRIGGER/gr,
	'DROP IF EXISTS, then CREATE TRIGGER' => $project_triggers =~ s/CREATE TRIGGER (\w+)/DROP TRIGGER IF EXISTS $1 ON auth.users; CREATE TRIGGER $1/gr,
	'CREATE TRIGGER by the search_path' => 'SET search_path = auth, public;' . $project_triggers =~ s/auth\.users/users/gr,
	'CREATE TRIGGER while a dump is loaded' => 'SET row_security = off; SET check_function_bodies = off;' . $project_triggers,
	'CREATE TRIGGER as a replica' => 'SET session_replication_role = replica;' . $project_triggers,
);
foreach my $way (sort keys %putting_back)
{
	foreach my $who (sort keys %installer)
	{
		next if $who eq 'owner' && $way =~ /replica|DROP/;
		database('later', $project);
		query($node, 'later', 'CREATE EXTENSION studio_engine SCHEMA studio', user => 'developer');
		is(triggers('later'), $alone, "$way by the $who: before it ours have the names") if $way eq 'CREATE TRIGGER';
		sql_ok($node, 'later', $putting_back{$way}, "$way by the $who: succeeds", user => $installer{$who});
		is(triggers('later'), $beside, '... and ours go on by other names');
		both_fire('later', '... both sides have their rows');
	}
}

# What has nothing to do with us, and who may not.
query($node, 'later', 'CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA auth TO stranger; CREATE TABLE public.users (id uuid); GRANT ALL ON public.users TO stranger; ' .
	'GRANT USAGE ON SCHEMA public, studio TO stranger');
my $before = triggers('later');
sql_ok($node, 'later', q{CREATE TRIGGER studio_engine_on_auth_user_created BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()},
	'a trigger of that name on another table users', user => 'stranger');
refused_ok($node, 'later', "CREATE TRIGGER $_ AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION studio.handle_new_user()", '42501', [],
	"a role without TRIGGER on auth.users takes no hook away: $_", user => 'stranger') foreach qw(studio_engine_on_auth_user_created mine);
query($node, 'later', 'GRANT TRIGGER ON auth.users TO stranger');
refused_ok($node, 'later', 'CREATE TRIGGER mine AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION studio.handle_new_user()', '42501', [],
	'... nor does one who may not call its function', user => 'stranger');
sql_ok($node, 'later', q{CREATE TRIGGER other BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger(); },
	'... but he creates triggers of his own', user => 'stranger');
is(triggers('later'), "$before" =~ s/^(?=studio_engine_on_auth_user_created)/other suppress_redundant_updates_trigger\n/mr, '... beside ours');
query($node, 'later', 'DROP TRIGGER other ON auth.users');

# --- what is noticed ---------------------------------------------------------------------

my %damage = (
	'a hook that was dropped' => [ 'DROP TRIGGER studio_engine_on_auth_user_created ON auth.users',
		'on_auth_user_created|no trigger runs studio.handle_new_user(); trigger on_auth_user_created runs public.handle_new_user()'
		. '|CREATE OR REPLACE TRIGGER studio_engine_on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION studio.handle_new_user()' ],
	'a hook that was dropped, its name free' => [ 'DROP TRIGGER on_auth_user_updated ON auth.users',
		'on_auth_user_updated|no trigger runs studio_engine.handle_user_change()'
		. '|CREATE OR REPLACE TRIGGER on_auth_user_updated AFTER UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.handle_user_change()' ],
	'a hook that is disabled' => [ 'ALTER TABLE auth.users DISABLE TRIGGER studio_engine_on_auth_user_deleted',
		'on_auth_user_deleted|trigger studio_engine_on_auth_user_deleted is disabled'
		. '|CREATE OR REPLACE TRIGGER studio_engine_on_auth_user_deleted BEFORE DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.lock_jobs_of_user()' ],
	'a hook with a condition' => [ 'CREATE OR REPLACE TRIGGER studio_engine_on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW WHEN (false) EXECUTE FUNCTION studio.handle_new_user()',
		'on_auth_user_created|was altered: CREATE TRIGGER studio_engine_on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW WHEN (false) EXECUTE FUNCTION studio.handle_new_user()'
		. '|CREATE OR REPLACE TRIGGER studio_engine_on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION studio.handle_new_user()' ],
	'a hook of another event' => [ 'CREATE OR REPLACE TRIGGER studio_engine_on_auth_user_deleted AFTER DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.lock_jobs_of_user()',
		'on_auth_user_deleted|was altered: CREATE TRIGGER studio_engine_on_auth_user_deleted AFTER DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.lock_jobs_of_user()'
		. '|CREATE OR REPLACE TRIGGER studio_engine_on_auth_user_deleted BEFORE DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.lock_jobs_of_user()' ],
	'two hooks of one function' => [ 'ALTER EVENT TRIGGER studio_engine_make_way DISABLE;
		CREATE TRIGGER again AFTER UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.handle_user_change();
		ALTER EVENT TRIGGER studio_engine_make_way ENABLE ALWAYS',
		'on_auth_user_updated|2 triggers run studio_engine.handle_user_change()'
		. '|CREATE OR REPLACE TRIGGER again AFTER UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.handle_user_change()' ],
);
foreach my $name (sort keys %damage)
{
	my ($sql, $row) = @{ $damage{$name} };

	query($node, 'later', $sql);
	is(query($node, 'later', $problems, user => 'developer'), $row, "missing_hooks() tells of $name");
	sql_ok($node, 'later', (split /\|/, $row)[2], '... and its remedy runs as it stands', user => 'developer');
	is(query($node, 'later', $problems), '', '... after which nothing is missing');
	query($node, 'later', 'CREATE OR REPLACE TRIGGER on_auth_user_updated AFTER UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION studio_engine.handle_user_change()')
	  if $name =~ /^two/;
	is(triggers('later'), $beside, '... with one trigger for each hook');
}

# A trigger with a condition of the owner's is his choice: another trigger does not mend it.
query($node, 'later', 'CREATE OR REPLACE TRIGGER studio_engine_on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW WHEN (true) EXECUTE FUNCTION studio.handle_new_user();
	CREATE TRIGGER other BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger(); DROP TRIGGER other ON auth.users');
like(query($node, 'later', $problems), qr/^on_auth_user_created\|was altered: .*WHEN \(true\)/, 'what the owner altered stays as it is');
query($node, 'later', 'DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine SCHEMA studio', user => 'developer');

# Whatever the owner does to his schemas, others create their triggers.
query($node, 'later', 'DROP TRIGGER studio_engine_on_auth_user_created ON auth.users; ALTER SCHEMA studio_engine RENAME TO elsewhere; ALTER SCHEMA elsewhere OWNER TO developer; CREATE SCHEMA studio_engine AUTHORIZATION developer');
my (undef, undef, $said) = run_sql($node, 'later', 'CREATE TRIGGER other BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', user => 'stranger');
like($said, qr/\A\S+ WARNING:  01000: the hooks of studio_engine on auth\.users could not be attached again\n.*\n.*missing_hooks/, 'what stands in for our schema fails for nobody else');
unlike($said, qr/ERROR/, '... the trigger is created');
is(query($node, 'later', 'SELECT hook FROM elsewhere.missing_hooks()'), 'on_auth_user_created', '... and missing_hooks() knows what is missing by any name');
query($node, 'later', 'DROP SCHEMA studio_engine; ALTER SCHEMA elsewhere RENAME TO studio_engine; DROP TRIGGER other ON auth.users');
query($node, 'later', 'REVOKE TRIGGER ON auth.users FROM developer');
query($node, 'later', 'CREATE TRIGGER other BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', user => 'stranger');
is(query($node, 'later', 'SELECT hook FROM studio_engine.missing_hooks()'), 'on_auth_user_created', 'an owner without TRIGGER on auth.users attaches nothing');
refused_ok($node, 'later', 'CREATE TRIGGER on_auth_user_updated BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', '42710', [],
	'... so that nobody takes the name of a hook', user => 'stranger');
query($node, 'later', 'GRANT TRIGGER ON auth.users TO developer; DROP TRIGGER other ON auth.users');
query($node, 'later', (split /\|/, query($node, 'later', $problems))[2], user => 'developer');
is(triggers('later'), $beside, '... until he has it again');
refused_ok($node, 'later', $problems, '42501', [], 'missing_hooks() is not for everybody', user => 'stranger');

# --- dumps -------------------------------------------------------------------------------

sub client
{
	my ($program, $db, @arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $program, '-h', $node->host, '-p', $node->port, '-d', $db, @arguments ], '>', \$out, '2>', \$err);
	return ($? >> 8, $err);
}

my $user = q{INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-000000000001', 'a@example.com')};
query($node, 'later', $user);
foreach my $source ([ 'later', $beside ], [ 'alone', $alone ])
{
	my ($db, $hooks) = @$source;

	if ($db eq 'alone')
	{
		database('alone', $project);
		query($node, 'alone', 'CREATE EXTENSION studio_engine SCHEMA studio', user => 'developer');
	}
	client('pg_dump', $db, '-Fc', '-f', "$dir/$db");
	client('pg_dump', $db, '-Fc', '-N', 'auth', '-f', "$dir/$db.without");
	client('pg_dump', $db, '-f', "$dir/$db.sql");

	# into nothing
	query($node, 'postgres', 'DROP DATABASE IF EXISTS copy');
	query($node, 'postgres', 'CREATE DATABASE copy OWNER developer');
	is((client('pg_restore', 'copy', '-e', "$dir/$db"))[1], '', "$db: the whole dump loads into an empty database");
	is(triggers('copy'), $hooks, '... with the same triggers');
	both_fire('copy', '... which fire', without_project => $db eq 'alone');

	# over a database that has auth.users
	foreach my $way ([ 'psql', '-X', '-q', '-o', '/dev/null', '-f', "$dir/$db.sql" ], [ 'pg_restore', "$dir/$db" ], [ 'pg_restore', '-j4', "$dir/$db" ])
	{
		my ($program, @arguments) = @$way;

		database('copy');
		(undef, my $err) = client($program, 'copy', @arguments);
		unlike($err, qr/on_auth_user/, "$db: loaded by $program @arguments[0 .. $#arguments - 1] over auth.users, no trigger is in the way");
		is(triggers('copy'), $hooks, '... and the triggers are the same');
		both_fire('copy', '... which fire', without_project => $db eq 'alone');
	}

	# without schema auth the triggers of the project are not in the dump
	database('copy');
	query($node, 'copy', $user) if $db eq 'later';
	is(join("\n", grep { /error: .*ERROR/ && !/"supabase_realtime" already exists/ } split /\n/, (client('pg_restore', 'copy', "$dir/$db.without"))[1]), '',
		"$db: the dump without schema auth loads");
	is(triggers('copy'), $alone, "$db: loaded without schema auth, ours are there");
	sql_ok($node, 'copy', $project_triggers, '... the project puts its own back', user => 'developer');
	is(triggers('copy'), $beside, '... and ours go on');
	both_fire('copy', '... both fire');
	is(query($node, 'copy', 'SELECT count(*) FROM studio_engine.lint()'), '0', '... lint() finds nothing');
}

# --- a deletion with open holds, through both triggers ----------------------------------------

query($node, 'copy', q{
	INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-000000000002', 'b@example.com');
	INSERT INTO studio.projects (id, user_id, title, prompt_text, niche_preset)
		VALUES ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000002', 't', 'p', 'facts');
	SELECT studio.create_job('00000000-0000-4000-8000-000000000003', 3);});
is(query($node, 'copy', q{
	DELETE FROM auth.users WHERE id = '00000000-0000-4000-8000-000000000002';
	SELECT (SELECT count(*) FROM studio.jobs), (SELECT count(*) FROM public.deletions), (SELECT count(*) FROM studio.verify_credit_ledger());}),
	'0|1|0', 'a user with an open hold is deleted, the project\'s trigger in between');

$node->stop;
done_testing();
