# Installs as platforms do them: the database belongs to postgres, who is no
# superuser, default privileges open what is created in public to the API roles
# and to him, and the script is run by the superuser supabase_admin, for
# himself or on behalf of postgres.  The data belongs to postgres then, and
# everything has the grants that an install by postgres has.
#
# Pitfall: the grants are compared with those of an install by the owner of the
# data, so whatever is wrong in both is not seen here; pgtap looks at those.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster_of('supabase_admin', 'platform');
my $dir = PostgreSQL::Test::Utils::tempdir();

query($node, 'postgres', q{
	CREATE ROLE postgres LOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS;
	CREATE ROLE developer LOGIN;
	CREATE ROLE billing LOGIN;});

# A database of this owner as the platform's scripts leave it, with these grants.
sub platform
{
	my ($db, %options) = @_;
	my $owner = $options{owner} // 'postgres';

	query($node, 'postgres', "CREATE DATABASE $db OWNER $owner");
	load_stub($node, $db);
	query($node, $db, "CREATE SCHEMA extensions AUTHORIZATION $owner; GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role;");
	foreach my $creator (qw(supabase_admin postgres))
	{
		query($node, $db, "ALTER DEFAULT PRIVILEGES FOR ROLE $creator IN SCHEMA $_
			GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
			ALTER DEFAULT PRIVILEGES FOR ROLE $creator IN SCHEMA $_ GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;
			ALTER DEFAULT PRIVILEGES FOR ROLE $creator IN SCHEMA $_ GRANT ALL ON FUNCTIONS TO postgres, anon, authenticated, service_role;")
		  foreach qw(public extensions);
		next if !$options{wide};
		query($node, $db, "ALTER DEFAULT PRIVILEGES FOR ROLE $creator GRANT ALL ON $_ TO developer WITH GRANT OPTION;")
		  foreach qw(TABLES SEQUENCES FUNCTIONS TYPES SCHEMAS);
	}
	return;
}

# Who may do what with everything of ours: object, grantee, right.  The owner of
# the data and the superuser are called so.
sub grants
{
	my ($db, $schema) = @_;

	return query($node, $db, q{
		WITH ours AS (
			SELECT 'pg_class'::regclass AS class, c.oid, 0 AS part, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl, c.relowner AS owner
			  FROM pg_class c WHERE c.relkind IN ('r', 'p', 'S', 'v') AND c.relnamespace IN ('SCHEMA'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
			UNION ALL
			SELECT 'pg_class'::regclass, c.oid, a.attnum, a.attacl, c.relowner
			  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL AND c.relnamespace IN ('SCHEMA'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
			UNION ALL
			SELECT 'pg_proc'::regclass, p.oid, 0, coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner
			  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
			  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'studio_engine'
			UNION ALL
			SELECT 'pg_type'::regclass, t.oid, 0, coalesce(t.typacl, acldefault('T', t.typowner)), t.typowner
			  FROM pg_type t WHERE t.typtype <> 'c' AND t.typcategory <> 'A' AND t.typnamespace IN ('SCHEMA'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
			UNION ALL
			SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspacl, n.nspowner FROM pg_namespace n WHERE n.nspname IN ('pipeline', 'studio_engine')
		)
		SELECT replace(pg_describe_object(o.class, o.oid, o.part), 'SCHEMA.', '') || ' to ' || CASE WHEN a.grantee = 0 THEN 'PUBLIC' WHEN r.rolsuper THEN 'superuser' ELSE r.rolname END
			|| ': ' || a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END
		  FROM ours o, LATERAL aclexplode(o.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
		 WHERE a.grantee <> o.owner ORDER BY 1;} =~ s/SCHEMA/$schema/gr);
}

# Who owns the data layer: kinds of objects by owner.
sub owners
{
	my ($db, $schema) = @_;

	return query($node, $db, qq{
		SELECT string_agg(DISTINCT o.owner::regrole::text, ' ') FROM (
			SELECT c.relowner FROM pg_class c WHERE c.relnamespace IN ('$schema'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
			UNION ALL SELECT t.typowner FROM pg_type t WHERE t.typnamespace IN ('$schema'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
			UNION ALL SELECT n.nspowner FROM pg_namespace n WHERE n.nspname IN ('pipeline', 'studio_engine')) o (owner);});
}

# What postgres, who owns the data, can do, and what he cannot.
sub operated_ok
{
	my ($db, $schema, $name) = @_;

	is(owners($db, $schema), 'postgres', "$name: the data belongs to postgres");
	sql_ok($node, $db, q{UPDATE studio_engine.settings SET value = '12' WHERE name = 'welcome_credits';}, "$name: he changes settings", user => 'postgres');
	is(sql_ok($node, $db, "SELECT count(*) FROM $schema.enable_realtime() WHERE added", "$name: he publishes", user => 'postgres'), '10', '... all tables');
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.lint()'), '0', "$name: lint() finds nothing");
	alive_ok($node, $db, $name, $schema);

	sql_ok($node, $db, qq{
		CREATE SCHEMA noted; GRANT USAGE ON SCHEMA noted TO PUBLIC; CREATE TABLE noted.ran (who text);
		GRANT INSERT ON noted.ran TO PUBLIC;
		CREATE FUNCTION noted.evil() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN INSERT INTO noted.ran VALUES (current_user);
			BEGIN EXECUTE 'ALTER ROLE postgres SUPERUSER'; EXCEPTION WHEN insufficient_privilege THEN NULL; END; RETURN NEW; END\$\$;
		CREATE TRIGGER evil BEFORE INSERT ON $schema.jobs FOR EACH ROW EXECUTE FUNCTION noted.evil();}, "$name: he makes a trigger", user => 'postgres');
	query($node, $db, qq{
		INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-0000000000a1', 'a\@example.com');
		INSERT INTO $schema.projects (id, user_id, title, prompt_text, niche_preset) VALUES ('00000000-0000-4000-8000-0000000000b1', '00000000-0000-4000-8000-0000000000a1', 't', 'p', 'facts');});
	sql_ok($node, $db, "SELECT $schema.create_job('00000000-0000-4000-8000-0000000000b1', 1);", "$name: $_ makes a job", user => $_) foreach qw(supabase_admin postgres);
	is(query($node, $db, q{SELECT string_agg(DISTINCT who, ' '), (SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres') FROM noted.ran}), 'postgres|f',
		"$name: his trigger runs as postgres, who stays what he is");
	query($node, 'postgres', 'ALTER ROLE postgres NOSUPERUSER');
	return;
}

# --- who runs the script ---------------------------------------------------------

my %installs = (
	owner => [ 'postgres', 'CREATE EXTENSION studio_engine SCHEMA %s' ],
	superuser => [ 'supabase_admin', 'CREATE EXTENSION studio_engine SCHEMA %s' ],
	# as supautils does it: the superuser's rights, the owner's session
	definer => [ 'supabase_admin', q{CREATE FUNCTION pg_temp.install() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
		$$BEGIN CREATE EXTENSION studio_engine SCHEMA %s; END$$; SET SESSION AUTHORIZATION postgres; SELECT pg_temp.install();} ],
	# ... in a security-restricted operation
	restricted => [ 'supabase_admin', q{CREATE FUNCTION auth.install() RETURNS integer LANGUAGE plpgsql AS $$BEGIN CREATE EXTENSION studio_engine SCHEMA %s; RETURN 1; END$$;
		CREATE MATERIALIZED VIEW auth.installed AS SELECT auth.install() WITH NO DATA; REFRESH MATERIALIZED VIEW auth.installed;} ],
);

my %expected;

foreach my $schema (qw(public extensions))
{
	foreach my $install (qw(owner superuser), $schema eq 'public' ? qw(definer restricted) : ())
	{
		my ($user, $sql) = @{ $installs{$install} };
		my $db = "${install}_$schema";

		platform($db);
		sql_ok($node, $db, sprintf($sql, $schema), "$db: installs", user => $user);
		$expected{$schema} //= grants($db, $schema);
		same_text(grants($db, $schema), $expected{$schema}, "$db: the grants are those of an install by the owner");
		operated_ok($db, $schema, $db);
	}
}

platform('wide', wide => 1);
sql_ok($node, 'wide', 'CREATE EXTENSION studio_engine', 'default privileges that name a developer for everything: installs');
same_text(grants('wide', 'public'), $expected{public}, '... and he gets nothing');
foreach my $table (qw(public.jobs studio_engine.queue pipeline.jobs))
{
	refused_ok($node, 'wide', "CREATE TRIGGER t BEFORE INSERT ON $table FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", '42501', [],
		"... no trigger on $table", user => 'developer');
}
sql_ok($node, 'wide', q{SELECT studio_engine.partition_by_month('logs'), studio_engine.partition_by_month('job_events');}, '... the owner makes partitions', user => 'postgres');
is(query($node, 'wide', q{
	SELECT string_agg(DISTINCT c.oid::regclass::text, ' ') FROM pg_class c, LATERAL aclexplode(c.relacl) a
	 WHERE c.relispartition AND c.relkind = 'r' AND a.grantee <> c.relowner;}), '', '... nor does anybody get a partition');
query($node, 'wide', 'DROP EXTENSION studio_engine CASCADE');
sql_ok($node, 'wide', 'CREATE EXTENSION studio_engine', 'adopted there by a superuser');
is(query($node, 'wide', q{SELECT count(*) FROM pg_proc p, LATERAL aclexplode(p.proacl) a WHERE a.grantee = 'developer'::regrole}), '0', '... he gets no function');

# --- an owner who lacks what it takes ------------------------------------------------

# The installation says one sentence, and does what the HINT says.
sub hinted_ok
{
	my ($db, $sql, $sentence, $name) = @_;
	my $hints = 0;

	while ($hints++ < 3)
	{
		my ($status, $out, $err) = run_sql($node, $db, $sql);
		my ($state, $message) = $err =~ /ERROR:  (\w{5}): (.*)/;
		my ($hint) = $err =~ /HINT:  (GRANT .*)/;

		last if $status == 0;
		like($message // $err, $sentence, "$name: says what is wrong") if $hints == 1;
		is($state, '42501', "$name: as a lack of rights");
		ok(defined $hint, "$name: the hint is a GRANT") or return;
		query($node, $db, $hint);
	}
	cmp_ok($hints, '>', 1, "$name: is refused first");
	is(owners($db, 'public') , 'postgres', "$name: installed with the GRANT of the hint") if $sql !~ /SCHEMA/;
	return;
}

platform('no_trigger');
query($node, 'no_trigger', 'REVOKE ALL ON auth.users FROM postgres; REVOKE ALL ON SCHEMA auth FROM postgres;');
hinted_ok('no_trigger', 'CREATE EXTENSION studio_engine', qr/auth\.users/, 'no rights on auth.users');
platform('no_create');
query($node, 'no_create', 'CREATE SCHEMA locked;');
hinted_ok('no_create', 'CREATE EXTENSION studio_engine SCHEMA locked', qr/schema/, 'no CREATE on the schema');
is(owners('no_create', 'locked'), 'postgres', '... whose objects are postgres\'s then');

# A superuser's own database is a superuser's.
platform('own', owner => 'supabase_admin');
sql_ok($node, 'own', 'CREATE EXTENSION studio_engine', 'in a superuser\'s own database');
is(owners('own', 'public'), 'supabase_admin', '... the data is his');
same_text(join("\n", grep { !/ to (?:postgres|superuser): / } split /\n/, grants('own', 'public')),
	join("\n", grep { !/ to (?:postgres|superuser): / } split /\n/, $expected{public}), '... with the grants of the others');
is(join("\n", grep { / to postgres: / } split /\n/, grants('own', 'public')), '', '... and postgres, whom default privileges name, gets nothing');

# --- tables that are made by others than the script --------------------------------------

# Each way to make a table of ours anew, after the old one is gone.
my %ways = (
	'CREATE TABLE' => 'DROP TABLE %s CASCADE; CREATE TABLE %s (id uuid);',
	'CREATE TABLE by pg_dump' => 'DROP TABLE %s CASCADE; SET LOCAL row_security = off; SET LOCAL check_function_bodies = off; CREATE TABLE %s (id uuid);',
	'CREATE TABLE by a replica' => 'DROP TABLE %s CASCADE; SET LOCAL session_replication_role = replica; CREATE TABLE %s (id uuid);',
	'CREATE TABLE in a block' => q{DROP TABLE %s CASCADE; DO $$ BEGIN CREATE TABLE %s (id uuid); END $$;},
	'CREATE TABLE AS' => 'DROP TABLE %s CASCADE; CREATE TABLE %s AS SELECT 1;',
	'SELECT INTO' => 'DROP TABLE %s CASCADE; SELECT 1 AS one INTO %s;',
	'CREATE VIEW' => 'DROP TABLE %s CASCADE; CREATE VIEW %s AS SELECT 1;',
	'CREATE MATERIALIZED VIEW' => 'DROP TABLE %s CASCADE; CREATE MATERIALIZED VIEW %s AS SELECT 1;',
	'RENAME' => 'DROP TABLE %s CASCADE; CREATE TABLE %in.other (id uuid); ALTER TABLE %in.other RENAME TO %name;',
	'SET SCHEMA' => 'DROP TABLE %s CASCADE; CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.%name (id uuid); GRANT ALL ON elsewhere.%name TO anon; ALTER TABLE elsewhere.%name SET SCHEMA %in;',
	'partition' => 'DROP TABLE %s CASCADE; CREATE TABLE %s (id uuid) PARTITION BY LIST (id); CREATE TABLE studio_engine.part PARTITION OF %s DEFAULT;',
);

sub made_closed_ok
{
	my ($way, $who, @tables) = @_;
	my @open;

	foreach my $table (@tables)
	{
		my ($in, $name) = split /\./, $table;
		my $sql = $ways{$way} =~ s/%s/$table/gr =~ s/%in/$in/gr =~ s/%name/$name/gr;

		push @open, grep { $_ ne '' } split /\n/, query($node, 'owner_public', "BEGIN; SET LOCAL client_min_messages = error; $sql
			SELECT DISTINCT c.oid::regclass::text || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END FROM pg_class c, LATERAL aclexplode(c.relacl) a
			 WHERE c.oid IN ('$table'::regclass, to_regclass('studio_engine.part')) AND a.grantee <> c.relowner; ROLLBACK;", user => $who);
	}
	is(join(' ', @open), '', "$way by $who makes no open table");
	return;
}

query($node, 'owner_public', 'ALTER DEFAULT PRIVILEGES FOR ROLE ' . $_ . ' GRANT ALL ON TABLES TO anon, developer;') foreach qw(supabase_admin postgres);
my @all = split /\n/, query($node, 'owner_public', q{
	SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	 WHERE c.relkind = 'r' AND n.nspname IN ('public', 'pipeline', 'studio_engine') ORDER BY 1;});
cmp_ok(scalar(@all), '>=', 35, 'there are tables to make anew');
made_closed_ok('CREATE TABLE', $_, @all) foreach qw(supabase_admin postgres);
foreach my $way (sort grep { $_ ne 'CREATE TABLE' } keys %ways)
{
	made_closed_ok($way, $_, qw(public.jobs pipeline.jobs studio_engine.queue)) foreach $way =~ /replica/ ? 'supabase_admin' : qw(supabase_admin postgres);
}
is(query($node, 'owner_public', q{BEGIN; SET LOCAL client_min_messages = error; ALTER SCHEMA pipeline RENAME TO gone; CREATE SCHEMA pipeline CREATE TABLE jobs (id uuid);
	SELECT count(*) FROM pg_class c, LATERAL aclexplode(c.relacl) a WHERE c.oid = 'pipeline.jobs'::regclass AND a.grantee <> c.relowner; ROLLBACK;}, user => 'postgres'),
	'0', 'CREATE SCHEMA with a table in it makes no open table');
is(query($node, 'owner_public', q{BEGIN; CREATE VIEW pipeline.report AS SELECT 1 AS a; GRANT SELECT ON pipeline.report TO billing; COMMIT;
	BEGIN; CREATE OR REPLACE VIEW pipeline.report AS SELECT 2 AS a; ALTER TABLE public.jobs ADD COLUMN mine text; ALTER TABLE public.jobs RENAME COLUMN mine TO yours;
	ALTER TABLE public.jobs RENAME TO away; ALTER TABLE public.away RENAME TO jobs;
	SELECT has_table_privilege('billing', 'pipeline.report', 'SELECT'), has_table_privilege('service_role', 'public.jobs', 'SELECT'); ROLLBACK;
	DROP VIEW pipeline.report;}, user => 'postgres'), 't|t', 'what is there and is changed keeps its rights');
is(query($node, 'owner_public', q{BEGIN; CREATE TABLE public.mine (); SELECT count(*) > 0 FROM pg_class c, LATERAL aclexplode(c.relacl) a
	WHERE c.oid = 'public.mine'::regclass AND a.grantee = 'anon'::regrole; ROLLBACK;}, user => 'postgres'), 't', 'a table that is not ours is as default privileges have it');

# --- restores that have nothing to do with us -----------------------------------------

query($node, 'owner_public', 'CREATE SCHEMA billing AUTHORIZATION billing');
query($node, 'owner_public', q{
	CREATE TABLE billing.bills (id integer PRIMARY KEY, amount numeric);
	INSERT INTO billing.bills SELECT i, i FROM generate_series(1, 5) i;
	CREATE MATERIALIZED VIEW billing.total AS SELECT sum(amount) FROM billing.bills;
	CREATE VIEW billing.large AS SELECT * FROM billing.bills WHERE amount > 3;}, user => 'billing');
is(query($node, 'owner_public', q{SELECT has_schema_privilege('billing', 'studio_engine', 'USAGE') OR has_schema_privilege('billing', 'pipeline', 'USAGE')}), 'f',
	'a role without any right on our schemas');
foreach my $format (qw(plain custom directory))
{
	local $ENV{PGUSER} = 'billing';
	my @format = (F => $format);

	$node->command_ok([ 'pg_dump', '-n', 'billing', "--format=$format", '-f', "$dir/$format", 'owner_public' ], "$format: dumps its schema");
	query($node, 'owner_public', 'DROP SCHEMA billing CASCADE', user => 'supabase_admin');
	query($node, 'owner_public', 'CREATE SCHEMA billing AUTHORIZATION billing', user => 'supabase_admin');
	# the schema is there: its owner may not create schemas
	if ($format eq 'plain')
	{
		append_to_file("$dir/plain.sql", slurp_file("$dir/plain") =~ s/^CREATE SCHEMA billing;$//mr);
		$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'owner_public', '-f', "$dir/plain.sql" ], "$format: ... and loads it");
	}
	else
	{
		run_command([ 'pg_restore', '-l', '-f', "$dir/list", "$dir/$format" ]);
		append_to_file("$dir/$format.list", join '', grep { !/ SCHEMA - billing / } map { "$_\n" } split /\n/, slurp_file("$dir/list"));
		$node->command_ok([ 'pg_restore', '-e', '-L', "$dir/$format.list", '-d', 'owner_public', "$dir/$format" ], "$format: ... and loads it");
	}
	is(query($node, 'owner_public', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'billing'::regnamespace}), '4', "$format: ... all of it");
}
foreach my $statement ('CREATE TABLE billing.t ()', 'CREATE TEMP TABLE t ()', 'CREATE TABLE billing.t AS SELECT 1', 'SELECT 1 AS one INTO billing.t',
	'CREATE VIEW billing.t AS SELECT 1', 'CREATE MATERIALIZED VIEW billing.t AS SELECT 1', 'CREATE TABLE billing.t (LIKE billing.bills INCLUDING ALL)',
	'ALTER TABLE billing.bills RENAME TO t', 'CREATE TABLE billing.t () INHERITS (billing.bills)', 'CREATE TABLE billing.jobs ()')
{
	sql_ok($node, 'owner_public', "BEGIN; SET LOCAL row_security = off; SET LOCAL check_function_bodies = off; $statement; ROLLBACK;",
		"$statement works while a dump is loaded", user => 'billing');
}

$node->stop;
done_testing();
