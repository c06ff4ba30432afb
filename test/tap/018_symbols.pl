# Libraries of other extensions share a name space with ours: the server loads
# each with RTLD_GLOBAL, and what was loaded first gives a symbol its meaning.
# Ours must neither take names from others nor give them to others.
#
# Pitfall: a conflict is not an error.  The other library's function is simply
# called, so the one that matters most answers like ours and lies, and all
# others report themselves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $db = 'symbols';
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($ann, $ben) = (uuid_of('ann'), uuid_of('ben'));
my $suffix = $^O eq 'darwin' ? 'dylib' : 'so';

sub output_of
{
	my (@command) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(\@command, '>', \$out, '2>', \$err) or give_up("@command: $err");
	return $out;
}

# A library made of this source; its path without the suffix.
sub library
{
	my ($name, $source) = @_;
	my ($headers) = split /\n/, output_of('pg_config', '--includedir-server');

	append_to_file("$dir/$name.c", "#include \"postgres.h\"\n#include \"fmgr.h\"\nPG_MODULE_MAGIC;\n$source");
	output_of('gcc', '-shared', '-fPIC', '-w', "-I$headers", "$dir/$name.c", '-o', "$dir/$name.$suffix");
	return "$dir/$name";
}

# What our own source files share among each other, and SQL does not call:
# name => is it a function.
sub internal_symbols
{
	my %shared = map { /^\w+ ([A-Z]) (\w+)$/ ? ($2 => $1 eq 'T') : () }
	  split /\n/, output_of('nm', '-g', '--defined-only', glob "$ENV{TESTDIR}/src/*.o $ENV{TESTDIR}/src/*/*.o");

	foreach my $name (keys %shared)
	{
		delete @shared{ $name, "pg_finfo_$name" } if exists $shared{"pg_finfo_$name"};
	}
	delete @shared{qw(Pg_magic_func _PG_init)};
	return %shared;
}

my %internal = internal_symbols();
cmp_ok(scalar(keys %internal), '>', 200, 'there are names to take');
ok($internal{uuid_equal}, '... uuid_equal is one');
delete $internal{uuid_equal};

# The one of the report: everybody is everybody.
my $liar = library('liar', "bool uuid_equal(const void *a, const void *b) { return true; }\n");
my $all = library('all', join '', map {
	$internal{$_} ? qq(void $_(void) { elog(ERROR, "$_ of another library was called"); }\n) : "char $_\[8192] = {1};\n"
} sort keys %internal);
my $neighbour = library('neighbour', q(
PG_FUNCTION_INFO_V1(neighbour);
int uuid_equal(void) { return 42; }
int refuse(void) { return 1; }
Datum neighbour(PG_FUNCTION_ARGS) { PG_RETURN_INT32(uuid_equal() + refuse()); }
));

my $node = new_cluster('symbols');
prepare_database($node, $db);
query($node, $db, qq{
	INSERT INTO auth.users (id, email) VALUES ('$ann', 'ann\@example.com'), ('$ben', 'ben\@example.com');
	SELECT public.grant_credits('$ben', 4321);});

# What Ann sees of Ben, and what everybody may do, in a session that began so.
sub unaffected_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, $begin) = @_;

	refused_ok($node, $db, qq{$begin
		SET request.jwt.claims = '{"sub": "$ann", "role": "authenticated"}';
		SET ROLE authenticated;
		SELECT public.get_credit_balance('$ben');}, '42501', [qr/not allowed/], "$name: a stranger's balance is not shown");
	is(query($node, $db, qq{$begin
		SET request.jwt.claims = '{"sub": "$ben", "role": "authenticated"}';
		SET ROLE authenticated;
		SELECT public.get_credit_balance('$ben');}) =~ s/.*\n//sr, '4331', "$name: one's own is");
	alive_ok($node, $db, $name);
	return;
}

unaffected_ok('alone', '');
foreach my $library ($liar, $all)
{
	my ($name) = $library =~ m{(\w+)$};

	unaffected_ok("$name was loaded", "LOAD '$library';");
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$library'");
	$node->restart;
	unaffected_ok("$name is preloaded", '');
	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
	$node->restart;
}

# ... and the other way round.
is(query($node, $db, qq{
	SELECT public.get_credit_balance('$ben');
	CREATE FUNCTION neighbour() RETURNS integer LANGUAGE c AS '$neighbour';
	SELECT neighbour();}), "4331\n43", 'a library that comes later calls its own functions');

$node->stop;
done_testing();
