# What the resets of the platform's CLI leave, and other mixtures of what is there and what is gone: either the extension
# installs, or one error names the statements after which it does.  Here those statements are run.
#
# Pitfall: the statements of the CLI are re-created: newer ones drop every schema of postgres, then extensions and what is in
# schema public, older ones only the latter, object by object.  Both empty the tables of the auth server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use Platform;
use StudioTest;
use Test::More;

my $node = new_platform('resets');
my $user = '00000000-0000-4000-8000-000000000001';

my $drop_extension = 'DROP EXTENSION IF EXISTS studio_engine CASCADE;';
my $drop_schemas = q{
	DO $do$ DECLARE v_schema record; BEGIN
		FOR v_schema IN SELECT n.nspname FROM pg_namespace n
			WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'public', 'extensions', 'auth', 'storage', 'realtime')
			  AND n.nspowner <> 'supabase_admin'::regrole
		LOOP
			EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', v_schema.nspname);
		END LOOP;
	END $do$;};
my $drop_public = q{
	DO $do$ DECLARE v_object record; BEGIN
		FOR v_object IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace LOOP
			EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', v_object.name);
		END LOOP;
		FOR v_object IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') LOOP
			EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', v_object.name);
		END LOOP;
	END $do$;};
my $drop_types = 'DROP TYPE IF EXISTS public.job_status, public.step_status CASCADE;';
my $empty_auth = 'TRUNCATE auth.users CASCADE;';
my $drop_private_tables = q{
	DO $do$ DECLARE v_table record; BEGIN
		FOR v_table IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'studio_engine'::regnamespace AND c.relkind IN ('r', 'p') LOOP
			EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', v_table.name);
		END LOOP;
	END $do$;};

# An installation with rows.
sub installed
{
	my ($db, $schema) = @_;

	platform_database($node, $db);
	query($node, $db, 'CREATE SCHEMA studio; GRANT USAGE ON SCHEMA studio TO anon, authenticated, service_role;', user => 'postgres');
	query($node, $db, "CREATE EXTENSION studio_engine SCHEMA $schema", user => 'postgres');
	sign_up($node, $db, $user, 'one@example.com', '{"name": "One"}');
	query($node, $db, "INSERT INTO $schema.projects (user_id, title, prompt_text, niche_preset) VALUES ('$user', 't', 'p', 'facts');
		SELECT $schema.create_job(id, 1) FROM $schema.projects; SELECT pipeline.create_job('run', '{}', '$user');");
	return;
}

# Refused with these words; after the statements of the hint, in its order, the extension is there and works.
sub mended_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name, $state, $expected, $schema) = @_;
	my ($status, $out, $err) = run_sql($node, $db, 'CREATE EXTENSION studio_engine', user => 'postgres');
	my ($hint) = $err =~ /HINT:  (.*)/;
	my @statements = ($hint // '') =~ /((?:DROP|CREATE) \w+ [\w., ]+?(?: CASCADE;?| WITH SCHEMA \w+;))/g;

	refused_ok($node, $db, 'CREATE EXTENSION studio_engine', $state, $expected, "$name: refused", user => 'postgres');
	ok(scalar(@statements), "$name: the hint has statements") or diag($err);
	note("$name: $_") foreach $err =~ /(?:DETAIL|HINT):  .*/g;
	push @statements, 'CREATE EXTENSION studio_engine;' if !grep { /^CREATE/ } @statements;
	sql_ok($node, $db, join("\n", map { s/;?$/;/r } @statements), "$name: ... which help", user => 'postgres');
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.lint()'), '0', "$name: lint() finds nothing");
	alive_ok($node, $db, $name, $schema // 'public');
	return;
}

# --- the CLI ------------------------------------------------------------------------------

installed('newer', 'public');
sql_ok($node, 'newer', "$drop_schemas $drop_extension $drop_public $drop_types $empty_auth", 'a newer reset runs', user => 'postgres');
sql_ok($node, 'newer', 'CREATE EXTENSION studio_engine', '... and the migration after it installs', user => 'postgres');
alive_ok($node, 'newer', 'after a newer reset');

my @part = (qr/there in part/, qr/DETAIL:  Missing: public\./, qr/DROP SCHEMA studio_engine, pipeline CASCADE;/);

installed('older', 'public');
sql_ok($node, 'older', "$drop_extension $drop_public $drop_types $empty_auth", 'an older reset runs', user => 'postgres');
mended_ok('older', 'older reset', '55000', [ @part, qr/public\.studio_jobs/, qr/^(?!.*DROP T)/s ]);

installed('types', 'public');
query($node, 'types', "$drop_extension $drop_public", user => 'postgres');
mended_ok('types', 'types are left', '55000', [ @part, qr/DROP TYPE public\.job_status, public\.step_status CASCADE;/ ]);

# --- other mixtures --------------------------------------------------------------------------

installed('half', 'public');
query($node, 'half', "$drop_extension DROP TABLE public.jobs, public.credit_ledger CASCADE;", user => 'postgres');
mended_ok('half', 'two tables are gone', '55000', [ qr/there in part/, qr/Missing: public\.credit_ledger, public\.jobs\.$/m, qr/DROP TABLE .*public\.studio_jobs/ ]);

installed('no_pipeline', 'public');
query($node, 'no_pipeline', "$drop_extension DROP SCHEMA pipeline CASCADE;", user => 'postgres');
mended_ok('no_pipeline', 'schema pipeline is gone', '55000', [ qr/there in part/, qr/Missing: pipeline\.artifacts, pipeline\.job_events, pipeline\.jobs, pipeline\.prompts\.$/m ]);

installed('emptied', 'public');
query($node, 'emptied', "$drop_extension $drop_private_tables", user => 'postgres');
mended_ok('emptied', 'schema studio_engine is empty', '55000',
	[ qr/there in part/, qr/no table meta/, qr/DROP SCHEMA studio_engine, pipeline CASCADE; DROP TABLE public\.assets, .* DROP TYPE/, qr/SET row_security = off/ ]);

platform_database($node, 'only_schema');
query($node, 'only_schema', 'CREATE SCHEMA studio_engine', user => 'postgres');
mended_ok('only_schema', 'nothing but schema studio_engine', '55000', [ qr/there in part/, qr/DROP SCHEMA studio_engine CASCADE; Then/ ]);

installed('only_pipeline', 'public');
query($node, 'only_pipeline', "$drop_extension $drop_public $drop_types DROP SCHEMA studio_engine CASCADE;", user => 'postgres');
mended_ok('only_pipeline', 'nothing but schema pipeline', '42P06', [ qr/schema pipeline is there and not empty/, qr/DROP SCHEMA pipeline CASCADE;/ ]);

installed('elsewhere', 'studio');
query($node, 'elsewhere', $drop_extension, user => 'postgres');
mended_ok('elsewhere', 'all is in another schema', '55000', [ qr/not in the schema of the extension/, qr/HINT:  CREATE EXTENSION studio_engine WITH SCHEMA studio;/ ], 'studio');
is(query($node, 'elsewhere', 'SELECT count(*) FROM studio.credit_ledger'), '2', '... and nothing is lost');

# Companies of the project's own are not in the statements.
platform_database($node, 'own_companies');
query($node, 'own_companies', q{CREATE TABLE public.companies (id uuid PRIMARY KEY); CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid);
	CREATE EXTENSION studio_engine; DROP EXTENSION studio_engine CASCADE; DROP TABLE public.jobs CASCADE;}, user => 'postgres');
mended_ok('own_companies', 'companies of the project', '55000', [ qr/there in part/, qr/DROP TABLE public\.assets, public\.cm_/ ]);

# Nor are tables of the project that have names of ours, and what it has in schema pipeline.
platform_database($node, 'own_tables');
query($node, 'own_tables', q{CREATE TABLE public.profiles (id uuid PRIMARY KEY, full_name text); INSERT INTO public.profiles VALUES (gen_random_uuid(), 'mine');
	CREATE TYPE public.job_status AS ENUM ('open'); CREATE TABLE public.jobs (id int, status public.job_status);
	CREATE SCHEMA studio; CREATE EXTENSION studio_engine SCHEMA studio; DROP SCHEMA studio CASCADE; CREATE TABLE pipeline.mine (id int);}, user => 'postgres');
my (undef, undef, $said) = run_sql($node, 'own_tables', 'CREATE EXTENSION studio_engine', user => 'postgres');
like($said, qr/HINT:  For a first installation, which deletes what is left: DROP SCHEMA studio_engine CASCADE; DROP TABLE pipeline\.artifacts, pipeline\.job_events, pipeline\.jobs, pipeline\.prompts CASCADE; Then/,
	'tables of the project: the hint names nothing of its own');
platform_database($node, 'own_pipeline');
query($node, 'own_pipeline', q{CREATE TABLE public.jobs (id int); CREATE TABLE public.logs (id int); CREATE SCHEMA pipeline; CREATE TABLE pipeline.mine (id int); CREATE SCHEMA studio_engine;},
	user => 'postgres');
(undef, undef, $said) = run_sql($node, 'own_pipeline', 'CREATE EXTENSION studio_engine', user => 'postgres');
like($said, qr/HINT:  For a first installation, which deletes what is left: DROP SCHEMA studio_engine CASCADE; Then/, '... nor its schema pipeline');

$node->stop;
done_testing();
