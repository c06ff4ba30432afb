# pg_dump and restore without flags: the copy has the rows, policies, triggers,
# grants and sums of the source, and goes on working; and nobody but an
# administrator can have the triggers skipped as a restore does.
#
# Pitfall: a dump names the roles, so all copies live in the cluster of the
# source.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioHistory;
use StudioTest;
use Test::More;

my $node = new_cluster('dump');
my $dir = PostgreSQL::Test::Utils::tempdir();

# --- the source ---------------------------------------------------------------

# Twelve users with what a life leaves, and what the owner of a database adds to tables of ours.
my $history = history_of_studio();
my $customs = customs_of_owner();
my $publish = 'ALTER PUBLICATION supabase_realtime ADD TABLE public.jobs, public.job_steps, pipeline.jobs, pipeline.job_events;';

# What the catalogue knows of the tables in our schemas and of auth.users.
sub catalogue_of
{
	my ($db) = @_;

	return query($node, $db, q{
	WITH t AS (SELECT oid::regclass AS name, pg_class.* FROM pg_class
				WHERE relkind = 'r' AND (relnamespace::regnamespace::text IN ('public', 'pipeline', 'studio_engine') OR oid = 'auth.users'::regclass))
	SELECT line FROM (
		SELECT format('table %s owner %s rls %s identity %s comment %s', name, relowner::regrole, relrowsecurity,
					  relreplident, obj_description(oid, 'pg_class')) FROM t
		UNION ALL
		SELECT format('acl %s %s %s', t.name, a.grantee::regrole, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type))
		  FROM t, aclexplode(coalesce(relacl, acldefault('r', relowner))) a GROUP BY t.name, a.grantee
		UNION ALL
		SELECT format('acl %s.%s %s %s', t.name, c.attname, a.grantee::regrole, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type))
		  FROM t JOIN pg_attribute c ON c.attrelid = t.oid, aclexplode(c.attacl) a GROUP BY t.name, c.attname, a.grantee
		UNION ALL
		SELECT format('policy %s %s %s %s %s %s %s', t.name, polname, polcmd, polpermissive, polroles::regrole[],
					  pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
		  FROM t JOIN pg_policy ON polrelid = t.oid
		UNION ALL
		SELECT format('trigger %s enabled %s', pg_get_triggerdef(g.oid), tgenabled)
		  FROM t JOIN pg_trigger g ON tgrelid = t.oid WHERE NOT tgisinternal
		UNION ALL
		SELECT pg_get_indexdef(indexrelid) FROM t JOIN pg_index ON indrelid = t.oid
		UNION ALL
		SELECT format('constraint %s %s %s valid %s', t.name, conname, pg_get_constraintdef(k.oid), convalidated)
		  FROM t JOIN pg_constraint k ON conrelid = t.oid
		UNION ALL
		SELECT format('published %s.%s', schemaname, tablename) FROM pg_publication_tables WHERE pubname = 'supabase_realtime'
		UNION ALL
		SELECT format('function %s %s %s', p.oid::regprocedure, a.grantee::regrole, a.privilege_type)
		  FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
		 WHERE pronamespace::regnamespace::text IN ('public', 'pipeline', 'studio_engine') AND p.proname <> 'my_function'
		UNION ALL
		SELECT format('schema %s owner %s %s %s', n.nspname, n.nspowner::regrole, a.grantee::regrole, a.privilege_type)
		  FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname IN ('pipeline', 'studio_engine')
	) x (line) ORDER BY line;});
}

# What the source is; copies are compared with it.
my %source;

sub remember_source
{
	my ($db) = @_;

	%source = (
		state => state_of($node, $db), catalogue => catalogue_of($db), text => dump_text($node, $db),
		due => due_in($node, $db), work => work_in($node, $db));
	return;
}

sub new_database
{
	my ($db, %options) = @_;

	query($node, 'postgres', qq(DROP DATABASE IF EXISTS "$db" WITH (FORCE)));
	query($node, 'postgres', qq(CREATE DATABASE "$db" OWNER ) . ($options{owner} // 'postgres'));
	return;
}

# Runs a client program; its messages are returned, and a failure is a failed test
# unless the caller looks at the messages itself.
sub client
{
	my ($program, $db, @arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $program, '-h', $node->host, '-p', $node->port, '-d', $db, @arguments ], '>', \$out, '2>', \$err);
	return ($? >> 8, $err);
}

sub client_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, @command) = @_;
	my ($status, $err) = client(@command);

	ok($status == 0 && $err eq '', $name) or diag("status $status: $err");
	return;
}

my @psql_strict = ('-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f');

# The copy is the source again, and alive.  Where the target was empty
# (was_empty), the dump of the copy is the dump of the source.
sub copy_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name, %options) = @_;

	same_text(state_of($node, $db), $source{state}, "$name: the rows of every table");
	same_text(catalogue_of($db), $source{catalogue},
		"$name: owners, grants, policies, triggers, indexes, constraints, publication");
	same_text(dump_text($node, $db), $source{text}, "$name: pg_dump says the same of the copy")
	  if $options{was_empty};
	books_ok($node, $db, $name);
	content_ok($node, $db, $name);
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.lint()'), '0', "$name: lint() finds nothing");
	is(due_in($node, $db), $source{due}, "$name: the same credit expires, and what holds give back");
	same_text(work_in($node, $db), $source{work}, "$name: workers go on with their leases, reap, and claim the same jobs in the same order");
	alive_ok($node, $db, $name);
	return;
}

query($node, 'postgres', 'CREATE ROLE reader; CREATE ROLE studio_owner LOGIN CREATEDB;');
prepare_database($node, 'source');
query($node, 'source', $history);
query($node, 'source', $customs);
query($node, 'source', $publish);
books_ok($node, 'source', 'the source');
is(query($node, 'source', q{
	SELECT string_agg(DISTINCT status::text, ' ' ORDER BY status::text), count(*) > 100,
		   (SELECT count(DISTINCT type) FROM public.credit_ledger),
		   (SELECT count(*) > 10 FROM public.credit_ledger WHERE job_id IS NULL AND type = 'reserve'),
		   (SELECT count(*) > 0 FROM public.credit_accounts WHERE reserved > 0)
	  FROM public.jobs}),
	'FAILED PACKAGING QUEUED READY|t|7|t|t', 'the source has jobs in every situation');
is(query($node, 'source', q{
	SELECT count(*) FILTER (WHERE held_back) > 0, count(*) FILTER (WHERE NOT held_back AND expires_at < now()) > 0,
		   count(*) FILTER (WHERE expires_at > now()) > 0,
		   (SELECT count(*) FROM studio_engine.ledger_hashes) = (SELECT count(*) FROM public.credit_ledger),
		   (SELECT count(*) > 0 FROM public.credit_accounts WHERE balance < 0)
	  FROM studio_engine.expiring_credits}),
	't|t|t|t|t', '... credit that expires, has expired and is held, hashes and a deficit');
is(query($node, 'source', q{
	SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM public.studio_jobs}),
	'COMPLETE ENRICHING FAILED NEW REFINING TRANSCRIBING', '... studio jobs in every status');
is(query($node, 'source', q{
	SELECT string_agg(DISTINCT concat_ws(' ', system, state, CASE WHEN state = 'leased' THEN CASE WHEN expires_at > now() THEN 'live' ELSE 'expired' END
		WHEN state = 'delayed' THEN CASE WHEN due_at > now() THEN 'later' ELSE 'due' END END,
		CASE WHEN cancel_requested_at IS NOT NULL THEN 'to be cancelled' END, CASE WHEN turn > 0 THEN 'in turn' END), ', ')
	  FROM (SELECT system, state::text, due_at, turn, NULL::timestamptz AS expires_at, NULL::timestamptz AS cancel_requested_at FROM studio_engine.queue
	        UNION ALL SELECT system, 'leased', due_at, turn, expires_at, cancel_requested_at FROM studio_engine.attempts WHERE ended_at IS NULL) q}),
	'jobs delayed later, jobs leased expired, jobs leased live, jobs leased live to be cancelled, jobs waiting, mm_rendering_queue delayed later, '
	. 'studio_jobs delayed due, studio_jobs delayed later, studio_jobs leased expired in turn, '
	. 'studio_jobs leased live, studio_jobs leased live to be cancelled, studio_jobs waiting, studio_jobs waiting in turn',
	'... in every situation of the queue');
is(query($node, 'source', q{SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM studio_engine.attempts}),
	'cancelled completed expired failed released retried snoozed', '... with attempts of every outcome');
alive_ok($node, 'source', 'the source');
content_ok($node, 'source', 'the source');
is(query($node, 'source', q{
	SELECT string_agg(c.relname, ' ') FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ '^(cm|mm)_'
	   AND (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM public.%I', c.relname), false, true, '')))[1]::text = '0'}),
	'', '... and rows in all tables of content and multimedia');
remember_source('source');

my %archive = (
	plain => [ '-f', "$dir/plain.sql" ],
	inserts => [ '--inserts', '-f', "$dir/inserts.sql" ],
	custom => [ '-Fc', '-f', "$dir/custom" ],
	directory => [ '-Fd', '-j4', '-f', "$dir/directory" ],
	schema => [ '--schema-only', '-f', "$dir/schema.sql" ],
	data => [ '--data-only', '-f', "$dir/data.sql" ],
	data_inserts => [ '--data-only', '--inserts', '-f', "$dir/data_inserts.sql" ],
	users => [ '--data-only', '-t', 'auth.users', '-f', "$dir/users.sql" ],
	without_auth => [ '-N', 'auth', '-f', "$dir/without_auth.sql" ],
	without_auth_custom => [ '-N', 'auth', '-Fc', '-f', "$dir/without_auth" ],
);
client_ok("pg_dump: $_", 'pg_dump', 'source', @{ $archive{$_} }) foreach sort keys %archive;

# --- into an empty database ------------------------------------------------------

new_database('copy');
client_ok('plain: loads', 'psql', 'copy', @psql_strict, "$dir/plain.sql");
copy_ok('copy', 'plain', was_empty => 1);

client_ok('--clean over a copy: loads', 'pg_restore', 'copy', '--clean', '--if-exists', '--exit-on-error', "$dir/custom");
copy_ok('copy', '--clean', was_empty => 1);

new_database('copy');
client_ok('custom: loads', 'pg_restore', 'copy', '--exit-on-error', "$dir/custom");
copy_ok('copy', 'custom', was_empty => 1);

new_database('copy');
client_ok('one transaction: loads', 'pg_restore', 'copy', '--single-transaction', "$dir/custom");
copy_ok('copy', 'one transaction', was_empty => 1);

foreach my $run (1 .. 3)
{
	new_database('copy');
	client_ok("directory with four jobs, run $run: loads", 'pg_restore', 'copy', '--exit-on-error', '-j4', "$dir/directory");
}
copy_ok('copy', 'four jobs', was_empty => 1);

new_database('copy');
client_ok("section $_: loads", 'pg_restore', 'copy', '--exit-on-error', "--section=$_", "$dir/custom")
  foreach 'pre-data', 'data', 'post-data';
copy_ok('copy', 'sections', was_empty => 1);

new_database('copy');
client_ok('--inserts: loads', 'psql', 'copy', @psql_strict, "$dir/inserts.sql");
copy_ok('copy', '--inserts', was_empty => 1);

new_database('copy');
client_ok('--schema-only: loads', 'psql', 'copy', @psql_strict, "$dir/schema.sql");
client_ok('--data-only after it, all triggers live: loads', 'psql', 'copy', @psql_strict, "$dir/data.sql");
copy_ok('copy', 'schema, then data', was_empty => 1);

new_database('copy');
client_ok('--schema-only: loads', 'psql', 'copy', @psql_strict, "$dir/schema.sql");
{
	local $ENV{PGOPTIONS} = '-c studio_engine.maintenance=on';
	client_ok('--data-only --inserts in maintenance mode: loads', 'psql', 'copy', @psql_strict, "$dir/data_inserts.sql");
}
copy_ok('copy', 'schema, then inserts', was_empty => 1);

new_database('copy');
client_ok('the copy is dumped', 'pg_dump', 'source', '-Fc', '-f', "$dir/generation1");
client_ok('... and loaded', 'pg_restore', 'copy', '--exit-on-error', "$dir/generation1");
client_ok('... and dumped again', 'pg_dump', 'copy', '-Fc', '-f', "$dir/generation2");
new_database('copy');
client_ok('... and loaded again', 'pg_restore', 'copy', '--exit-on-error', "$dir/generation2");
copy_ok('copy', 'second generation', was_empty => 1);

# --- into a database that is a Supabase already -----------------------------------

# Nothing but objects that are there already is complained about.
sub only_existing_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($err, $expected, $name) = @_;
	my @errors = grep { /ERROR: / } split /\n/, $err;
	my @others = grep { !/$expected/ } @errors;

	ok(@errors > 0 && @others == 0, "$name: only what is there already is complained about")
	  or diag(@errors ? join("\n", @others) : "no errors: $err");
	return;
}

my $existing_auth = qr{(
	schema\ "auth" | relation\ "(users|users_email_partial_key|users_phone_key|users_pkey)" | function\ "\w+" |
	publication\ "supabase_realtime" | trigger\ "on_auth_user_(created|deleted)"[^:]*
	)\ already\ exists | multiple\ primary\ keys\ for\ table\ "users"}x;
my $existing_publication = qr/publication "supabase_realtime" already exists/;

sub supabase
{
	my ($db, %options) = @_;

	new_database($db, %options);
	load_stub($node, $db);
	query($node, $db, 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated, service_role');
	return;
}

# The default privileges of the target are open ...
supabase('copy');
query($node, 'copy', 'CREATE TABLE public.probe (x int)');
is(query($node, 'copy', q{SELECT has_table_privilege('anon', 'public.probe', 'SELECT')}), 't',
	'in the target a new table is open to anon');
query($node, 'copy', 'DROP TABLE public.probe');

# ... and our tables are not.
my (undef, $said) = client('psql', 'copy', '-X', '-q', '-o', '/dev/null', '-f', "$dir/plain.sql");
only_existing_ok($said, $existing_auth, 'plain over auth');
copy_ok('copy', 'plain over auth');

supabase('copy');
client_ok('the users: load', 'psql', 'copy', @psql_strict, "$dir/users.sql");
(undef, $said) = client('psql', 'copy', '-X', '-q', '-o', '/dev/null', '-f', "$dir/plain.sql");
only_existing_ok($said, qr/$existing_auth|duplicate key value violates unique constraint "users_pkey"/, 'plain over users');
copy_ok('copy', 'plain over users');

supabase('copy');
(undef, $said) = client('pg_restore', 'copy', "$dir/custom");
only_existing_ok($said, $existing_auth, 'custom over auth');
copy_ok('copy', 'custom over auth');

supabase('copy');
(undef, $said) = client('pg_restore', 'copy', '-j4', "$dir/directory");
only_existing_ok($said, $existing_auth, 'four jobs over auth');
copy_ok('copy', 'four jobs over auth');

supabase('copy');
client_ok('the users: load', 'psql', 'copy', @psql_strict, "$dir/users.sql");
(undef, $said) = client('psql', 'copy', '-X', '-q', '-o', '/dev/null', '-f', "$dir/without_auth.sql");
only_existing_ok($said, $existing_publication, 'plain without auth over users');
copy_ok('copy', 'plain without auth over users');

supabase('copy');
client_ok('the users: load', 'psql', 'copy', @psql_strict, "$dir/users.sql");
(undef, $said) = client('pg_restore', 'copy', '-j4', "$dir/without_auth");
only_existing_ok($said, $existing_publication, 'custom without auth over users');
copy_ok('copy', 'custom without auth over users');

# A dump of the data alone into a fresh installation: its rows win.
prepare_database($node, 'fresh');
query($node, 'fresh', $customs);
query($node, 'fresh', $publish);
client_ok('data into a fresh installation: loads', 'psql', 'fresh', @psql_strict, "$dir/data.sql");
same_text(state_of($node, 'fresh'), $source{state}, 'data into a fresh installation: the rows of every table');
books_ok($node, 'fresh', 'data into a fresh installation');
same_text(work_in($node, 'fresh'), $source{work}, 'data into a fresh installation: workers go on');
alive_ok($node, 'fresh', 'data into a fresh installation');

# --- by a role that is no superuser -------------------------------------------------

# On Supabase the role that installs is none; it has all rights on auth.users.
# This one does not pass row level security, so it cannot see the users' rows.
sub owned_supabase
{
	my ($db) = @_;

	supabase($db, owner => 'studio_owner');
	query($node, $db, q{
		DROP PUBLICATION supabase_realtime;
		GRANT USAGE ON SCHEMA auth TO studio_owner;
		GRANT ALL ON auth.users TO studio_owner;
		ALTER DEFAULT PRIVILEGES FOR ROLE studio_owner IN SCHEMA public
			GRANT ALL ON TABLES TO anon, authenticated, service_role;});
	query($node, $db, 'CREATE PUBLICATION supabase_realtime', user => 'studio_owner');
	return;
}

owned_supabase('owned');
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine', 'an ordinary role installs', user => 'studio_owner');
sql_ok($node, 'owned', $history, '... and has users');
sql_ok($node, 'owned', $customs, '... and adds what it likes', user => 'studio_owner');
sql_ok($node, 'owned', $publish, '... and publishes', user => 'studio_owner');
remember_source('owned');
{
	local $ENV{PGUSER} = 'studio_owner';
	client_ok('... and dumps', 'pg_dump', 'owned', '-N', 'auth', '-Fc', '-f', "$dir/owned");
}
client_ok('... a superuser dumps its users', 'pg_dump', 'owned', '--data-only', '-t', 'auth.users',
	'-f', "$dir/owned_users.sql");

# Default privileges of other roles and the publication are the target's own.
sub errors_of_ours
{
	my ($err) = @_;

	return grep { /ERROR: / && !/Command was: ALTER DEFAULT PRIVILEGES|$existing_publication/ }
	  split /(?=pg_restore: error)/, $err;
}

foreach my $role ('studio_owner', 'postgres')
{
	owned_supabase('copy');
	client_ok("$role: the users load", 'psql', 'copy', @psql_strict, "$dir/owned_users.sql");
	local $ENV{PGUSER} = $role;
	(undef, $said) = client('pg_restore', 'copy', "$dir/owned");
	is(join('', errors_of_ours($said)), '', "$role loads the dump");
	local $ENV{PGUSER} = 'postgres';
	copy_ok('copy', "owned by an ordinary role, loaded by $role");
}

# --- who may have triggers skipped -----------------------------------------------------

# Everything that a dump says before its rows; the intruder has the switch besides.
my $pretence = q{
	SET row_security = off;
	SET check_function_bodies = off;};
my @as_intruder = (user => 'intruder', options => '-c studio_engine.maintenance=on');

new_database('copy');
client_ok('a copy to attack: loads', 'pg_restore', 'copy', '--exit-on-error', "$dir/custom");
query($node, 'copy', q{
	CREATE ROLE intruder LOGIN BYPASSRLS;
	GRANT USAGE ON SCHEMA studio_engine, pipeline, auth TO intruder;
	GRANT EXECUTE ON FUNCTION studio_engine.restoring() TO intruder;
	GRANT ALL ON ALL TABLES IN SCHEMA public, pipeline, studio_engine TO intruder;
	GRANT ALL ON auth.users TO intruder;
	SELECT public.expire_credits();});
my $victim = query($node, 'copy', q{SELECT id FROM auth.users ORDER BY email LIMIT 1});
my $balance = "SELECT balance FROM public.credit_accounts WHERE user_id = '$victim'";
my $had = query($node, 'copy', $balance);
my $account = uuid_of('a user without an account');

is(query($node, 'copy', "$pretence SELECT studio_engine.restoring();", @as_intruder), 'f',
	'restoring() is false for an ordinary role');
refused_ok($node, 'copy', "$pretence $_", '42501', [qr/the ledger is append-only/],
	'an ordinary role is refused: ' . (split /\n/)[0], @as_intruder)
  foreach "UPDATE public.credit_ledger SET amount = 99 WHERE user_id = '$victim'",
  "DELETE FROM public.credit_ledger WHERE user_id = '$victim'",
  'TRUNCATE public.credit_ledger',
  "UPDATE public.credit_accounts SET balance = 99 WHERE user_id = '$victim'",
  "DELETE FROM public.credit_accounts WHERE user_id = '$victim'",
  'TRUNCATE public.credit_accounts CASCADE',
  "COPY public.credit_accounts (user_id, balance) FROM stdin;\n$account\t99\n\\.\n";
refused_ok($node, 'copy', "$pretence COPY public.credit_ledger (user_id, type, amount) FROM stdin;\n$victim\tgrant\t-5\n\\.\n",
	'22023', [qr/not a valid ledger entry/], 'COPY of a false entry is refused', @as_intruder);
sql_ok($node, 'copy',
	"$pretence COPY public.credit_ledger (user_id, type, amount, balance_after, entry_no) FROM stdin;\n$victim\tgrant\t5\t1000\t1\n\\.\n",
	'COPY of an entry is booked like an INSERT', @as_intruder);
is(query($node, 'copy', $balance), $had + 5, '... with its amount and no more');
refused_ok($node, 'copy', "$pretence UPDATE public.jobs SET status = 'READY' WHERE status = 'QUEUED'", '23514',
	[qr/illegal status transition/], 'an ordinary role makes no illegal transition', @as_intruder);
sql_ok($node, 'copy', "$pretence COPY pipeline.job_events (run_id, bot_name, event_type, seq, owner_id) FROM stdin;\nrun 1\tintruder\tx\t999\t$account\n\\.\n",
	'an event that an ordinary role copies in', @as_intruder);
is(query($node, 'copy', q{SELECT e.seq = j.last_event_seq AND e.owner_id = j.owner_id FROM pipeline.job_events e JOIN pipeline.jobs j USING (run_id) WHERE bot_name = 'intruder'}),
	't', '... is numbered and owned like any other');
sql_ok($node, 'copy', "$pretence COPY auth.users (id, email) FROM stdin;\n$account\tcopied\@example.com\n\\.\n",
	'users that an ordinary role copies in', @as_intruder);
is(query($node, 'copy', "SELECT count(*) FROM public.credit_ledger WHERE user_id = '$account'"), '1',
	'... get their welcome grant');
sql_ok($node, 'copy', "$pretence COPY public.studio_jobs (job_id, user_id, raw_audio_url) FROM stdin;\n$account\t$victim\tcopied\n\\.\n",
	'a studio job that an ordinary role copies in', @as_intruder);
is(query($node, 'copy', "SELECT system, state FROM studio_engine.queue WHERE job_id = '$account'"), 'studio_jobs|waiting',
	'... gets into the queue');
refused_ok($node, 'copy', "$pretence UPDATE public.studio_jobs SET status = 'COMPLETE' WHERE job_id = '$account'", '23514',
	[qr/illegal status transition/], '... and is not completed out of turn', @as_intruder);
sql_ok($node, 'copy', "$pretence DELETE FROM public.studio_jobs WHERE job_id = '$account'", '... nor deleted', @as_intruder);
is(query($node, 'copy', "SELECT count(*) FROM studio_engine.queue WHERE job_id = '$account'"), '0', '... without leaving the queue');
books_ok($node, 'copy', 'after the attack');

# SET ROLE neither gives nor takes the right: the session counts.
is(query($node, 'copy', "$pretence BEGIN; SET LOCAL studio_engine.maintenance = on; SET SESSION AUTHORIZATION intruder; SELECT studio_engine.restoring();"), 'f',
	'a session that became an ordinary role cannot');
is(query($node, 'copy', "BEGIN; SET LOCAL studio_engine.maintenance = on; SELECT studio_engine.restoring();"), 't',
	'a superuser in maintenance mode can');
sql_ok($node, 'copy', qq{
	BEGIN;
	SET studio_engine.maintenance = on;
	UPDATE public.credit_ledger SET note = 'corrected' WHERE user_id = '$victim';
	UPDATE public.jobs SET status = 'READY' WHERE status = 'QUEUED';
	SET studio_engine.maintenance = off;
	DO \$\$
	BEGIN
		ASSERT (SELECT bool_and(note = 'corrected') FROM public.credit_ledger WHERE user_id = '$victim');
		ASSERT NOT EXISTS (SELECT FROM public.jobs WHERE status = 'QUEUED');
	END \$\$;
	ROLLBACK;}, '... and changes what nobody else can');
refused_ok($node, 'copy', "SET row_security = off; SET check_function_bodies = off; DELETE FROM public.credit_ledger", '42501',
	[qr/append-only/], 'a superuser without it cannot, whatever a dump left set');

$node->stop;
done_testing();
