# An installation that has companies and employees of its own: they are used as
# they are, nothing of them is changed, and dump and restore keep it so.
#
# Pitfall: what the extension trusts must belong to whoever installs it; a table
# that a stranger put in its way would decide who sees what.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('companies');
my $dir = PostgreSQL::Test::Utils::tempdir();

# The tables as some application has them.
my $own = q{
	CREATE TABLE public.companies (name text PRIMARY KEY, plan text, id uuid NOT NULL UNIQUE);
	CREATE TABLE public.employees (email text, id uuid PRIMARY KEY DEFAULT gen_random_uuid(), active boolean DEFAULT true,
		company_id uuid REFERENCES public.companies (id), user_id uuid);
	REVOKE ALL ON public.companies, public.employees FROM PUBLIC, anon, authenticated, service_role;
	GRANT SELECT (company_id, user_id) ON public.employees TO authenticated;
	GRANT SELECT ON public.companies TO anon;
	ALTER TABLE public.employees ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own_rows ON public.employees FOR SELECT TO authenticated USING (active AND user_id = (SELECT auth.uid()));};

# What the catalogue and dumps say of the two tables.
sub description_of
{
	my ($db) = @_;

	return query($node, $db, q{
		SELECT c.relname, c.relrowsecurity, coalesce(c.relacl, acldefault('r', c.relowner)), obj_description(c.oid),
			   (SELECT string_agg(a.attname || coalesce(a.attacl::text, ''), ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
			   (SELECT string_agg(p.polname, ' ') FROM pg_policy p WHERE p.polrelid = c.oid),
			   (SELECT string_agg(i.indexrelid::regclass::text, ' ' ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid),
			   (SELECT string_agg(g.tgname, ' ') FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
		  FROM pg_class c WHERE c.oid IN ('public.companies'::regclass, 'public.employees'::regclass) ORDER BY c.relname});
}

sub database_with
{
	my ($db, $sql) = @_;

	query($node, 'postgres', qq(CREATE DATABASE "$db"));
	load_stub($node, $db);
	query($node, $db, $sql);
	return;
}

# Who sees what, by the installation's own policy: the inactive see nothing.
sub isolated_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name) = @_;
	my %seen;

	foreach my $user ('ann', 'bob', 'gone')
	{
		my $id = query($node, $db, "SELECT md5('$user')::uuid");

		$seen{$user} = query($node, $db, qq{
			SET request.jwt.claims = '{"sub": "$id", "role": "authenticated"}';
			SET ROLE authenticated;
			SELECT (SELECT string_agg(module_name, ' ') FROM public.cm_module_content),
				   (SELECT count(*) FROM public.mm_multimedia_assets), (SELECT count(*) FROM public.cm_course_plans),
				   (SELECT count(*) FROM public.search_module_content('secret'))});
	}
	is($seen{ann}, 'A|1|1|1', "$name: a user sees what is his company's");
	is($seen{bob}, 'B|1|1|1', "$name: ... and another that of his");
	is($seen{gone}, '|0|0|0', "$name: ... as far as the installation's own policy lets him");
	return;
}

database_with('own', $own);
my $before = description_of('own');
sql_ok($node, 'own', 'CREATE EXTENSION studio_engine', 'it installs beside companies and employees of others');
is(description_of('own'), $before, '... and leaves them as they are');
is(query($node, 'own', q{SELECT value FROM studio_engine.meta WHERE name = 'companies'}), 'mapped', '... which it notes');
is(query($node, 'own', 'SELECT count(*) FROM studio_engine.lint()'), '0', '... lint() finds nothing');
query($node, 'own', q{
	INSERT INTO auth.users (id) SELECT md5(u)::uuid FROM unnest('{ann,bob,gone}'::text[]) u;
	INSERT INTO public.companies (id, name, plan) SELECT md5(c)::uuid, c, 'gold' FROM unnest('{A,B}'::text[]) c;
	INSERT INTO public.employees (id, company_id, user_id, active) VALUES
		(md5('e1')::uuid, md5('A')::uuid, md5('ann')::uuid, true), (md5('e2')::uuid, md5('B')::uuid, md5('bob')::uuid, true),
		(md5('e3')::uuid, md5('A')::uuid, md5('gone')::uuid, false);
	SELECT public.register_multimedia_asset(public.create_multimedia_session(public.create_module_content(c.name, p_company_id => c.id)), NULL, 'video', 'v')
	  FROM public.companies c;
	SELECT public.update_module_section(content_id, 'introduction', 'a secret') FROM public.cm_module_content;
	SELECT public.create_course_plan(md5(e)::uuid) FROM unnest('{e1,e2}'::text[]) e;});
isolated_ok('own', 'mapped');
alive_ok($node, 'own', 'mapped');
is(query($node, 'own', q{SELECT string_agg(c.name, ' ' ORDER BY c.name) FROM public.cm_course_plans p JOIN public.companies c ON c.id = p.company_id}),
	'A B', 'a course plan has the company of its employee');

# DROP EXTENSION and back: adopted without touching what is not ours.
sql_ok($node, 'own', 'DROP EXTENSION studio_engine CASCADE', 'dropped');
sql_ok($node, 'own', 'CREATE EXTENSION studio_engine', '... and adopted');
is(description_of('own'), $before, '... the tables are still as they were');
isolated_ok('own', 'adopted');

# Dump and restore.
my $text = dump_text($node, 'own');
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-Fc', '-f', "$dir/own", 'own' ], 'it is dumped');
query($node, 'postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '-h', $node->host, '-p', $node->port, '-d', 'copy', '--exit-on-error', "$dir/own" ], '... and restored');
same_text(dump_text($node, 'copy'), $text, '... the copy is the original');
is(description_of('copy'), $before, '... with the tables as they were');
isolated_ok('copy', 'restored');
alive_ok($node, 'copy', 'restored');

# Who may upload to Storage is decided by the same table, and the same policy.
load_storage($node, 'copy', 'postgres');
sql_ok($node, 'copy', 'SELECT * FROM public.enable_storage()', 'Storage is enabled');
foreach my $user ('ann', 'bob', 'gone')
{
	my $upload = q{INSERT INTO storage.objects (bucket_id, name) VALUES ('multimedia-assets', md5('A')::uuid || '/} . "$user.mp4');";
	my @claims = ('copy', "SELECT set_config('request.jwt.claims', json_build_object('sub', md5('$user')::uuid)::text, false); SET ROLE authenticated; $upload");

	$user eq 'ann' ? sql_ok($node, @claims, 'a user uploads for his company')
	  : refused_ok($node, @claims, '42501', [qr/row-level security/], "... $user does not");
}

# --- tables that cannot be used ------------------------------------------------

my %unusable = (
	'companies alone' => [ 'CREATE TABLE public.companies (id uuid PRIMARY KEY)', 'employees.id uuid, employees.company_id uuid, employees.user_id uuid, a primary key or unique constraint on employees.id' ],
	'employees alone' => [ 'CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid)', 'companies.id uuid, a primary key or unique constraint on companies.id' ],
	'an id of another type' => [ 'CREATE TABLE public.companies (id bigint PRIMARY KEY); CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid)', 'companies.id uuid' ],
	'an id that is not unique' => [ 'CREATE TABLE public.companies (id uuid); CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid)', 'a primary key or unique constraint on companies.id' ],
	'an id that is unique in part' => [ 'CREATE TABLE public.companies (id uuid, n int); CREATE UNIQUE INDEX ON public.companies (id) WHERE n > 0; CREATE UNIQUE INDEX ON public.companies (id, n); CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid)', 'a primary key or unique constraint on companies.id' ],
	'no user' => [ 'CREATE TABLE public.companies (id uuid PRIMARY KEY); CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid)', 'employees.user_id uuid' ],
	'a view' => [ 'CREATE TABLE public.companies (id uuid PRIMARY KEY); CREATE VIEW public.employees AS SELECT id, id AS company_id, id AS user_id FROM public.companies', 'employees.id uuid, employees.company_id uuid, employees.user_id uuid, a primary key or unique constraint on employees.id' ]);
foreach my $case (sort keys %unusable)
{
	my ($sql, $missing) = @{ $unusable{$case} };

	database_with('unusable', $sql);
	refused_ok($node, 'unusable', 'CREATE EXTENSION studio_engine', '55000', [qr/DETAIL:  Missing: \Q$missing\E\./],
		"$case: one error names what is missing");
	is(query($node, 'unusable', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname ~ '^(cm|mm)_'}),
		'0', "$case: ... and nothing is left behind");
	query($node, 'postgres', 'DROP DATABASE unusable');
}

# Somebody else's tables are not trusted.
query($node, 'postgres', 'CREATE ROLE stranger LOGIN; CREATE ROLE installer LOGIN;');
database_with('planted', 'GRANT CREATE ON SCHEMA public TO stranger, installer; GRANT CREATE ON DATABASE planted TO installer;'
	. ' GRANT USAGE ON SCHEMA auth TO installer; GRANT TRIGGER, REFERENCES ON auth.users TO installer;');
query($node, 'planted', 'CREATE TABLE public.companies (id uuid PRIMARY KEY);'
	. ' CREATE TABLE public.employees (id uuid PRIMARY KEY, company_id uuid, user_id uuid)', user => 'stranger');
refused_ok($node, 'planted', 'CREATE EXTENSION studio_engine', '42501', [ qr/belong to another role/, qr/table public\.employees/ ],
	"$_ does not take the tables of a stranger", user => $_) foreach 'installer', 'postgres';
query($node, 'planted', 'ALTER TABLE public.companies OWNER TO installer; ALTER TABLE public.employees OWNER TO installer;');
sql_ok($node, 'planted', 'CREATE EXTENSION studio_engine', 'their owner installs', user => 'installer');

$node->stop;
done_testing();
