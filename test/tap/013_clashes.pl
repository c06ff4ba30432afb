# Names that are taken: one error lists them all before anything is created, and says
# the ways out.  The list of names is that of the catalogue after an installation.
#
# Pitfall: an index and a table share their names, a table and a type too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('clashes');

sub database
{
	my ($db, $sql) = @_;

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

# The objects in the DETAIL of the error, and whether anything was created.
sub clashes
{
	my ($db, $sql, $user) = @_;
	my ($status, undef, $err) = run_sql($node, $db, $sql, user => $user // 'developer');
	my ($list) = $err =~ /ERROR:  42710: names that studio_engine needs are taken\nDETAIL:  There is (.*?)\.(?: With|\n)/;

	diag($err) if !defined $list;
	return $list // '';
}

query($node, 'postgres', 'CREATE ROLE developer LOGIN;');

# --- the list is that of an installation ----------------------------------------------

database('whole');
query($node, 'whole', q{CREATE SCHEMA "Studio Stage"; CREATE EXTENSION studio_engine SCHEMA "Studio Stage"}, user => 'developer');
my %made = (
	relations => q{SELECT relname FROM pg_class WHERE relnamespace = '"Studio Stage"'::regnamespace},
	types => q{SELECT typname FROM pg_type WHERE typnamespace = '"Studio Stage"'::regnamespace AND typcategory <> 'A' AND typrelid = 0},
	functions => q{SELECT p.proname || '(' || array_to_string(ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY u (t, n) ORDER BY n), ',') || ')'
		FROM pg_proc p WHERE pronamespace = '"Studio Stage"'::regnamespace},
	event_triggers => q{SELECT evtname FROM pg_event_trigger WHERE evtfoid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'studio_engine'::regnamespace)},
);
my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
my $script = slurp_file((glob "$sharedir/extension/studio_engine--*.sql")[0]);
my %clause = (relations => 'WITH relations \(table_name, name\)', types => 'types \(table_name, name\)', functions => 'functions \(table_name, signature\)',
	event_triggers => 'event_triggers \(table_name, name\)');
foreach my $kind (sort keys %made)
{
	my ($values) = $script =~ /$clause{$kind} AS \(\s*VALUES (.*)/ or die $kind;
	my @listed = $values =~ /\('\w*', '((?:[^']|'')*)'\)/g;

	s/, /,/g, s/\btimestamptz\b/timestamp with time zone/g, s/\s+//g, s/timestampwithtimezone/timestamp with time zone/g foreach @listed;
	is(join("\n", sort @listed), join("\n", sort split /\n/, query($node, 'whole', $made{$kind})), "the list of $kind is that of the catalogue");
}

# --- each kind of object ----------------------------------------------------------------

my @each = (
	[ 'TABLE public.profiles (id integer)', 'table public.profiles' ],
	[ 'VIEW public.jobs AS SELECT 1', 'view public.jobs' ],
	[ 'MATERIALIZED VIEW public.jobs AS SELECT 1', 'materialized view public.jobs' ],
	[ 'SEQUENCE public.idx_jobs_status', 'sequence public.idx_jobs_status' ],
	[ 'TABLE public.mine (id integer CONSTRAINT jobs_pkey PRIMARY KEY)', 'index public.jobs_pkey' ],
	[ 'TYPE public.projects AS (a integer)', 'composite type public.projects' ],
	[ 'TYPE public.job_status AS ENUM ()', 'type public.job_status' ],
	[ 'DOMAIN public.step_status AS text', 'type public.step_status' ],
	[ 'DOMAIN public.assets AS text', 'type public.assets' ],
	[ 'TABLE public.job_status (a integer)', 'table public.job_status' ],
	[ q{FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'}, 'function public.handle_new_user()' ],
	[ q{PROCEDURE public.cancel_job(uuid, text) LANGUAGE sql AS ''}, 'procedure public.cancel_job(uuid,text)' ],
	[ 'AGGREGATE public.get_credit_balance(uuid) (SFUNC = uuid_larger, STYPE = uuid)', 'aggregate public.get_credit_balance(uuid)' ],
);
foreach my $case (@each)
{
	my ($object, $named) = @$case;

	database('one', $object =~ /^AGGREGATE/ ? q{CREATE FUNCTION public.uuid_larger(uuid, uuid) RETURNS uuid LANGUAGE sql AS 'SELECT greatest($1, $2)'} : undef);
	query($node, 'one', "CREATE $object", user => 'developer');
	my $listed = clashes('one', 'CREATE EXTENSION studio_engine');
	$listed =~ s/\bpg_catalog\.//g;
	is($listed, $named, "$named is in the way");
	is(query($node, 'one', q{SELECT count(*) FROM pg_namespace WHERE nspname IN ('studio_engine', 'pipeline')}), '0', '... and nothing is created');
}
database('one');
query($node, 'one', q{CREATE FUNCTION public.nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER studio_engine_make_way ON sql_drop EXECUTE FUNCTION public.nothing();});
is(clashes('one', 'CREATE EXTENSION studio_engine'), 'event trigger studio_engine_make_way', 'an event trigger is in the way, in every schema');

# what is not in the way
database('free', q{CREATE TABLE public._profiles (id integer); CREATE TYPE public.jobs_pkey AS ENUM ();
	CREATE FUNCTION public.create_job(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
	CREATE TABLE public.companies (id uuid PRIMARY KEY); CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid);
	CREATE INDEX idx_employees_user ON public.employees (user_id);
	GRANT SELECT ON public.employees TO authenticated;});
sql_ok($node, 'free', 'CREATE EXTENSION studio_engine', 'other signatures, array types, and companies of the project are not in the way', user => 'developer');
database('free', 'CREATE TABLE public.mine (id integer); CREATE INDEX idx_employees_user ON public.mine (id);');
is(clashes('free', 'CREATE EXTENSION studio_engine'), 'index public.idx_employees_user', 'an index of the name of ours is, where the companies are ours');

# --- all of them at once -------------------------------------------------------------------

my $starter = q{
	CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, username text, avatar_url text);
	CREATE TYPE public.job_status AS ENUM ('todo');
	CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO public.profiles (id) VALUES (NEW.id); RETURN NEW; END';
	CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();};
database('starter', $starter);
my $before = dump_text($node, 'starter');
foreach my $user (qw(developer postgres))
{
	refused_ok($node, 'starter', 'CREATE EXTENSION studio_engine', '42710',
		[ qr/ERROR:  42710: names that studio_engine needs are taken\n/,
		  qr/DETAIL:  There is function public\.handle_new_user\(\), index public\.profiles_pkey, table public\.profiles, type public\.job_status\.\n/,
		  qr/HINT:  Install into another schema, CREATE EXTENSION studio_engine WITH SCHEMA \.\.\., or rename these objects\.\n/ ],
		"$user: a starter project in the same schema gets one error with all names", user => $user);
}
same_text(dump_text($node, 'starter'), $before, '... and is as it was');
sql_ok($node, 'starter', 'CREATE SCHEMA studio; CREATE EXTENSION studio_engine SCHEMA studio', 'the first way out: another schema', user => 'developer');
query($node, 'starter', 'DROP EXTENSION studio_engine CASCADE; DROP SCHEMA studio, studio_engine, pipeline CASCADE', user => 'developer');
sql_ok($node, 'starter', q{
	ALTER TABLE public.profiles RENAME TO app_profiles; ALTER INDEX public.profiles_pkey RENAME TO app_profiles_pkey;
	ALTER TYPE public.job_status RENAME TO app_status; ALTER FUNCTION public.handle_new_user() RENAME TO handle_app_user;
	CREATE OR REPLACE FUNCTION public.handle_app_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
		'BEGIN INSERT INTO public.app_profiles (id) VALUES (NEW.id); RETURN NEW; END';
	CREATE EXTENSION studio_engine;}, 'the second: other names', user => 'developer');
alive_ok($node, 'starter', '... after which all works');
is(query($node, 'starter', q{INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-000000000001', 'a@example.com');
	SELECT (SELECT count(*) FROM public.app_profiles), (SELECT count(*) FROM public.profiles);}), '1|1', '... and both sides have a new user');

# an adoption needs the names of functions
query($node, 'starter', 'DROP EXTENSION studio_engine CASCADE; ' . q{CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'}, user => 'developer');
refused_ok($node, 'starter', 'CREATE EXTENSION studio_engine', '42710', [ qr/DETAIL:  There is function public\.handle_new_user\(\)\.\nHINT:  Rename these objects\.\n/ ],
	'a function that was made while the extension was away is in the way', user => 'developer');
sql_ok($node, 'starter', 'DROP FUNCTION public.handle_new_user(); CREATE EXTENSION studio_engine', '... until it is gone', user => 'developer');

# many, and what is in schema pipeline
database('many', join ';', map { "CREATE TABLE public.$_ (id integer)" }
	qw(profiles draft_prompts projects jobs job_steps assets logs credit_accounts credit_ledger studio_jobs), map { "idx_jobs_$_" } qw(user project status created));
query($node, 'many', q{DO $$ BEGIN FOR i IN 1 .. 60 LOOP EXECUTE format('CREATE TABLE pipeline.t%s ()', i); END LOOP; END $$}) if query($node, 'many', 'CREATE SCHEMA pipeline; SELECT 1', user => 'developer');
my ($status, undef, $err) = run_sql($node, 'many', 'CREATE EXTENSION studio_engine', user => 'developer');
like($err, qr/DETAIL:  There is table pipeline\.t1, .*, and 24 more\.\n/, 'one error has those of both schemas, and not too many');
cmp_ok(length $err, '<', 4000, '... so that it can be read');

# --- tables of the design documents ------------------------------------------------------------

foreach my $case (
	[ 'Video', 'jobs', 'CREATE TABLE public.jobs (id uuid, project_id uuid, user_id uuid, status text, progress int, status_message text,
		cost_credits_reserved int, cost_credits_final int, failed_step text, error_code text, error_message text, output_url text, manifest_json jsonb,
		created_at timestamptz, started_at timestamptz, finished_at timestamptz, mine text)' ],
	[ 'Pipeline', 'jobs', 'CREATE TABLE public.jobs (run_id text PRIMARY KEY, project_spec jsonb, owner_id uuid, created_at timestamptz)' ],
	[ 'Refinement', 'studio_jobs', 'CREATE TABLE public.studio_jobs (job_id uuid, created_at timestamptz, status text, user_id uuid, raw_audio_url text, raw_transcript text,
		refined_text text, system_prompt_used text, processing_time_ms int, error_details jsonb)' ],
	[ 'Content', 'mm_audio_narrations', 'CREATE TABLE public.mm_audio_narrations (narration_id uuid, session_id uuid, content_id uuid, narration_name text, narration_type text,
		section_name text, total_duration_seconds numeric, audio_segments jsonb, voice_config jsonb, script_content text, master_audio_id uuid, segments_audio_ids uuid[],
		synthesis_completed boolean, status text)' ])
{
	my ($system, $table, $sql) = @$case;

	database('documented', $sql);
	refused_ok($node, 'documented', 'CREATE EXTENSION studio_engine', '42710',
		[ qr/DETAIL:  There is .*table public\.$table\. With the columns of the design documents: $table\.\n/, qr/HINT: .*studio_engine_import_seed\.sql/ ],
		"a table of $system is recognized, and the importer named", user => 'developer');
}
database('documented', 'CREATE TABLE public.jobs (id uuid, status text)');
($status, undef, $err) = run_sql($node, 'documented', 'CREATE EXTENSION studio_engine', user => 'developer');
unlike($err, qr/design documents|import_seed/, 'another table of the name is not');

$node->stop;
done_testing();
