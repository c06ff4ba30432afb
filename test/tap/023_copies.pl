# Copies that the platform makes: a dump of the data alone as its command line
# writes it, under session_replication_role = replica, into a database that a
# migration has prepared; a schema without data; and logical replication of
# everything to a node that has the extension, which takes over.
#
# Pitfall: the file is put together here from what pg_dump writes and the SETs
# around it, since the command line itself wants a container.  Of the extension
# are the rows of the installation, which must give way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioHistory;
use StudioTest;
use Test::More;

my $node = new_cluster('copies', 'max_logical_replication_workers = 16', 'max_worker_processes = 20');
my $dir = PostgreSQL::Test::Utils::tempdir();

query($node, 'postgres', q{
	CREATE ROLE reader;
	CREATE ROLE studio_owner LOGIN CREATEDB CREATEROLE BYPASSRLS;
	GRANT SET ON PARAMETER session_replication_role TO studio_owner;});

# As on the platform: the role that installs owns the database and is no superuser.
sub platform
{
	my ($db) = @_;

	query($node, 'postgres', "DROP DATABASE IF EXISTS $db WITH (FORCE)");
	query($node, 'postgres', "CREATE DATABASE $db OWNER studio_owner");
	load_stub($node, $db);
	query($node, $db, q{
		GRANT USAGE ON SCHEMA auth TO studio_owner;
		GRANT ALL ON ALL TABLES IN SCHEMA auth TO studio_owner;
		ALTER DEFAULT PRIVILEGES FOR ROLE studio_owner IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;});
	sql_ok($node, $db, 'CREATE EXTENSION studio_engine', "$db: a migration creates the extension", user => 'studio_owner');
	return;
}

sub dump_of
{
	my ($db, $file, @options) = @_;
	local $ENV{PGUSER} = 'studio_owner';

	$node->command_ok([ 'pg_dump', '-d', $db, '-f', "$dir/$file", @options ], "pg_dump: $file");
	return;
}

platform('source');
query($node, 'source', history_of_studio());
query($node, 'source', customs_of_owner(), user => 'studio_owner');
# what a failed sign-up leaves, and a row in each of the other small tables
query($node, 'source', q{
	ALTER TABLE public.profiles ADD CONSTRAINT nobody CHECK (id <> '00000000-0000-4000-8000-00000000000f');
	INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-00000000000f', 'failed@example.com');
	ALTER TABLE public.profiles DROP CONSTRAINT nobody;
	SELECT public.pause_queue('jobs', 'PACKAGING', 'an outage'), public.limit_stage('jobs', 'RENDERING', 3);
	SELECT public.transfer_credits(f.user_id, t.user_id, 1, 'a transfer')
	  FROM (SELECT user_id FROM public.credit_accounts WHERE balance > 50 ORDER BY user_id LIMIT 1) f,
	       (SELECT user_id FROM public.credit_accounts WHERE balance > 50 ORDER BY user_id DESC LIMIT 1) t;
	SELECT public.apply_stripe_event(jsonb_build_object('id', 'evt_1', 'type', 'checkout.session.completed', 'created', 1, 'data', jsonb_build_object('object',
		jsonb_build_object('id', 'cs_1', 'object', 'checkout.session', 'mode', 'payment', 'payment_status', 'paid', 'payment_intent', 'pi_1', 'amount_total', 500,
			'currency', 'eur', 'created', 1, 'metadata', jsonb_build_object('credits', '50', 'user_id', (SELECT user_id FROM public.credit_accounts ORDER BY user_id LIMIT 1))))));
	SELECT public.apply_stripe_event('{"id": "evt_2", "type": "charge.refunded", "created": 2, "data": {"object": {"id": "ch_1", "object": "charge", "created": 1, "amount": 500, "amount_refunded": 100, "currency": "eur", "payment_intent": "pi_1"}}}');
	INSERT INTO public.credit_ledger (user_id, type, amount)
		SELECT (SELECT user_id FROM public.credit_accounts ORDER BY entries LIMIT 1), 'grant', 1 FROM generate_series(1, 1010);
	SELECT public.void_credits(public.grant_credits(user_id, 2), 1) FROM public.credit_accounts WHERE entries > 1000;
	SELECT public.hold_credits(user_id, 1, 'a chat') FROM public.credit_accounts WHERE balance > 60;});
books_ok($node, 'source', 'the source');

my $empty = query($node, 'source', q{
	SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY 1) FROM pg_class c
	 WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('public', 'pipeline', 'studio_engine')
	   AND (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', c.oid::regclass), false, true, '')))[1]::text = '0'});
is($empty, '', 'the source has rows in every table');

my %source = (state => state_of($node, 'source'), work => work_in($node, 'source'), due => due_in($node, 'source'));

sub same_rows_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name) = @_;

	same_text(state_of($node, $db), $source{state}, "$name: the rows of every table");
	books_ok($node, $db, $name);
	content_ok($node, $db, $name);
	is(due_in($node, $db), $source{due}, "$name: the same credit expires, and what holds give back");
	same_text(work_in($node, $db), $source{work}, "$name: workers go on where they were");
	alive_ok($node, $db, $name);
	return;
}

# --- the data alone, as the platform's command line writes it --------------------------

my %form = (copy => [], inserts => [ '--column-inserts', '--rows-per-insert=100000' ]);

foreach my $form (sort keys %form)
{
	dump_of('source', "$form.sql", '--data-only', '--quote-all-identifiers', @{ $form{$form} },
		'-n', 'auth', '-n', 'public', '-n', 'pipeline', '-n', 'studio_engine');
	append_to_file("$dir/seed_$form.sql", "SET session_replication_role = replica;\n\n" . slurp_file("$dir/$form.sql") . "\nRESET ALL;\n");

	platform('copy');
	query($node, 'copy', customs_of_owner(), user => 'studio_owner');
	# what the customs made is in the dump too
	query($node, 'copy', 'TRUNCATE pipeline.my_table');
	{
		local $ENV{PGUSER} = 'studio_owner';
		$node->command_ok([ 'psql', '-XqAt', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', 'copy', '-f', "$dir/seed_$form.sql" ],
			"$form: loads where the extension is, as a role that is no superuser");
	}
	same_rows_ok('copy', $form);
	is(query($node, 'copy', 'SELECT count(*) FROM public.credit_ledger WHERE note = (SELECT note FROM public.credit_ledger ORDER BY created_at LIMIT 1) GROUP BY user_id HAVING count(*) > 1'), '',
		"$form: nobody is welcomed twice");
}

# --- the schema alone --------------------------------------------------------------------

dump_of('source', 'schema.sql', '--schema-only', '-N', 'auth');
query($node, 'postgres', 'DROP DATABASE IF EXISTS branch WITH (FORCE)');
query($node, 'postgres', 'CREATE DATABASE branch OWNER studio_owner');
load_stub($node, 'branch');
query($node, 'branch', 'GRANT USAGE ON SCHEMA auth TO studio_owner; GRANT ALL ON ALL TABLES IN SCHEMA auth TO studio_owner;');
{
	local $ENV{PGUSER} = 'studio_owner';
	$node->command_ok([ 'psql', '-XqAt', '-o', '/dev/null', '-d', 'branch', '-f', "$dir/schema.sql" ], 'a branch: the schema loads');
}
is(query($node, 'branch', 'SELECT count(*) FROM studio_engine.settings'), '0', '... without a row of settings');
is(query($node, 'branch', 'SELECT count(*) > 20, count(*) FILTER (WHERE value = default_value) = count(*) FROM public.get_settings()'), 't|t',
	'... all settings have their defaults');
query($node, 'branch', q{SELECT public.set_setting('welcome_credits', '7')}, user => 'studio_owner');
query($node, 'branch', q{INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-000000000001', 'new@example.com')});
is(query($node, 'branch', 'SELECT balance FROM public.credit_accounts'), '7', '... and can be changed');
is(query($node, 'branch', q{SELECT string_agg(name, ' ') FROM public.verify_setup() WHERE NOT ok}), '', '... verify_setup() finds nothing');
query($node, 'branch', 'DROP EXTENSION studio_engine CASCADE', user => 'studio_owner');
sql_ok($node, 'branch', 'CREATE EXTENSION studio_engine', '... which is adopted', user => 'studio_owner');
is(query($node, 'branch', q{SELECT string_agg(name, ' ' ORDER BY name) FROM studio_engine.meta}), 'companies digest_key schema_version', '... with its facts');
is(query($node, 'branch', q{SELECT value FROM studio_engine.meta WHERE name = 'companies'}), 'own', '... companies are ours');
books_ok($node, 'branch', 'a branch');
# what is there stays, also where the triggers would let what comes replace it
my $kept = q{SELECT (SELECT string_agg(name || ' ' || value, ' ' ORDER BY name) FROM studio_engine.settings) || (SELECT string_agg(name || ' ' || value, ' ' ORDER BY name) FROM studio_engine.meta)};
my $had = query($node, 'branch', $kept);
foreach my $set ('session_replication_role = replica', 'studio_engine.maintenance = on')
{
	query($node, 'branch', "DROP EXTENSION studio_engine CASCADE; BEGIN; SET LOCAL $set; CREATE EXTENSION studio_engine; COMMIT", user => 'studio_owner');
	is(query($node, 'branch', $kept), $had, "... and keeps its settings and facts, with $set");
}
is(query($node, 'branch', q{SELECT string_agg(name, ' ') FROM public.verify_setup() WHERE NOT ok}), '', '... verify_setup() finds nothing');
query($node, 'branch', 'ALTER TABLE studio_engine.settings DISABLE TRIGGER ALL; ALTER TABLE studio_engine.settings ENABLE TRIGGER ALL');
is(query($node, 'branch', q{SELECT string_agg(name, ' ') FROM public.verify_setup() WHERE NOT ok}), 'replica_triggers', '... but what pg_dump --disable-triggers does to the triggers');
query($node, 'branch', query($node, 'branch', q{SELECT remedy FROM public.verify_setup() WHERE name = 'replica_triggers'}));
is(query($node, 'branch', q{SELECT string_agg(name, ' ') FROM public.verify_setup() WHERE NOT ok}), '', '... and has the remedy');

# --- logical replication of everything, and a failover -------------------------------------

query($node, 'postgres', 'DROP DATABASE copy WITH (FORCE)');
platform('standby');
query($node, 'standby', customs_of_owner(), user => 'studio_owner');
query($node, 'standby', 'TRUNCATE pipeline.my_table');
query($node, 'source', 'CREATE PUBLICATION everything FOR ALL TABLES');
query($node, 'source', q{SELECT pg_create_logical_replication_slot('to_standby', 'pgoutput')});

# this session has read the settings, pauses and limits of the new installation before any come
my ($out, $in, $timer) = ('', '', IPC::Run::timeout(180));
my $session = IPC::Run::start([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', 'standby' ], '<', \$in, '>', \$out, $timer);

sub ask
{
	my ($sql) = @_;

	$out = '';
	$in .= "$sql\n\\echo done\n";
	$session->pump while $out !~ /^done$/m && length $in >= 0 && $session->pumpable;
	$out =~ s/done\n\z//;
	return $out;
}

my $reads = q{
	BEGIN;
	INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-0000000000aa', 'open@example.com');
	SELECT balance FROM public.credit_accounts WHERE user_id = '00000000-0000-4000-8000-0000000000aa';
	SELECT paused_at IS NOT NULL FROM public.get_queue_stages('jobs') WHERE stage = 'PACKAGING';
	SELECT count(*) FROM public.claim_jobs('jobs', 'packer', 1, p_stages => '{PACKAGING}');
	ROLLBACK;};
is(ask($reads), "10\nf\n0\n", 'a session on the standby goes by the defaults');

my $conninfo = sprintf('host=%s port=%s dbname=source user=postgres', $node->host, $node->port);
query($node, 'standby', "CREATE SUBSCRIPTION from_source CONNECTION '$conninfo' PUBLICATION everything WITH (create_slot = false, slot_name = to_standby)");
ok($node->poll_query_until('standby', q{SELECT count(*) > 30 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel}),
	'every table is synchronized, settings and facts included')
  or diag(query($node, 'standby', q{SELECT srrelid::regclass, srsubstate FROM pg_subscription_rel WHERE srsubstate <> 'r'}));

# changes of every kind while it runs
query($node, 'source', q{
	SELECT public.set_setting('welcome_credits', '33');
	INSERT INTO auth.users (id, email) SELECT md5('late ' || i)::uuid, 'late' || i || '@example.com' FROM generate_series(1, 3) i;
	SELECT public.purchase_credits(md5('late 1')::uuid, 500, 'pay_late');
	SELECT public.create_studio_job(md5('late ' || i)::uuid, 'late') FROM generate_series(1, 3) i;
	SELECT count(*) FROM public.claim_jobs('studio_jobs', 'late', 2, '1 day');
	SELECT public.reverse_purchase('pay_late', 100);
	DELETE FROM auth.users WHERE id = md5('late 3')::uuid;
	SELECT public.limit_stage('jobs', 'RENDERING', NULL);});
my $lsn = query($node, 'source', 'SELECT pg_current_wal_lsn()');
ok($node->poll_query_until('source', "SELECT confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots WHERE slot_name = 'to_standby'"),
	'the standby has all changes');
%source = (state => state_of($node, 'source'), work => work_in($node, 'source'), due => due_in($node, 'source'));

# the first node is gone, and this one takes over
query($node, 'standby', 'ALTER SUBSCRIPTION from_source DISABLE; ALTER SUBSCRIPTION from_source SET (slot_name = NONE); DROP SUBSCRIPTION from_source');
query($node, 'source', q{SELECT pg_drop_replication_slot('to_standby')});
is(ask($reads), "33\nt\n0\n", 'the open session heeds settings, pauses and limits that came');
same_rows_ok('standby', 'after the failover');
sql_ok($node, 'standby', q{
	INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-0000000000bb', 'after@example.com');
	SELECT public.create_studio_job('00000000-0000-4000-8000-0000000000bb', 'after');
	SELECT public.grant_credits('00000000-0000-4000-8000-0000000000bb', 5);}, 'the new primary signs up, books and queues');
books_ok($node, 'standby', 'the new primary');
$in .= "\\q\n";
$session->finish;

$node->stop;
done_testing();
