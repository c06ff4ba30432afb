# Who installs: the extension is trusted, so whoever may create objects in the
# database may install it. A role that prepared the ground for itself gets
# nothing that it had not before; an ordinary role that installs in good faith
# owns what it installed through dump, restore and reinstallation, whatever it
# and its schema are called.
#
# Pitfall: CREATE EXTENSION runs its script as a superuser and our functions run
# as the owner of the data, so the question is never whether a statement of the
# intruder fails, but as whom anything of his is run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('trusted');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $victim = uuid_of('victim');
my $nobody = uuid_of('nobody');

query($node, 'postgres', q{
	CREATE ROLE intruder LOGIN;
	CREATE ROLE app LOGIN;
	CREATE ROLE billing LOGIN BYPASSRLS;});

# A database with the stand-in and one user, in which this role may create.
sub database_with_user
{
	my ($db, $role, %options) = @_;
	my $owner = $options{owner} // 'postgres';

	query($node, 'postgres', qq(CREATE DATABASE "$db" OWNER "$owner"));
	load_stub($node, $db);
	query($node, $db, qq(
		GRANT CREATE ON DATABASE "$db" TO "$role";
		INSERT INTO auth.users (id, email, raw_user_meta_data)
			VALUES ('$victim', 'victim\@example.com', '{"name": "The secret name"}');));
	return;
}

# ... and install.
sub let_install
{
	my ($db, $role) = @_;

	query($node, $db, qq(
		GRANT CREATE ON SCHEMA public TO "$role";
		GRANT USAGE ON SCHEMA auth TO "$role";
		GRANT TRIGGER, REFERENCES ON auth.users TO "$role";));
	return;
}

# The SQL works and says all of this.
sub said_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $sql, $expected, $name, %options) = @_;
	my ($status, $out, $err) = run_sql($node, $db, $sql, %options);
	my @unsaid = grep { $err !~ $_ } @$expected;

	ok($status == 0 && !@unsaid, $name) or diag("status $status, expected @$expected, got: $err");
	return;
}

my $triggers_on_users = q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND NOT tgisinternal};

# --- somebody was there before ------------------------------------------------

# What the intruder prepares: tables of our names with a trigger that notes as
# whom it runs.
my $traps = q{
	CREATE TABLE m.noted (who text);
	GRANT ALL ON m.noted TO PUBLIC;
	GRANT USAGE ON SCHEMA m TO PUBLIC;
	CREATE FUNCTION m.note() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO m.noted VALUES (current_user); RETURN NEW; END $$;
	CREATE TABLE m.profiles (id uuid PRIMARY KEY, display_name text);
	CREATE TABLE m.draft_prompts (id uuid DEFAULT gen_random_uuid(), session_token text, user_id uuid, prompt_text text,
		template_id text, options jsonb, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
		expires_at timestamptz DEFAULT 'infinity');
	CREATE TABLE m.credit_accounts (user_id uuid PRIMARY KEY, balance integer DEFAULT 0, reserved integer DEFAULT 0,
		entries bigint DEFAULT 0, updated_at timestamptz);
	CREATE TABLE m.credit_ledger (id uuid DEFAULT gen_random_uuid(), user_id uuid, type text, amount integer, balance_after integer, note text,
		job_id uuid, stripe_payment_id text, entry_no bigint, idempotency_key text, expires_at timestamptz, reverses uuid,
		reference text, metadata jsonb, priority integer, transfer_id uuid);
	CREATE TABLE m.studio_jobs (job_id uuid DEFAULT gen_random_uuid(), created_at timestamptz DEFAULT now(), status text DEFAULT 'NEW', user_id uuid,
		raw_audio_url text, raw_transcript text, refined_text text, system_prompt_used text, processing_time_ms integer, error_details jsonb,
		enrichment_entities jsonb, model_version text, retry_count integer DEFAULT 0, priority integer DEFAULT 0);
	CREATE TRIGGER note BEFORE INSERT ON m.studio_jobs FOR EACH ROW EXECUTE FUNCTION m.note();
	CREATE TABLE studio_engine.settings (name text PRIMARY KEY, value text, description text);
	INSERT INTO studio_engine.settings VALUES ('welcome_credits', '10'), ('draft_lifetime_days', '7');
	CREATE TABLE studio_engine.expiring_credits (entry_id uuid, user_id uuid, expires_at timestamptz, held_back boolean DEFAULT false);
	CREATE TABLE studio_engine.ledger_hashes (entry_id uuid, user_id uuid, entry_no bigint, hash bytea);
	CREATE TABLE studio_engine.credit_keys (user_id uuid, idempotency_key text, kind text, entry_id uuid, amount integer);
	CREATE TABLE studio_engine.expiring_holds (hold_id uuid, user_id uuid, expires_at timestamptz);
	CREATE TABLE studio_engine.lot_checkpoints (user_id uuid, entry_no bigint, state jsonb);
	CREATE TABLE studio_engine.transfers (id uuid DEFAULT gen_random_uuid(), from_user_id uuid, to_user_id uuid, kind text, amount integer);
	CREATE TABLE studio_engine.welcomed (digest bytea PRIMARY KEY);
	CREATE TABLE studio_engine.payment_digests (digest bytea PRIMARY KEY);
	CREATE TABLE studio_engine.stripe_objects (object_id text, kind text, merged_into text, user_id uuid, credits integer, subscription boolean, paid boolean, total bigint, currency text, expires_at timestamptz, changed_at timestamptz);
	CREATE TRIGGER note BEFORE INSERT ON m.profiles FOR EACH ROW EXECUTE FUNCTION m.note();
	CREATE TRIGGER note BEFORE INSERT ON m.draft_prompts FOR EACH ROW EXECUTE FUNCTION m.note();
	CREATE TRIGGER note BEFORE INSERT ON m.credit_accounts FOR EACH ROW EXECUTE FUNCTION m.note();
};
my $sign_up = q{SET ROLE supabase_auth_admin; SET search_path = auth; INSERT INTO auth.users (id, email) VALUES (gen_random_uuid(), 'a@example.com');};

database_with_user('squatted', 'intruder');
query($node, 'squatted', 'CREATE SCHEMA studio_engine; CREATE SCHEMA m;', user => 'intruder');
said_ok('squatted', 'SET row_security = off; CREATE EXTENSION studio_engine SCHEMA m', [ qr/^(?!.*WARNING)/s ],
	'an empty private schema of the installing role is taken for a restore', user => 'intruder');
query($node, 'squatted', $traps, user => 'intruder');
is(query($node, 'squatted', $triggers_on_users), '0', '... and no trigger on auth.users');
foreach my $id ($victim, $nobody)
{
	my $who = $id eq $victim ? 'a user' : 'nobody';

	refused_ok($node, 'squatted', "SELECT m.ensure_profile('$id')", '42501', [ qr/may not refer to auth\.users/ ],
		"... and ensure_profile() of $who is refused", user => 'intruder');
	refused_ok($node, 'squatted', "SELECT m.claim_draft_prompt('a token of sixteen', '$id')", '42501',
		[ qr/may not refer to auth\.users/ ], "... and a claim for $who", user => 'intruder');
	refused_ok($node, 'squatted', "SELECT m.grant_credits('$id', 5)", '42501',
		[ qr/may not refer to auth\.users/ ], "... and a grant to $who", user => 'intruder');
	refused_ok($node, 'squatted', "SELECT m.create_studio_job('$id', 'a')", '42501',
		[ qr/may not refer to auth\.users/ ], "... and a studio job of $who", user => 'intruder');
	refused_ok($node, 'squatted', "SELECT m.subscription_credits('$id', 5, 'in_1', NULL, '2999-01-01')", '42501',
		[ qr/may not refer to auth\.users/ ], "... and a payment of $who", user => 'intruder');
}
refused_ok($node, 'squatted',
	'CREATE TRIGGER mine AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION m.handle_new_user()',
	'42501', [ qr/permission denied/ ], '... nor can the role attach sign-up itself', user => 'intruder');
sql_ok($node, 'squatted', $sign_up, '... and users sign up');
is(query($node, 'squatted', 'SELECT count(*) FROM m.noted'), '0', '... unseen by the intruder');
query($node, 'squatted', q{SET ROLE anon; SELECT m.save_draft_prompt('a token of sixteen', 'A prompt');});
is(query($node, 'squatted', 'SELECT DISTINCT who FROM m.noted'), 'intruder',
	"... and what others call there runs as nobody but the intruder");

refused_ok($node, 'squatted', 'DROP EXTENSION studio_engine; CREATE EXTENSION studio_engine', '42501',
	[ qr/objects of studio_engine belong to another role/, qr/Not owned by the installing role postgres: .*schema studio_engine/,
		qr/HINT:  Install as the owner of these objects, or remove them\./ ],
	'the rightful installer does not build on that ground');
is(query($node, 'squatted', $triggers_on_users), '0', '... and leaves nothing');
query($node, 'squatted', 'DROP SCHEMA studio_engine, pipeline CASCADE');
sql_ok($node, 'squatted', 'CREATE EXTENSION studio_engine', '... but installs when it is cleared');
alive_ok($node, 'squatted', 'after the intruder');

# The same with what makes it look like an earlier installation.
database_with_user('faked', 'intruder');
query($node, 'faked', 'CREATE SCHEMA studio_engine; CREATE SCHEMA m; CREATE TABLE studio_engine.meta (name text PRIMARY KEY, value text);' . $traps,
	user => 'intruder');
refused_ok($node, 'faked', 'CREATE EXTENSION studio_engine SCHEMA m', '42501',
	[ qr/may not put triggers and foreign keys on auth\.users/ ], 'a faked installation: refused without rights on auth.users', user => 'intruder');
is(query($node, 'faked', $triggers_on_users), '0', '... and no trigger on auth.users');
foreach my $schema ('public', 'm')
{
	refused_ok($node, 'faked', "CREATE EXTENSION studio_engine SCHEMA $schema", '42501',
		[ qr/objects of studio_engine belong to another role/, qr/schema studio_engine, .*table studio_engine\.meta/ ],
		"the rightful installer does not adopt it into schema $schema");
}
is(query($node, 'faked', q{SELECT count(*) FROM pg_extension WHERE extname = 'studio_engine'}), '0', '... and leaves nothing');

# The ground of somebody else, who has more rights. Between CREATE SCHEMA and
# CREATE EXTENSION of a restore, anybody who may create is in this place: with
# his tables under our functions, his triggers would run as the superuser.
foreach my $case ([ 'first', 'CREATE SCHEMA studio_engine', '' ],
	[ 'later', 'CREATE EXTENSION studio_engine; DROP EXTENSION studio_engine CASCADE', 'CREATE TABLE m.credit_ledger (id uuid);' ])
{
	my ($db, $ground, $own) = @$case;

	database_with_user($db, 'intruder');
	let_install($db, 'intruder');
	query($node, $db, $ground);
	query($node, $db, "CREATE SCHEMA m; $own", user => 'intruder');
	foreach my $schema ('public', 'm')
	{
		my @expected = (qr/belong to another role/, qr/Not owned by the installing role intruder: .*schema studio_engine/);

		refused_ok($node, $db, "CREATE EXTENSION studio_engine SCHEMA $schema", '42501', \@expected,
			"$db: a schema studio_engine of a superuser is not the intruder's, into $schema", user => 'intruder');
		refused_ok($node, $db, "SET row_security = off; CREATE EXTENSION studio_engine SCHEMA $schema", '42501', \@expected,
			'... nor in a session that looks like a restore', user => 'intruder');
	}
	is(query($node, $db, q{SELECT count(*) FROM pg_extension WHERE extname = 'studio_engine'}), '0', "$db: ... and nothing is left");
}

# --- the empty schema of a first installation -----------------------------------

query($node, 'postgres', 'CREATE DATABASE empty');
load_stub($node, 'empty');
refused_ok($node, 'empty', 'CREATE SCHEMA studio_engine; CREATE EXTENSION studio_engine', '55000', [ qr/there in part/ ],
	'an empty schema studio_engine is taken for a restore only in a session of one');
sql_ok($node, 'empty', 'SET row_security = off; CREATE EXTENSION studio_engine', '... there it is');
is(query($node, 'empty', q{SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace}),
	'0', '... and no table is created');
sql_ok($node, 'empty', $sign_up, '... and sign-up works');

# --- roles and schemas of any name ---------------------------------------------

# What must outlive everything: rows, owners, grants, policies, triggers.
sub state_of
{
	my ($db, $schema) = @_;
	my $rows = join ' UNION ALL ', map {
		"SELECT '$_', count(*)::text || ' ' || coalesce(md5(string_agg(x::text, ';' ORDER BY x::text)), '') FROM $schema.$_ x"
	} qw(profiles draft_prompts projects jobs job_steps assets logs credit_accounts credit_ledger studio_jobs);

	return query($node, $db, qq(
		WITH ours AS (
			SELECT c.* FROM pg_class c
			 WHERE c.relkind = 'r' AND c.relnamespace IN ('$schema'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace))
		SELECT * FROM ($rows
			UNION ALL SELECT 'settings', string_agg(s::text, ';' ORDER BY s.name) FROM studio_engine.settings s
			UNION ALL SELECT 'queue', string_agg(q::text, ';' ORDER BY q.job_id) FROM studio_engine.queue q
			UNION ALL SELECT 'attempts', string_agg(a::text, ';' ORDER BY a.job_id, a.lease_token) FROM studio_engine.attempts a
			UNION ALL SELECT 'runs', string_agg(concat(j, e, a), ';' ORDER BY j.run_id, e.seq)
				FROM pipeline.jobs j JOIN pipeline.job_events e USING (run_id) JOIN pipeline.artifacts a USING (run_id)
			UNION ALL SELECT 'owner ' || c.relname, c.relowner::regrole::text FROM ours c
			UNION ALL SELECT 'owner ' || n.nspname, n.nspowner::regrole::text FROM pg_namespace n WHERE n.nspname IN ('studio_engine', 'pipeline')
			UNION ALL SELECT 'owner ' || t.typname, t.typowner::regrole::text FROM pg_type t
				WHERE t.typtype = 'e' AND t.typnamespace IN ('$schema'::regnamespace, 'studio_engine'::regnamespace)
			UNION ALL SELECT 'acl ' || c.relname, a.grantee::regrole || ' ' || a.privilege_type
				FROM ours c, aclexplode(c.relacl) a
			UNION ALL SELECT 'policy ' || c.relname, p.polname FROM ours c JOIN pg_policy p ON p.polrelid = c.oid
			UNION ALL SELECT 'trigger', pg_get_triggerdef(t.oid) FROM pg_trigger t
				WHERE NOT t.tgisinternal AND (t.tgrelid = 'auth.users'::regclass OR t.tgrelid IN (SELECT oid FROM ours))
		) lines (what, how) ORDER BY 1, 2));
}

# The owner uses the product and passes a right on.
sub use_it
{
	my ($db, $role, $schema) = @_;

	sql_ok($node, $db, qq(
		SET search_path = $schema;
		GRANT USAGE ON SCHEMA $schema TO billing, anon, authenticated, service_role;
		GRANT EXECUTE ON FUNCTION grant_credits(uuid, integer, text, text, timestamptz, integer) TO billing;
		GRANT SELECT ON credit_ledger TO billing;
		SELECT ensure_profile('$victim'), grant_credits('$victim', 20, 'by the owner');
		UPDATE studio_engine.settings SET value = '3' WHERE name = 'max_active_jobs';
		INSERT INTO projects (user_id, title, prompt_text, niche_preset) VALUES ('$victim', 'p', 'p', 'facts');
		SELECT pipeline.create_job('run', '{}', '$victim'), pipeline.register_artifact('run', 'zip', 'u');
		SELECT create_job(id, 3) FROM projects;
		SELECT create_studio_job('$victim', 'audio ' || n) FROM generate_series(1, 3) n;
		SELECT fail_studio_job(job_id, '{"code": "X"}', true, lease_token) FROM claim_jobs('studio_jobs', 'w', 1);
		SELECT count(*) FROM claim_jobs('studio_jobs', 'w', 1, '1 day');
		UPDATE studio_engine.queue SET due_at = '2999-01-01' WHERE state = 'delayed';), "$role operates what it installed", user => $role);
	return;
}

# It still may, and so may whom it let; nothing stays of the trial.
sub still_may
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $role, $schema, $name) = @_;

	foreach my $user ($role, 'billing')
	{
		sql_ok($node, $db, qq(BEGIN; SELECT $schema.grant_credits('$victim', 7, 'again'); ROLLBACK;),
			"$name: $user may grant credits", user => $user);
	}
	refused_ok($node, $db, qq(SELECT $schema.purchase_credits('$victim', 7, 'pi_1')), '42501', [ qr/permission denied/ ],
		"$name: billing may nothing else", user => 'billing');
	sql_ok($node, $db, qq(BEGIN; SELECT $schema.retry_job(id), $schema.fail_job(id) FROM $schema.jobs; ROLLBACK;),
		"$name: $role operates it", user => $role);
	sql_ok($node, $db, qq(
		DO \$\$
		BEGIN
			ASSERT (SELECT count(*) FROM studio_engine.attempts a, $schema.heartbeat_job(a.job_id, a.lease_token)
					 WHERE a.ended_at IS NULL) = 1, 'the lease goes on';
			ASSERT (SELECT count(*) FROM $schema.claim_jobs('studio_jobs', 'x', 10)) = 1, 'one waits';
			ASSERT $schema.release_leases('x') = 1, 'and waits again';
			ASSERT studio_engine.rebuild_queue() = 0, 'the queue is complete';
			RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO0';
		EXCEPTION WHEN SQLSTATE 'UNDO0' THEN NULL;
		END \$\$;), "$name: $role works on jobs", user => $role);
	refused_ok($node, $db, qq(SELECT * FROM $schema.claim_jobs('jobs', 'w')), '42501', [ qr/permission denied/ ],
		"$name: billing claims no job", user => 'billing');
	return;
}

sub restored
{
	my ($db, $copy, $name) = @_;
	my ($out, $err) = ('', '');
	my @where = ('-h', $node->host, '-p', $node->port, '-d');

	query($node, 'postgres', "CREATE DATABASE $copy");
	IPC::Run::run([ 'pg_dump', @where, $db, '-Fc', '-f', "$dir/$copy" ], '>', \$out, '2>', \$err) or give_up("pg_dump failed: $err");
	my $done = IPC::Run::run([ 'pg_restore', '--exit-on-error', @where, $copy, "$dir/$copy" ], '>', \$out, '2>', \$err);
	ok($done && $err eq '', "$name: pg_restore --exit-on-error") or diag($err);
	return;
}

my $number = 0;
foreach my $case ([ 'app', 'public' ], [ '50%s', 'public' ], [ 'App Owner', '"Studio Space"' ], [ 'select', '"50%s"' ])
{
	my ($role, $schema) = @$case;
	my $db = 'name' . ++$number;
	my $name = "$role in $schema";

	query($node, 'postgres', qq(CREATE ROLE "$role" LOGIN)) if $role ne 'app';
	database_with_user($db, $role);
	query($node, $db, qq(CREATE SCHEMA $schema), user => $role) if $schema ne 'public';
	refused_ok($node, $db, qq(CREATE EXTENSION studio_engine SCHEMA $schema), '42501',
		[ qr/HINT:  GRANT TRIGGER, REFERENCES ON auth\.users TO "?\Q$role\E"?;/ ],
		"$name: refused without rights on auth.users", user => $role);
	let_install($db, $role);
	sql_ok($node, $db, "CREATE EXTENSION studio_engine SCHEMA $schema", "$name: installs", user => $role);
	use_it($db, $role, $schema);
	my $before = state_of($db, $schema);
	is(() = $before =~ /^owner \S+\|"?\Q$role\E"?$/mg, 53, "$name: owns the tables, the types and the schemas");
	still_may($db, $role, $schema, "$name, installed");
	alive_ok($node, $db, $name, $schema);

	restored($db, "copy$number", $name);
	same_text(state_of("copy$number", $schema), $before, "$name: the restored copy is the same");
	still_may("copy$number", $role, $schema, "$name, restored");
	alive_ok($node, "copy$number", "$name, restored", $schema);
	is(query($node, "copy$number", 'SELECT count(*) FROM studio_engine.lint()'), '0', "$name: lint() finds nothing");

	sql_ok($node, $db, 'DROP EXTENSION studio_engine CASCADE', "$name: the owner removes it", user => $role);
	refused_ok($node, $db, "CREATE EXTENSION studio_engine SCHEMA $schema", '42501',
		[ qr/belong to another role/, qr/table \S.*credit_ledger/, qr/HINT:  Install as the owner of these objects/ ],
		"$name: a superuser is told to install as the owner");
	sql_ok($node, $db, "CREATE EXTENSION studio_engine SCHEMA $schema", "$name: the owner installs it again", user => $role);
	same_text(state_of($db, $schema), $before, "$name: rows, owners and grants are as before");
	query($node, $db, qq(GRANT EXECUTE ON FUNCTION $schema.grant_credits(uuid, integer, text, text, timestamptz, integer) TO billing), user => $role);
	still_may($db, $role, $schema, "$name, installed again");
	alive_ok($node, $db, "$name, installed again", $schema);
	books_ok($node, $db, $name, $schema);
}

# Characters that PostgreSQL does not pass on to an extension's script.
foreach my $role ("o'brien", 'a"b', 'a$b', 'a\\b')
{
	(my $quoted = $role) =~ s/"/""/g;
	my $db = 'name' . ++$number;

	query($node, 'postgres', qq(CREATE ROLE "$quoted" LOGIN; CREATE DATABASE $db;));
	load_stub($node, $db);
	query($node, $db, qq(GRANT CREATE ON DATABASE $db TO "$quoted"));
	let_install($db, $quoted);
	refused_ok($node, $db, qq(SET SESSION AUTHORIZATION "$quoted"; CREATE EXTENSION studio_engine), '22P02', [ qr/invalid character in extension owner/ ],
		"PostgreSQL refuses an installing role $role");
	is(query($node, $db, q{SELECT count(*) FROM pg_namespace WHERE nspname = 'studio_engine'}), '0', '... and nothing is left');
}

# --- the owner of the database ----------------------------------------------------

database_with_user('owned', 'app', owner => 'app');
let_install('owned', 'app');
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine', 'the owner of the database installs', user => 'app');
use_it('owned', 'app', 'public');
my $before = state_of('owned', 'public');
query($node, 'owned', 'DROP EXTENSION studio_engine CASCADE', user => 'app');
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine', '... and a superuser installs it again for him');
same_text(state_of('owned', 'public'), $before, '... where all that belonged to the owner does so still');
query($node, 'owned', 'GRANT EXECUTE ON FUNCTION grant_credits(uuid, integer, text, text, timestamptz, integer) TO billing', user => 'app');
still_may('owned', 'app', 'public', 'for the owner of the database');
alive_ok($node, 'owned', 'installed again for the owner of the database');

$node->stop;
done_testing();
