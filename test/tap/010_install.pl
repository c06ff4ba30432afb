# Installation: what is needed, who may, into which schema, and what DROP
# EXTENSION ... CASCADE leaves for the next CREATE EXTENSION.
#
# Pitfall: roles belong to the cluster.  The refusals without the stand-in come
# first, and a role that is to be missing is renamed and gets its name back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use StudioTest;
use Test::More;

my $node = new_cluster('install');

my $objects_of_engine = q{
	SELECT (SELECT count(*) FROM pg_namespace WHERE nspname IN ('studio_engine', 'pipeline'))
		 + (SELECT count(*) FROM pg_extension WHERE extname = 'studio_engine')
		 + (SELECT count(*) FROM pg_event_trigger)
		 + (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)
		 + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)};

# --- what must be there -----------------------------------------------------

my @pieces = ('table auth.users', 'function auth.uid()', 'role anon', 'role authenticated', 'role service_role');

sub missing_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name, @missing) = @_;
	my $detail = 'DETAIL:  Missing: ' . join(', ', @missing) . ".\n";

	refused_ok($node, $db, 'CREATE EXTENSION studio_engine', '55000',
		[ qr/\Q$detail\E/, qr/HINT: .*supabase_stub\.sql/ ],
		"$name: one error names what is missing and the stand-in");
	is(query($node, $db, $objects_of_engine), '0', "$name: nothing is left behind");
	return;
}

$node->safe_psql('postgres', 'CREATE DATABASE bare');
missing_ok('bare', 'plain PostgreSQL', @pieces);

load_stub($node, 'bare');
my %take_away = (
	'table auth.users' => 'DROP TABLE auth.users',
	'function auth.uid()' => 'DROP FUNCTION auth.uid()');
foreach my $piece (@pieces)
{
	my $taken = $take_away{$piece} // do { (my $role = $piece) =~ s/^role //; "ALTER ROLE $role RENAME TO away" };

	query($node, 'postgres', 'CREATE DATABASE missing TEMPLATE bare');
	query($node, 'missing', $taken);
	missing_ok('missing', "without $piece", $piece);
	query($node, 'missing', "ALTER ROLE away RENAME TO $1") if $piece =~ /^role (.*)/;
	query($node, 'postgres', 'DROP DATABASE missing');
}

sql_ok($node, 'bare', 'CREATE EXTENSION studio_engine', 'with the stand-in it installs');
alive_ok($node, 'bare', 'after the stand-in');
is(query($node, 'bare', 'SELECT count(*) FROM studio_engine.lint()'), '0', 'lint() finds nothing');

# --- who may ----------------------------------------------------------------

query($node, 'postgres', q{
	CREATE ROLE installer LOGIN;
	CREATE ROLE stranger LOGIN;});

# Everything that a role needs to install into public.
sub allow
{
	my ($db, $role) = @_;

	query($node, $db, qq(
		GRANT CREATE ON DATABASE "$db" TO $role;
		GRANT CREATE ON SCHEMA public TO $role;
		GRANT USAGE ON SCHEMA auth TO $role;
		GRANT TRIGGER, REFERENCES ON auth.users TO $role;));
	return;
}

# A database with the stand-in in which roles may install.
sub database_for
{
	my ($db, @roles) = @_;

	query($node, 'postgres', qq(CREATE DATABASE "$db"));
	load_stub($node, $db);
	allow($db, $_) foreach @roles;
	return;
}

database_for('owned', 'installer', 'stranger');
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine', 'a role that is no superuser installs', user => 'installer');
is(query($node, 'owned', q{
	SELECT string_agg(DISTINCT owner::regrole::text, ', ') || ' ' || count(*) FROM (
		SELECT relowner FROM pg_class WHERE relkind IN ('r', 'S', 'v')
		   AND relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
		UNION ALL
		SELECT typowner FROM pg_type WHERE typtype = 'e'
		   AND typnamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace)
		UNION ALL
		SELECT nspowner FROM pg_namespace WHERE nspname IN ('studio_engine', 'pipeline')) o (owner)}),
	'installer 53', '... and owns the tables, the types and the schemas');
is(query($node, 'owned', q{SELECT extowner::regrole FROM pg_extension WHERE extname = 'studio_engine'}),
	'installer', '... and the extension');
is(query($node, 'owned', q{
	SELECT count(*) > 0 AND bool_and(r.rolsuper) FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
	 WHERE p.pronamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)}),
	't', '... while the code belongs to a superuser');
is(query($node, 'owned', 'SELECT count(*) FROM public.jobs', user => 'installer'), '0', '... and reads its tables');
alive_ok($node, 'owned', 'installed by an ordinary role');
refused_ok($node, 'owned', 'SELECT * FROM public.credit_ledger', '42501', [], 'another role reads no table',
	user => 'stranger');

database_for('closed', 'installer');
query($node, 'closed', 'REVOKE CREATE ON SCHEMA public FROM installer; CREATE SCHEMA shut;');
refused_ok($node, 'closed', "CREATE EXTENSION studio_engine SCHEMA $_", '42501',
	[ qr/may not create objects in the schema/, qr/DETAIL:  Role installer, schema $_\./ ],
	"without CREATE on schema $_ the installer is refused",
	user => 'installer') foreach 'public', 'shut';
query($node, 'closed', 'GRANT CREATE ON SCHEMA public TO installer;');
foreach my $right ('TRIGGER', 'REFERENCES')
{
	query($node, 'closed', "REVOKE $right ON auth.users FROM installer");
	refused_ok($node, 'closed', 'CREATE EXTENSION studio_engine', '42501',
		[ qr/auth\.users/, qr/HINT:  GRANT TRIGGER, REFERENCES ON auth\.users TO installer;/ ],
		"without $right on auth.users the installer is refused",
		user => 'installer');
	query($node, 'closed', "GRANT $right ON auth.users TO installer");
}
query($node, 'closed', 'REVOKE CREATE ON DATABASE closed FROM installer');
refused_ok($node, 'closed', 'CREATE EXTENSION studio_engine', '42501', [],
	'without CREATE on the database the installer is refused', user => 'installer');
is(query($node, 'closed', $objects_of_engine), '0', 'refusals leave nothing behind');

# --- a private schema that somebody made before ------------------------------

foreach my $case ([ 'stranger', 'installer' ], [ 'postgres', 'installer' ], [ 'stranger', 'postgres' ])
{
	my ($owner, $installer) = @$case;

	database_for('planted', 'installer', 'stranger');
	query($node, 'planted', 'CREATE SCHEMA studio_engine', user => $owner);
	refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine', '42501',
		[ qr/belong to another role/, qr/schema studio_engine/ ],
		"a schema studio_engine of $owner is refused to $installer",
		user => $installer);
	query($node, 'postgres', 'DROP DATABASE planted');
}

# --- a schema pipeline that somebody made before ------------------------------

foreach my $case ([ 'stranger', 'installer' ], [ 'postgres', 'installer' ], [ 'stranger', 'postgres' ], [ 'installer', 'postgres' ])
{
	my ($owner, $installer) = @$case;

	database_for('planted', 'installer', 'stranger');
	query($node, 'planted', 'CREATE SCHEMA pipeline', user => $owner);
	refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine', '42501',
		[ qr/belong to another role/, qr/schema pipeline/i ],
		"a schema pipeline of $owner is refused to $installer", user => $installer);
	is(query($node, 'planted', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'studio_engine'}), '0', '... and nothing is left behind');
	query($node, 'postgres', 'DROP DATABASE planted');
}

# Who owns the schema of the extension may put tables of his own in it, and who
# owns the tables of companies may put a view in their place.
query($node, 'postgres', 'CREATE ROLE staff; GRANT staff TO installer, stranger');
database_for('planted', 'installer', 'stranger');
query($node, 'postgres', 'ALTER DATABASE planted OWNER TO installer');
query($node, 'planted', 'CREATE SCHEMA theirs AUTHORIZATION stranger; GRANT ALL ON SCHEMA theirs TO PUBLIC; CREATE SCHEMA his AUTHORIZATION installer');
foreach my $user (qw(postgres installer))
{
	refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine SCHEMA theirs', '42501',
		[ qr/schema of the extension belongs to another role than the data/, qr/DETAIL:  Schema theirs belongs to stranger, and the data to installer\./ ],
		"$user does not install into a schema of a stranger", user => $user);
}
query($node, 'planted', q{CREATE TABLE his.companies (id uuid PRIMARY KEY);
	CREATE TABLE his.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid);
	ALTER TABLE his.companies OWNER TO staff; ALTER TABLE his.employees OWNER TO staff;});
refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine SCHEMA his', '42501',
	[ qr/belong to another role/, qr/table his\.companies, table his\.employees/ ],
	'tables of a group that the owner of the data is in are refused', user => 'installer');
query($node, 'postgres', 'DROP DATABASE planted');

# A superuser installs for the owner of the database, who needs a schema of his own.
database_for('planted', 'installer');
query($node, 'postgres', 'ALTER DATABASE planted OWNER TO installer');
query($node, 'planted', 'CREATE SCHEMA pipeline');
refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine', '42501',
	[ qr/Not owned by the installing role postgres or role installer: schema pipeline\./ ],
	'a schema pipeline of the superuser who installs is refused');
query($node, 'planted', 'ALTER SCHEMA pipeline OWNER TO installer');
foreach my $case ([ 'TABLE pipeline.jobs (x integer)', 'table pipeline.jobs' ], [ 'VIEW pipeline.mine AS SELECT 1', 'view pipeline.mine' ],
	[ 'SEQUENCE pipeline.numbers', 'sequence pipeline.numbers' ],
	[ q{FUNCTION pipeline.create_job(text) RETURNS text LANGUAGE sql AS 'SELECT $1'}, 'function pipeline.create_job(text)' ],
	[ 'TYPE pipeline.jobs AS ENUM ()', 'type pipeline.jobs' ])
{
	my ($object, $named) = @$case;

	query($node, 'planted', "CREATE $object", user => 'installer');
	refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine', '42P06',
		[ qr/schema pipeline is there and not empty/, qr/DETAIL:  It has \Q$named\E/, qr/HINT: .*ALTER SCHEMA pipeline RENAME TO/ ],
		"a schema pipeline with $named is refused", user => 'installer');
	query($node, 'planted', 'DROP SCHEMA pipeline CASCADE; CREATE SCHEMA pipeline', user => 'installer');
}
refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine SCHEMA pipeline', '3F000',
	[ qr/cannot be installed into schema pipeline/ ], 'the extension does not go into schema pipeline itself', user => 'installer');
query($node, 'planted', 'GRANT CREATE ON SCHEMA pipeline TO stranger', user => 'installer');
sql_ok($node, 'planted', 'CREATE EXTENSION studio_engine', 'an empty schema pipeline of the installing role is taken', user => 'installer');
alive_ok($node, 'planted', 'in a schema pipeline that was there');
is(query($node, 'planted', 'SELECT count(*) FROM studio_engine.lint()'), '0', '... and lint() finds nothing');
same_text(join("\n", grep { /^[^-].*SCHEMA pipeline/ } split /\n/, dump_text($node, 'planted', '--schema-only')),
	join("\n", 'CREATE SCHEMA pipeline;', 'ALTER SCHEMA pipeline OWNER TO installer;',
		q{COMMENT ON SCHEMA pipeline IS 'Runs of the pipeline of studio_engine; may be exposed by the API';},
		'GRANT CREATE ON SCHEMA pipeline TO stranger;', 'GRANT USAGE ON SCHEMA pipeline TO authenticated;',
		'GRANT USAGE ON SCHEMA pipeline TO service_role;'),
	'... and a dump has all of its grants, ours and the one from before');
query($node, 'postgres', 'DROP DATABASE planted');

# --- another schema ----------------------------------------------------------

database_for('elsewhere');
query($node, 'elsewhere', q{
	CREATE SCHEMA "Studio Stage";
	GRANT USAGE ON SCHEMA "Studio Stage" TO anon, authenticated, service_role;});
sql_ok($node, 'elsewhere', 'CREATE EXTENSION studio_engine SCHEMA "Studio Stage"',
	'a schema with capitals and a space in its name is taken');
alive_ok($node, 'elsewhere', 'in another schema', '"Studio Stage"');
is(query($node, 'elsewhere', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace}),
	'0', '... and public stays empty');
is(query($node, 'elsewhere', 'SELECT count(*) FROM studio_engine.lint()'), '0', '... and lint() finds nothing');

database_for('quoted');
query($node, 'quoted', q{CREATE SCHEMA "a""b"; CREATE SCHEMA "a$b";});
refused_ok($node, 'quoted', "CREATE EXTENSION studio_engine SCHEMA $_", '22P02',
	[ qr/invalid character in extension/ ], "PostgreSQL refuses schema $_") foreach '"a""b"', '"a$b"';

# --- DROP EXTENSION and back --------------------------------------------------

# The books of two users and what an owner may have added, in a database of $owner.
sub fill
{
	my ($db, $owner) = @_;

	query($node, $db, q{
		INSERT INTO auth.users (id, email) SELECT md5(i::text)::uuid, i || '@example.com' FROM generate_series(1, 2) i;
		INSERT INTO public.projects (user_id, title, prompt_text, niche_preset)
			SELECT id, 'p', 'p', 'facts' FROM auth.users;
		SELECT public.create_job(id, 3) FROM public.projects;
		SELECT public.create_job(id, 2) FROM public.projects;
		SELECT public.cancel_job(id) FROM public.jobs WHERE cost_credits_reserved = 2;
		SELECT public.save_draft_prompt('a token of the past', 'once');
		SELECT public.create_studio_job(id, 'audio ' || n, NULL, n) FROM auth.users, generate_series(1, 4) n;
		SELECT public.cancel_studio_job(job_id) FROM public.studio_jobs WHERE priority = 1;
		SELECT public.snooze_job(job_id, lease_token, '1 hour') FROM public.claim_jobs('studio_jobs', 'sleepy', 1);
		SELECT count(*) FROM public.claim_jobs('studio_jobs', 'a worker', 1, '1 day');
		SELECT count(*) FROM public.claim_jobs('jobs', 'a worker', 1, '1 day');
		SELECT pipeline.create_job('run ' || email, '{}', id), pipeline.register_artifact('run ' || email, 'zip', 'u') FROM auth.users;
		SELECT pipeline.upsert_prompt('p', 'c', 'x', 't');
		INSERT INTO public.companies (id, name) VALUES (md5('c')::uuid, 'c');
		INSERT INTO public.employees (company_id, user_id, name) SELECT md5('c')::uuid, id, 'e' FROM auth.users;
		SELECT public.update_module_section(public.create_module_content('m', p_company_id => md5('c')::uuid), 'introduction', 'kept words');
		UPDATE studio_engine.settings SET value = '7' WHERE name = 'welcome_credits';});
	query($node, $db, q{
		ALTER TABLE public.profiles ADD COLUMN nickname text DEFAULT 'none';
		CREATE INDEX my_index ON public.projects (title);
		CREATE POLICY my_policy ON public.assets FOR SELECT TO stranger USING (type = 'video');
		GRANT SELECT ON public.assets TO stranger;
		GRANT UPDATE (note) ON public.credit_ledger TO stranger;
		CREATE FUNCTION public.my_function() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER my_trigger BEFORE UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.my_function();
		ALTER PUBLICATION supabase_realtime OWNER TO } . $owner . q{;
		ALTER PUBLICATION supabase_realtime ADD TABLE public.jobs;});
	return;
}

# Rights are taken and given again, and come in another order.
sub in_order
{
	my ($dump) = @_;

	$dump =~ s/((?:^GRANT .*\n)+)/join '', sort split m{^}m, $1/gme;
	return $dump;
}

foreach my $case ([ 'bare', 'postgres' ], [ 'owned', 'installer' ])
{
	my ($db, $owner) = @$case;

	allow($db, 'stranger');
	fill($db, $owner);
	my $before = dump_text($node, $db);
	refused_ok($node, $db, 'DROP EXTENSION studio_engine', '2BP01', [ qr/CASCADE/ ],
		"$owner: DROP EXTENSION without CASCADE is refused", user => $owner);
	sql_ok($node, $db, 'DROP EXTENSION studio_engine CASCADE', "$owner: DROP EXTENSION CASCADE", user => $owner);
	is(query($node, $db, q{SELECT (SELECT count(*) FROM public.credit_ledger), (SELECT count(*) FROM public.jobs)}),
		'8|4', "$owner: ... leaves the rows");
	is(query($node, $db, q{SELECT count(*) FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace}),
		'24', "$owner: ... and row level security on");
	refused_ok($node, $db, 'CREATE EXTENSION studio_engine', '42501',
		[ qr/belong to another role/, qr/table public\.credit_ledger/, qr/schema studio_engine/, qr/table pipeline\.jobs/ ],
		"$owner: another role does not get the data", user => 'stranger');
	refused_ok($node, $db, 'CREATE SCHEMA other; CREATE EXTENSION studio_engine SCHEMA other', '55000',
		[ qr/schema other has no table credit_ledger/i ],
		"$owner: the schema without the tables is refused", user => $owner);
	sql_ok($node, $db, 'CREATE EXTENSION studio_engine', "$owner: CREATE EXTENSION adopts what is there", user => $owner);
	query($node, $db, 'DROP SCHEMA other');
	same_text(in_order(dump_text($node, $db)), in_order($before),
		"$owner: the dump is what it was: rows, triggers, policies, grants and what the owner added");
	books_ok($node, $db, "$owner: adopted");
	alive_ok($node, $db, "$owner: adopted");
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.lint()'), '0', "$owner: lint() finds nothing");
}

# --- jobs that come and go while the extension is away --------------------------

# Whether the queue says what the tables of jobs say; nothing when it does.
my $queue_differs = q{
	WITH open AS (
		SELECT 'jobs' AS system, id AS job_id, user_id, -1 - priority AS rank FROM public.jobs
		 WHERE status NOT IN ('PENDING', 'READY', 'FAILED')
		UNION ALL
		SELECT 'studio_jobs', job_id, user_id, -1 - priority FROM public.studio_jobs WHERE status NOT IN ('COMPLETE', 'FAILED')),
	-- the rank of a job that a worker has is in no row
	queued AS (SELECT system::text, job_id, user_id, rank FROM studio_engine.queue
		UNION ALL SELECT o.system, a.job_id, a.user_id, o.rank FROM studio_engine.attempts a JOIN open o ON (o.system, o.job_id) = (a.system::text, a.job_id)
		 WHERE a.ended_at IS NULL)
	(TABLE open EXCEPT ALL TABLE queued) UNION ALL (TABLE queued EXCEPT ALL TABLE open);};
my $leases = q{SELECT system, job_id, attempt, lease_token, expires_at FROM studio_engine.attempts WHERE ended_at IS NULL ORDER BY 1, 2;};

foreach my $case ([ 'bare', 'postgres' ], [ 'owned', 'installer' ])
{
	my ($db, $owner) = @$case;

	is(query($node, $db, $queue_differs), '', "$owner: the queue has the open jobs");
	is(query($node, $db, q{SELECT string_agg(system || ' ' || state || ' ' || n, ', ' ORDER BY system, state)
		FROM (SELECT system, state::text, count(*) AS n FROM studio_engine.queue GROUP BY 1, 2
			UNION ALL SELECT system, 'leased', count(*) FROM studio_engine.attempts WHERE ended_at IS NULL GROUP BY 1) q}),
		'studio_jobs delayed 1, studio_jobs leased 1, studio_jobs waiting 4, jobs leased 1, jobs waiting 1',
		"$owner: ... waiting, delayed and leased");
	my $had = query($node, $db, $leases);

	query($node, $db, 'DROP EXTENSION studio_engine CASCADE', user => $owner);
	query($node, $db, q{
		INSERT INTO public.studio_jobs (user_id, raw_audio_url, system_prompt_used, status, priority)
			SELECT id, 'away ' || s, 'p', s, 50 FROM auth.users, unnest('{NEW,REFINING,COMPLETE,FAILED}'::text[]) s;
		INSERT INTO public.jobs (project_id, user_id, status)
			SELECT id, user_id, s::public.job_status FROM public.projects, unnest('{PENDING,QUEUED,PACKAGING,READY,FAILED}'::text[]) s;
		UPDATE public.studio_jobs SET status = 'NEW' WHERE status = 'FAILED' AND priority = 1;
		UPDATE public.studio_jobs SET priority = -7 WHERE status = 'NEW' AND priority = 1;
		UPDATE public.studio_jobs SET priority = 9
		 WHERE job_id IN (SELECT job_id FROM studio_engine.queue WHERE state = 'waiting' AND rank = -4);
		UPDATE public.studio_jobs SET status = 'COMPLETE' WHERE priority = 2
		   AND job_id = (SELECT job_id FROM studio_engine.queue WHERE state = 'waiting' AND rank = -3 ORDER BY job_id LIMIT 1);
		DELETE FROM public.studio_jobs WHERE job_id = (SELECT job_id FROM studio_engine.queue WHERE system = 'studio_jobs' AND state = 'delayed');});
	isnt(query($node, $db, $queue_differs), '', "$owner: without the triggers the queue falls behind");
	sql_ok($node, $db, 'CREATE EXTENSION studio_engine', "$owner: CREATE EXTENSION adopts once more", user => $owner);
	is(query($node, $db, $queue_differs), '', "$owner: ... and the queue has what was made, and not what ended, in between");
	is(query($node, $db, q{SELECT count(*), count(s.job_id) + count(j.id) FROM studio_engine.attempts a
		LEFT JOIN public.studio_jobs s ON s.job_id = a.job_id LEFT JOIN public.jobs j ON j.id = a.job_id}), '2|2',
		"$owner: ... nor is there an attempt at a job that is gone");
	is(query($node, $db, $leases), $had, "$owner: ... while leases stay with their workers");
	is(query($node, $db, q{SELECT count(*), bool_and(public.heartbeat_job(job_id, lease_token) ->> 'cancel' = 'false')
		FROM studio_engine.attempts WHERE ended_at IS NULL}), '2|t', "$owner: ... whose heartbeats are heard");
	is(query($node, $db, q{SELECT string_agg(job ->> 'raw_audio_url', ', ' ORDER BY job ->> 'raw_audio_url') FROM public.claim_jobs('studio_jobs', 'w', 4)}),
		'away NEW, away NEW, away REFINING, away REFINING', "$owner: ... and new jobs are claimed");
	is(query($node, $db, 'SELECT studio_engine.rebuild_queue()', user => $owner), '0', "$owner: rebuild_queue() has nothing to add");
	query($node, $db, q{DELETE FROM studio_engine.queue WHERE state = 'waiting'});
	is(query($node, $db, q{SELECT studio_engine.rebuild_queue() > 5}, user => $owner), 't', "$owner: ... but adds what somebody removed");
	is(query($node, $db, $queue_differs), '', "$owner: ... all of it");
	books_ok($node, $db, "$owner: after that");
	alive_ok($node, $db, "$owner: after that");
}
refused_ok($node, 'owned', 'SELECT studio_engine.rebuild_queue()', '42501', [], 'nobody but the owner rebuilds the queue', user => 'stranger');

# A superuser may do everything, but does not take data over by accident.
query($node, 'owned', 'DROP EXTENSION studio_engine CASCADE', user => 'installer');
refused_ok($node, 'owned', 'CREATE EXTENSION studio_engine', '42501', [qr/belong to another role/],
	'a superuser does not get the data of another role');
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine', '... whose owner still does', user => 'installer');
is(query($node, 'owned', q{
	SELECT string_agg(DISTINCT relowner::regrole::text, ', ') FROM pg_class
	 WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)}),
	'installer', '... and owns every table');
alive_ok($node, 'owned', 'adopted twice');

# --- a second database ---------------------------------------------------------

prepare_database($node, 'second');
alive_ok($node, 'second', 'a second database');
query($node, 'second', q{UPDATE studio_engine.settings SET value = '1' WHERE name = 'welcome_credits'});
is(query($node, 'bare', q{SELECT value FROM studio_engine.settings WHERE name = 'welcome_credits'}),
	'7', 'databases do not share their settings');
sql_ok($node, 'second', 'DROP EXTENSION studio_engine CASCADE', 'removed from one database');
alive_ok($node, 'bare', 'the other database');

$node->stop;
done_testing();
