# studio_engine.maintenance skips the triggers in the transaction that
# sets it, and in a connection that came with it; never later, never by a
# default.  So a pooler has nothing to hand over.
#
# Pitfall: until the library is loaded the parameter is a placeholder, and what
# was set then is set once more while it loads.  Most cases are therefore tried
# in a session that loads it in the transaction that asks, and in one that had
# it before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use StudioTest;
use Test::More;

my $db = 'maintenance';
my $user = uuid_of('user');
my $on = 'SET studio_engine.maintenance = on';
my $local = 'SET LOCAL studio_engine.maintenance = on';
my $ask = 'SELECT studio_engine.restoring()';
my $write = "UPDATE public.credit_accounts SET balance = 1000 WHERE user_id = '$user'";
my $loaded = 'LOAD $$studio_engine$$';
my $warning = qr/WARNING:  01000: studio_engine\.maintenance has no effect beyond the transaction that sets it/;

my $node = new_cluster('maintenance', 'max_prepared_transactions = 4', 'max_parallel_workers = 4');
prepare_database($node, $db);
query($node, $db, qq{
	CREATE ROLE fixer LOGIN SUPERUSER;
	INSERT INTO auth.users (id, email) VALUES ('$user', 'a\@example.com');
	CREATE FUNCTION fixing() RETURNS boolean LANGUAGE sql SET studio_engine.maintenance = on AS '$ask';
	CREATE FUNCTION not_fixing() RETURNS boolean LANGUAGE sql SET studio_engine.maintenance = off AS '$ask';
	CREATE FUNCTION fix(p_user uuid) RETURNS void LANGUAGE sql SET studio_engine.maintenance = on AS
	  'UPDATE public.credit_accounts SET balance = 10 WHERE user_id = p_user';
	CREATE TABLE many AS SELECT i FROM generate_series(1, 1000) i;
	ANALYZE many;});

# What restoring() answers in this session, each time that it is asked.
sub answers_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($sql, $expected, $name, %options) = @_;

	foreach my $before ('', "$loaded;\n")
	{
		my ($status, $out, $err) = run_sql($node, $db, $before . $sql, %options);
		my $answers = join '', grep { /^[tf]$/ } split /\n/, $out;

		ok($status == 0 && $answers eq $expected, $name . ($before ? ', the library being there' : ', the library being loaded'))
		  or diag("status $status, $answers instead of $expected: $err");
	}
	return;
}

# --- what counts --------------------------------------------------------------------

answers_ok("BEGIN; $local; $ask; COMMIT; $ask;", 'tf', 'SET LOCAL counts until the end of its transaction');
answers_ok("BEGIN; $on; $ask; COMMIT; $ask; SHOW studio_engine.maintenance;", 'tf', 'SET too');
answers_ok("BEGIN; $on; COMMIT; BEGIN; $ask; SAVEPOINT a; $ask; COMMIT; $ask;", 'fff', '... and what it left behind does not');
answers_ok("$on; $ask; BEGIN; $ask; COMMIT;", 'ff', 'SET outside of a transaction does not count');
answers_ok("$on; BEGIN; $local; $ask; COMMIT; $ask;", 'tf', '... but what is set again does');
answers_ok("$on; BEGIN; SAVEPOINT a; $local; $ask; ROLLBACK TO a; $ask; COMMIT;", 'tf', '... until its savepoint is rolled back');
answers_ok("$on; BEGIN; SAVEPOINT a; $local; RELEASE a; $ask; COMMIT; $ask;", 'tf', '... or for good, where it is released');
answers_ok("$on; BEGIN; SET LOCAL studio_engine.maintenance = off; $ask; RESET studio_engine.maintenance; $ask; COMMIT; $ask;", 'fff',
	'switching off and resetting is no way to switch on');
answers_ok("$on; BEGIN; SAVEPOINT a; SET LOCAL studio_engine.maintenance = off; ROLLBACK TO a; $ask; COMMIT;", 'f',
	'nor is a savepoint that takes switching off back');
answers_ok("BEGIN; $on; ROLLBACK; $ask; BEGIN; $on; COMMIT AND CHAIN; $ask; COMMIT;", 'ff', 'nor what was rolled back, nor a chained transaction');
answers_ok("SELECT set_config('studio_engine.maintenance', 'on', false) \\g /dev/null\n $ask;", 'f', 'set_config() for the session does not count');
answers_ok("BEGIN; SELECT set_config('studio_engine.maintenance', 'on', true) \\g /dev/null\n $ask; COMMIT; $ask;", 'tf',
	'... for the transaction it does');
answers_ok("SELECT fixing(); $ask;", 'tf', 'a SET clause counts while its function runs');
answers_ok("$on; SELECT fixing(); SELECT not_fixing(); $ask; BEGIN; SELECT fixing(); $ask; COMMIT;", 'tfftf', '... and leaves nothing behind');
answers_ok("BEGIN; $on; SELECT not_fixing(); $ask; COMMIT;", 'ft', '... nor takes anything away');
answers_ok("BEGIN; $on; PREPARE TRANSACTION 'p'; $ask; COMMIT PREPARED 'p'; $ask;", 'ff', 'a prepared transaction takes it along');
answers_ok("DO 'BEGIN $local; ASSERT studio_engine.restoring(); COMMIT; ASSERT NOT studio_engine.restoring(); END'; $ask;", 'f',
	'a transaction that a procedure ends takes it along');
answers_ok("DO 'BEGIN $on; ASSERT studio_engine.restoring(); COMMIT; ASSERT NOT studio_engine.restoring(); END'; $ask;", 'f',
	'... as SET does');
answers_ok("$on; $ask; DISCARD ALL; $ask;", 'ff', 'DISCARD ALL changes nothing');

# --- with the connection, and by default ------------------------------------------------

my @option = (options => '-c studio_engine.maintenance=on');
answers_ok("$ask; BEGIN; $ask; COMMIT; DISCARD ALL; $ask;", 'ttt', 'an option of the connection counts', @option);
answers_ok("SET studio_engine.maintenance = off; $ask; RESET studio_engine.maintenance; $ask;", 'ft', '... unless it is switched off', @option);
answers_ok("SET studio_engine.maintenance = off; $on; $ask;", 'f', '... after which SET is what SET is', @option);

query($node, $db, 'ALTER ROLE fixer SET studio_engine.maintenance = on');
answers_ok("$ask; BEGIN; $ask; RESET studio_engine.maintenance; $ask; SET LOCAL studio_engine.maintenance TO DEFAULT; $ask; COMMIT;", 'ffff',
	'the default of a role does not count', user => 'fixer');
query($node, $db, "ALTER ROLE fixer RESET ALL; ALTER DATABASE $db SET studio_engine.maintenance = on");
answers_ok("$ask; BEGIN; $ask; $local; $ask; COMMIT;", 'fft', 'nor that of a database');
query($node, $db, "ALTER DATABASE $db RESET ALL");
$node->append_conf('postgresql.conf', 'studio_engine.maintenance = on');
$node->reload;
answers_ok("$ask; BEGIN; $ask; COMMIT;", 'ff', 'nor the configuration file');
foreach my $preload ('', 'studio_engine')
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'");
	$node->restart;
	answers_ok("$ask; BEGIN; $ask; $local; $ask; COMMIT; $ask;", 'fftf', "... at the start of the server, preloaded: '$preload'");
	refused_ok($node, $db, $write, '42501', [qr/the ledger is append-only/], '... and a write past the books is refused');
}
$node->append_conf('postgresql.conf', "studio_engine.maintenance = off\nshared_preload_libraries = ''");
$node->restart;

# --- rows ---------------------------------------------------------------------------------

refused_ok($node, $db, "$on; $write;", '42501', [$warning], 'a write past the books after SET is refused, and the reason told');
refused_ok($node, $db, "BEGIN; $local; $write; COMMIT; $write;", '42501', [], 'one after the transaction is');
sql_ok($node, $db, "BEGIN; $local; $write; COMMIT;", 'one in it is not');
sql_ok($node, $db, "SELECT fix('$user')", '... nor in a function with a SET clause');
books_ok($node, $db, 'set right');

# A worker does not know since when; nothing that writes runs in one.
is(query($node, $db, qq{
	SELECT proparallel FROM pg_proc WHERE oid = 'studio_engine.restoring'::regproc;
	SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	BEGIN; $local;
	SELECT studio_engine.restoring(), count(*) FROM many WHERE public.workflow_diagram('jobs') <> i::text;}), "u\nt|1000",
	'a query in parallel workers says what its transaction says');

# --- who is told ----------------------------------------------------------------------------

# How often the warning came.
sub warned_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($sql, $times, $name, %options) = @_;
	my ($status, $out, $err) = run_sql($node, $db, $sql, %options);
	my $told = () = $err =~ /$warning/g;

	ok($status == 0 && $told == $times, $name) or diag("told $told times, wanted $times; $err");
	return;
}

warned_ok("$loaded; $on;", 1, 'SET outside of a transaction warns');
warned_ok("$on; SELECT 1;", 0, '... where the library is not there, not yet');
warned_ok("$on; $ask; $ask; $ask;", 1, '... but when it comes, once');
warned_ok("$loaded; BEGIN; $on; COMMIT; BEGIN; $local; COMMIT; SELECT fixing(); $ask; SET studio_engine.maintenance = off; RESET ALL;", 0,
	'what is right does not warn');
warned_ok("BEGIN; $local; $ask; COMMIT; SELECT fixing();", 0, '... nor when the library comes');
warned_ok($ask, 0, '... nor does an option of the connection', @option);

$node->stop;
done_testing();
