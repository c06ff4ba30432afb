# What README.md says under "With the Supabase CLI": a migration with CREATE EXTENSION is pushed, pulled and reset; and what
# happens where the objects of the extension got into a migration because somebody let the CLI write it.
#
# Pitfall: the CLI is not here.  What it gives to the server is: push runs each file as postgres, in a transaction; pull and
# dump are pg_dump's, with its first lines; diff lists schemas, extensions and then objects, and sets nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use Platform;
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_platform('cli');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @ours = qw(public pipeline studio_engine);

# A database in which the files of migrations are pushed.
sub pushed_ok
{
	my ($db, $name, @migrations) = @_;

	platform_database($node, $db);
	sql_ok($node, $db, "BEGIN;\n$_\nCOMMIT;", $name, user => 'postgres') foreach @migrations;
	return;
}

# --- the migration of README.md -----------------------------------------------------------

my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my ($migration) = $readme =~ /^echo '(CREATE EXTENSION [^']*)' >/m;
my ($later) = $readme =~ /^-- a later migration\n(.*?)^```/ms;

ok(defined $migration && defined $later, 'README.md has the migrations') or give_up('no migration in README.md');
pushed_ok('pushed', 'the migration is pushed', $migration, $later);
alive_ok($node, 'pushed', 'after a push');
my $rights = api_rights($node, 'pushed', @ours);

# Of all that, a dump by the CLI has the extension and what the project added; what only supabase_admin could do is left out.
sub pulled
{
	my (@options) = @_;

	local $ENV{PGUSER} = 'postgres';
	return dump_text($node, 'pushed', '--schema-only', '--quote-all-identifiers', (map { ('-n', $_) } @ours), '-e', 'studio_engine', @options)
	  =~ s/^(CREATE SCHEMA) ("?public"?;)/-- $1 $2/mr =~ s/^(CREATE SCHEMA|CREATE EXTENSION) (?!IF)/$1 IF NOT EXISTS /gmr
	  =~ s/^(?=ALTER DEFAULT PRIVILEGES FOR ROLE "supabase_admin")/-- /gmr;
}
my $pulled = pulled();

like($pulled, qr/^CREATE EXTENSION IF NOT EXISTS "studio_engine"/m, 'a pull has the extension');
like($pulled, qr/^SET row_security = off;$/m, '... and says that it is a dump');
like($pulled, qr/CREATE POLICY "no anonymous users"/, '... and the policy of the project');
pushed_ok('from_pull', 'what was pulled is pushed', $pulled);
same_text(api_rights($node, 'from_pull', @ours), $rights, '... and nobody has other rights there');
is(query($node, 'from_pull', q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND NOT tgisinternal}), '3', '... sign-ups are followed');
sign_up($node, 'from_pull', '00000000-0000-4000-8000-000000000001', 'one@example.com', '{"name": "One"}');
is(query($node, 'from_pull', 'SELECT display_name FROM public.profiles'), 'One', '... and work');

# --- what a diff writes -----------------------------------------------------------------------

# All objects as DDL, without what pg_dump sets, and with the rights that the differ's own database gave by default.
my $objects = $pulled =~ s/^SET .*?;$//gmr =~ s/^SELECT pg_catalog\.set_config.*$//mr =~ s/^CREATE EXTENSION .*$//mr =~ s/^COMMENT ON EXTENSION .*$//mr;
my $all = join '', map { "GRANT ALL ON TABLE $_ TO anon, authenticated, service_role;\n" } $objects =~ /^CREATE TABLE (?:IF NOT EXISTS )?(\S+)/gm;

cmp_ok(scalar(() = $all =~ /GRANT/g), '>=', 35, 'a diff opens every table');
platform_database($node, 'from_diff');
append_to_file("$dir/diff.sql", "BEGIN;\ncreate schema if not exists \"pipeline\";\ncreate schema if not exists \"studio_engine\";\n"
	  . "create extension if not exists \"studio_engine\" with schema \"public\" version '0.1.0';\n$objects\n$all\nCOMMIT;\n");
refused_ok($node, 'from_diff', "\\i $dir/diff.sql", '55000',
	[ qr/there in part/, qr/DROP SCHEMA studio_engine, pipeline CASCADE;/ ], 'a diff that has schema and extension is refused at once', user => 'postgres');
is(query($node, 'from_diff', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace}), '0', '... and leaves nothing');

# Where the extension is left out of it, there are tables and no functions, so no triggers either.
my $tables = $objects =~ s/^CREATE (?:OR REPLACE )?(?:EVENT )?TRIGGER .*?;$//gmsr =~ s/^ALTER TABLE \S+ (?:ENABLE|DISABLE) (?:ALWAYS |REPLICA )?TRIGGER .*?;$//gmr
  =~ s/^COMMENT ON TRIGGER .*?;$//gmsr;

pushed_ok('tables_only', 'a diff without the extension is pushed', "$tables\n$all");
my %wanted = map { $_ => 1 } split /\n/, $rights;
my @open = grep { !$wanted{$_} && /to (?:anon|authenticated|PUBLIC)$/ } split /\n/, api_rights($node, 'tables_only', @ours);

cmp_ok(scalar(@open), '>', 100, '... and opens the tables');
sql_ok($node, 'tables_only', $migration, 'CREATE EXTENSION after it', user => 'postgres');
same_text(api_rights($node, 'tables_only', @ours), $rights, '... closes them again');
is(query($node, 'tables_only', q{SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relrowsecurity AND relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)}),
	'0', '... with row level security');
sign_up($node, 'tables_only', '00000000-0000-4000-8000-000000000001', 'one@example.com', '{"name": "One"}');
is(query($node, 'tables_only', 'SELECT p.display_name, a.balance FROM public.profiles p JOIN public.credit_accounts a ON a.user_id = p.id'), 'One|10', '... and sign-ups work');
is(query($node, 'tables_only', 'SELECT count(*) FROM studio_engine.lint()'), '0', '... lint() finds nothing');

# The same lines in a later migration, over an installation that works.
pushed_ok('opened', 'lines of a diff that give rights are pushed after the extension', $migration, $later, $all);
sign_up($node, 'opened', '00000000-0000-4000-8000-000000000001', 'one@example.com', '{"name": "One"}');
isnt(api_rights($node, 'opened', @ours), $rights, '... and open the tables');
sql_ok($node, 'opened', 'DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine;', 'the extension is created anew', user => 'postgres');
same_text(api_rights($node, 'opened', @ours), $rights, '... which closes them');
is(query($node, 'opened', 'SELECT display_name FROM public.profiles'), 'One', '... and keeps the rows');
alive_ok($node, 'opened', 'created anew');

$node->stop;
done_testing();
