# A project as starters make them, with tables, a sign-up function, a trigger on auth.users, a bucket and policies of its own,
# gets the extension: in a second schema, and in schema public after it has renamed what clashes.  Both then live on: users
# sign up for both, the database is dumped, restored, reset and brought to another version of the extension.
#
# Pitfall: there is no release yet, so that a version is brought in by DROP EXTENSION CASCADE and CREATE EXTENSION, which
# adopts the data; ALTER EXTENSION UPDATE takes its place in this test when there is one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use Platform;
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_platform('starter');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $users = 0;

# The migrations of the project; members is its table of profiles, joined the function of its trigger.
sub project
{
	my ($members, $joined) = @_;

	return qq{
		CREATE TABLE public.$members (
			id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, updated_at timestamptz, username text UNIQUE, full_name text,
			avatar_url text, website text, PRIMARY KEY (id), CONSTRAINT username_length CHECK (char_length(username) >= 3));
		ALTER TABLE public.$members ENABLE ROW LEVEL SECURITY;
		CREATE POLICY "Public profiles are viewable by everyone." ON public.$members FOR SELECT USING (true);
		CREATE POLICY "Users can insert their own profile." ON public.$members FOR INSERT WITH CHECK ((SELECT auth.uid()) = id);
		CREATE POLICY "Users can update own profile." ON public.$members FOR UPDATE USING ((SELECT auth.uid()) = id);
		CREATE TABLE public.todos (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, owner_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, task text);
		ALTER TABLE public.todos ENABLE ROW LEVEL SECURITY;
		CREATE POLICY "Individuals can manage their todos." ON public.todos FOR ALL USING ((SELECT auth.uid()) = owner_id);
		CREATE FUNCTION public.$joined() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS \$\$
		BEGIN
			INSERT INTO public.$members (id, full_name, avatar_url) VALUES (new.id, new.raw_user_meta_data ->> 'full_name', new.raw_user_meta_data ->> 'avatar_url');
			RETURN new;
		END \$\$;
		CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.$joined();
		INSERT INTO storage.buckets (id, name) VALUES ('avatars', 'avatars') ON CONFLICT DO NOTHING;
		DROP POLICY IF EXISTS "Avatar images are publicly accessible." ON storage.objects;
		CREATE POLICY "Avatar images are publicly accessible." ON storage.objects FOR SELECT USING (bucket_id = 'avatars');
		DROP POLICY IF EXISTS "Anyone can upload an avatar." ON storage.objects;
		CREATE POLICY "Anyone can upload an avatar." ON storage.objects FOR INSERT WITH CHECK (bucket_id = 'avatars');
	};
}

sub extension
{
	my ($schema) = @_;

	return ($schema eq 'public' ? '' : "CREATE SCHEMA $schema; GRANT USAGE ON SCHEMA $schema TO anon, authenticated, service_role;")
	  . "CREATE EXTENSION studio_engine SCHEMA $schema;";
}

# Somebody signs up: the project has its row, and so have we; he uses both, and what was there before still is.
sub both_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $schema, $members, $joined, $name) = @_;
	my $id = sprintf '00000000-0000-4000-8000-%012d', ++$users;

	sign_up($node, $db, $id, "user$users\@example.com", '{"full_name": "Ann", "avatar_url": "https://example.com/a"}', 'github');
	is(query($node, $db, "SELECT m.full_name, m.avatar_url FROM public.$members m WHERE m.id = '$id'"), 'Ann|https://example.com/a', "$name: the project has its row");
	is(query($node, $db, "SELECT p.display_name, p.avatar_url, a.balance FROM $schema.profiles p JOIN $schema.credit_accounts a ON a.user_id = p.id WHERE p.id = '$id'"),
		'Ann|https://example.com/a|10', "$name: and so has the extension");
	is(query($node, $db, q{SELECT tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND tgname = 'on_auth_user_created'}), $joined,
		"$name: the trigger of the project is the project's");
	is(query($node, $db, q{SELECT count(*) FROM pg_trigger t JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid AND d.deptype = 'e'
		WHERE t.tgrelid = 'auth.users'::regclass}), '3', "$name: ours are there beside it");
	sql_ok($node, $db, qq{SET ROLE authenticated; SET "request.jwt.claims" = '{"sub": "$id", "role": "authenticated"}';
		UPDATE public.$members SET username = 'ann$users', website = 'https://example.com' WHERE id = '$id';
		INSERT INTO public.todos (owner_id, task) VALUES ('$id', 'a task');
		INSERT INTO storage.objects (bucket_id, name, owner) VALUES ('avatars', '$id/me.png', '$id');
		UPDATE $schema.profiles SET display_name = 'Anna' WHERE id = '$id';
		INSERT INTO $schema.projects (user_id, title, prompt_text, niche_preset) VALUES ('$id', 't', 'p', 'facts');
		SELECT 1 / (count(*) = 1)::integer FROM $schema.projects;
		SELECT 1 / (count(*) = 1)::integer FROM public.todos;}, "$name: he uses both", user => 'authenticator');
	alive_ok($node, $db, $name, $schema);
	return;
}

# Rows of the project and of the extension.
sub rows
{
	my ($db, $schema, $members) = @_;

	return query($node, $db, "SELECT (SELECT count(*) FROM public.$members), (SELECT count(*) FROM public.todos), (SELECT count(*) FROM storage.objects),
		(SELECT count(*) FROM $schema.profiles), (SELECT count(*) FROM $schema.projects), (SELECT count(*) FROM $schema.credit_ledger)");
}

# What befalls a project that has the extension.
sub lives_ok
{
	my ($db, $schema, $members, $joined) = @_;
	my $copy = "${db}_copy";

	both_ok($db, $schema, $members, $joined, "$db: installed");
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.lint()'), '0', "$db: lint() finds nothing");

	$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/$db", $db ], "$db: is dumped");
	query($node, 'postgres', "CREATE DATABASE $copy OWNER postgres");
	$node->command_ok([ 'pg_restore', '-e', '-d', $copy, "$dir/$db" ], "$db: and restored");
	is(rows($copy, $schema, $members), rows($db, $schema, $members), "$db: with all rows");
	both_ok($copy, $schema, $members, $joined, "$copy: restored");
	is(query($node, $copy, "SELECT count(*) FROM $schema.verify_credit_ledger()"), '0', "$copy: the books are sound");

	my $before = rows($db, $schema, $members);
	sql_ok($node, $db, "DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine SCHEMA $schema;", "$db: another version", user => 'postgres');
	is(rows($db, $schema, $members), $before, "$db: has all rows");
	both_ok($db, $schema, $members, $joined, "$db: with another version");

	# as the CLI does it: schemas of postgres, extensions, what is in public, and the rows of the auth server and of storage
	sql_ok($node, $db, ($schema eq 'public' ? '' : "DROP SCHEMA $schema CASCADE;") . qq{
		DROP SCHEMA IF EXISTS studio_engine CASCADE;
		DROP SCHEMA IF EXISTS pipeline CASCADE;
		DROP EXTENSION IF EXISTS studio_engine CASCADE;
		DO \$do\$ DECLARE v_object record; BEGIN
			FOR v_object IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace LOOP
				EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', v_object.name);
			END LOOP;
			FOR v_object IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') LOOP
				EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', v_object.name);
			END LOOP;
			FOR v_object IN SELECT t.oid::regtype AS name FROM pg_type t WHERE t.typnamespace = 'public'::regnamespace AND t.typtype = 'e' LOOP
				EXECUTE format('DROP TYPE IF EXISTS %s CASCADE', v_object.name);
			END LOOP;
		END \$do\$;
		TRUNCATE auth.users, storage.objects CASCADE;}, "$db: is reset", user => 'postgres');
	sql_ok($node, $db, project($members, $joined =~ s/.*\.//r) . extension($schema), "$db: and its migrations run again", user => 'postgres');
	both_ok($db, $schema, $members, $joined, "$db: after the reset");
	return;
}

# --- in a second schema ------------------------------------------------------------------

platform_database($node, 'beside');
query($node, 'beside', project('profiles', 'handle_new_user'), user => 'postgres');
sign_up($node, 'beside', '00000000-0000-4000-8000-0000000000ff', 'before@example.com', '{"full_name": "Before"}');
sql_ok($node, 'beside', extension('studio'), 'in a second schema nothing clashes', user => 'postgres');
is(query($node, 'beside', q{SELECT studio.ensure_profile('00000000-0000-4000-8000-0000000000ff') ->> 'display_name'}), 'Before',
	'a user from before gets his profile with ensure_profile()');
lives_ok('beside', 'studio', 'profiles', 'handle_new_user');

# --- in public ---------------------------------------------------------------------------------

platform_database($node, 'among');
query($node, 'among', project('profiles', 'handle_new_user'), user => 'postgres');
sign_up($node, 'among', '00000000-0000-4000-8000-0000000000fe', 'before@example.com', '{"full_name": "Before"}');
{
	my ($status, $out, $err) = run_sql($node, 'among', 'CREATE EXTENSION studio_engine', user => 'postgres');

	ok($status != 0 && $err =~ /profiles/ && $err =~ /handle_new_user/ && $err =~ /HINT:/, 'in public one error names the table and the function, with a hint') or diag($err);
	is(query($node, 'among', q{SELECT count(*) FROM pg_namespace WHERE nspname IN ('studio_engine', 'pipeline')}), '0', '... and leaves nothing');
}
sql_ok($node, 'among', q{
	ALTER TABLE public.profiles RENAME TO members;
	ALTER TABLE public.members RENAME CONSTRAINT profiles_pkey TO members_pkey;
	ALTER FUNCTION public.handle_new_user() RENAME TO handle_new_member;
	CREATE OR REPLACE FUNCTION public.handle_new_member() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
	BEGIN
		INSERT INTO public.members (id, full_name, avatar_url) VALUES (new.id, new.raw_user_meta_data ->> 'full_name', new.raw_user_meta_data ->> 'avatar_url');
		RETURN new;
	END $$;}, 'the project renames what clashes', user => 'postgres');
sql_ok($node, 'among', extension('public'), '... and the extension installs', user => 'postgres');
lives_ok('among', 'public', 'members', 'handle_new_member');

$node->stop;
done_testing();
