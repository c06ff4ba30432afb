# Tables that change while sessions work on them: no process breaks, the books are sound.
#
# First one change at the worst moment: a session that walks the triggers of jobs waits for the lock of a catalogue,
# which another gives back together with a new trigger on jobs.  Then all kinds of changes, at any moment, for
# CHANGES_SECONDS.
#
# Pitfall: what a session reads after it was freed mostly looks good.  Blocks of memory that are large enough come
# from the system and go back to it, where reading them is a fault: the C library is told to do so early, and jobs
# has so many triggers that the list of them is large enough.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(time);

my $db = 'changing';
my $seconds = $ENV{CHANGES_SECONDS} || 15;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $jobs = 16;

$ENV{MALLOC_MMAP_THRESHOLD_} = 4096;
my $node = new_cluster('changing', 'autovacuum = off', 'deadlock_timeout = 100ms');
delete $ENV{MALLOC_MMAP_THRESHOLD_};

prepare_database($node, $db);
query($node, $db, qq{
	INSERT INTO auth.users (id, email) SELECT md5('user ' || i)::uuid, i || '\@example.com' FROM generate_series(1, 4) i;
	SELECT public.grant_credits(id, 1000) FROM auth.users;
	INSERT INTO public.projects (user_id, title, prompt_text, niche_preset) SELECT id, 'p', 'p', 'facts' FROM auth.users;
	INSERT INTO public.jobs (id, project_id, user_id)
		SELECT md5('job ' || row_number() OVER ())::uuid, id, user_id FROM public.projects, generate_series(1, $jobs / 4);
	CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	ALTER TABLE public.jobs ADD CONSTRAINT later CHECK (priority > -1000) NOT VALID;});

# A process that is never replaced unless the server starts over after a crash.
sub checkpointer
{
	return query($node, $db, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
}

my $checkpointer = checkpointer();

sub whole_ok
{
	my ($when) = @_;

	is(checkpointer(), $checkpointer, "$when the server has not started over");
	unlike(slurp_file($node->logfile), qr/PANIC|TRAP|server process .* was terminated/, "$when no process has broken");
	return;
}

# --- one change, at the worst moment -----------------------------------------------

my $reserve = q{SELECT public.reserve_credits(j.user_id, j.id, 5) FROM public.jobs j WHERE j.id = md5('job 1')::uuid};

sub psql
{
	my ($name, $sql) = @_;
	my %psql = (out => '', err => '');

	append_to_file("$dir/$name.sql", $sql);
	$psql{handle} = IPC::Run::start(
		[ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-d', $db, '-f', "$dir/$name.sql" ],
		'>', \$psql{out}, '2>', \$psql{err});
	return \%psql;
}

query($node, $db, q{DO $$ BEGIN
	FOR i IN 1..150 LOOP
		EXECUTE format('CREATE TRIGGER zz_%s AFTER DELETE ON public.jobs FOR EACH STATEMENT EXECUTE FUNCTION public.nothing()', i);
	END LOOP; END $$});
my $changer = psql('changer', q{
	SELECT pg_advisory_lock(1);
	DO $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP;
	END $$;
	BEGIN;
	LOCK TABLE pg_catalog.pg_trigger IN ACCESS EXCLUSIVE MODE;
	SELECT pg_advisory_unlock(1);
	DO $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'pg_trigger'::regclass AND NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP;
	END $$;
	CREATE TRIGGER zz_new AFTER DELETE ON public.jobs FOR EACH STATEMENT EXECUTE FUNCTION public.nothing();
	COMMIT;});
$node->poll_query_until($db, q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted)})
  or give_up('nobody holds the lock that the two take turns by');
# the list of triggers is read before the lock, and walked after it
my $worker = psql('worker', "SELECT FROM public.jobs LIMIT 0; SELECT pg_advisory_lock_shared(1); $reserve;");
$_->{handle}->finish foreach $worker, $changer;
is("$changer->{out}$changer->{err}", "\nt\n", 'a trigger was made while a session walked the others');
is("$worker->{out}$worker->{err}", "\nt\n", 'that session went on');
whole_ok('after that');

query($node, $db, q{DO $$ DECLARE v_name text; BEGIN
	FOR v_name IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'public.jobs'::regclass AND tgname LIKE 'zz%' LOOP
		EXECUTE format('DROP TRIGGER %I ON public.jobs', v_name);
	END LOOP; END $$});
is(query($node, $db, q{SELECT count(*) FROM studio_engine.direct_tables() WHERE reason IS NOT NULL}), '0',
	'without these triggers the tables are eligible for the fast path again');

# --- all kinds of changes, at any moment ---------------------------------------------

# Clients, then the scripts that they choose from.  A change and its undoing are two transactions, so that sessions
# meet both states.
my %load = (
	money => [ 8, map { "\\set job random(1, $jobs)\nSELECT $_ FROM public.jobs j WHERE j.id = md5('job ' || :job)::uuid;\n" }
		  'public.reserve_credits(j.user_id, j.id, 5)', 'public.release_credits(j.id)' ],
	vacuum => [ 2, "VACUUM public.jobs;\n" ],
	trigger => [ 1, "CREATE TRIGGER passing AFTER DELETE ON public.jobs FOR EACH STATEMENT EXECUTE FUNCTION public.nothing();\n"
		  . "DROP TRIGGER passing ON public.jobs;\n" ],
	change => [ 1,
		"CREATE INDEX passing ON public.credit_ledger (note);\nDROP INDEX public.passing;\n",
		"ALTER TABLE public.jobs VALIDATE CONSTRAINT later;\nALTER TABLE public.jobs DROP CONSTRAINT later;\n"
		  . "ALTER TABLE public.jobs ADD CONSTRAINT later CHECK (priority > -1000) NOT VALID;\n",
		"ALTER TABLE public.credit_accounts DISABLE TRIGGER tr_credit_accounts_guard;\nALTER TABLE public.credit_accounts ENABLE TRIGGER tr_credit_accounts_guard;\n",
		"GRANT TRUNCATE ON public.credit_ledger TO service_role;\nREVOKE TRUNCATE ON public.credit_ledger FROM service_role;\n",
		"GRANT USAGE ON SCHEMA studio_engine TO pg_monitor;\nREVOKE USAGE ON SCHEMA studio_engine FROM pg_monitor;\n",
		"ALTER TABLE public.credit_ledger ALTER COLUMN note SET DEFAULT 'n';\nALTER TABLE public.credit_ledger ALTER COLUMN note DROP DEFAULT;\n",
		"ANALYZE public.jobs, public.credit_accounts, public.credit_ledger;\n" ]);

sub start_load
{
	my ($name) = @_;
	my ($clients, @scripts) = @{ $load{$name} };
	my %pgbench = (name => $name, out => '', err => '');
	my @files;

	foreach my $i (0 .. $#scripts)
	{
		append_to_file("$dir/$name$i.bench", $scripts[$i]);
		push @files, '-f', "$dir/$name$i.bench";
	}
	$pgbench{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-T', $seconds, '--max-tries=1000', @files, $db ],
		'>', \$pgbench{out}, '2>', \$pgbench{err});
	return \%pgbench;
}

foreach my $pgbench (map { start_load($_) } sort keys %load)
{
	my $done = $pgbench->{handle}->finish;
	my ($number) = $pgbench->{out} =~ /number of transactions actually processed: (\d+)/;

	ok($done && ($number // 0) > 0 && $pgbench->{out} =~ /number of failed transactions: 0 /,
		"$pgbench->{name}: " . ($number // 'no') . ' transactions') or diag("$pgbench->{out}$pgbench->{err}");
}
whole_ok("after $seconds seconds of changes");
books_ok($node, $db, 'after the changes');
indexes_ok($node, $db, 'after the changes');
alive_ok($node, $db, 'after the changes');

$node->stop;
done_testing();
