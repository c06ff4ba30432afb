# Partitions of job_events and logs: converted while clients write, dumped and
# restored, adopted by a new installation, operated by an owner who is no
# superuser.
#
# Pitfall: a conversion and a writer may each hold what the other needs. One of
# them is told so (40P01) and comes again; neither is to lose anything.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run ();
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('partitions');
my $dir = PostgreSQL::Test::Utils::tempdir();

# A user with a job, its log and runs with their events.
sub fill
{
	my ($db) = @_;

	query($node, $db, q{
		INSERT INTO auth.users (id, email) SELECT md5(i::text)::uuid, i || '@example.com' FROM generate_series(1, 3) i;
		INSERT INTO public.projects (user_id, title, prompt_text, niche_preset) SELECT id, 'p', 'p', 'facts' FROM auth.users;
		SELECT public.create_job(id, 3) FROM public.projects;
		SELECT public.log_job(id, 'info', 'line ' || n) FROM public.jobs, generate_series(1, 5) n;
		SELECT pipeline.create_job('run ' || email, '{}', id) FROM auth.users;
		SELECT pipeline.record_event(run_id, 'bot', 'e' || n) FROM pipeline.jobs, generate_series(1, 5) n;});
	return;
}

# Checksums of the two tables, whatever they are made of.
sub rows_of
{
	my ($db) = @_;

	return query($node, $db, q{
		SELECT count(*), md5(string_agg(to_jsonb(e)::text, ';' ORDER BY run_id, seq)) FROM pipeline.job_events e;
		SELECT count(*), md5(string_agg(to_jsonb(l)::text, ';' ORDER BY id)) FROM public.logs l;});
}

# What pg_dump says, but for the names that 18 makes up for NOT NULL: those of
# partitions change when they are attached again.
sub text_of
{
	my ($db) = @_;

	return dump_text($node, $db) =~ s/ CONSTRAINT \w+_not_null\d* NOT NULL/ NOT NULL/gr;
}

# --- while clients write ---------------------------------------------------------

prepare_database($node, 'live');
fill('live');
my @writers;
foreach my $run (1, 2)
{
	my ($out, $err) = ('', '');

	# as a client does, it repeats what ended with a deadlock
	my $sql = qq{
		DO \$\$
		DECLARE
			v_done boolean;
		BEGIN
			FOR i IN 1 .. 400 LOOP
				v_done := false;
				WHILE NOT v_done LOOP
					BEGIN
						PERFORM pipeline.record_event('run $run\@example.com', 'writer', i::text);
						INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('run 3\@example.com', 'writer $run', i::text);
						PERFORM public.log_job((SELECT id FROM public.jobs ORDER BY id LIMIT 1), 'info', 'writer $run ' || i);
						v_done := true;
					EXCEPTION WHEN deadlock_detected THEN
						RAISE WARNING 'repeated';
					END;
					COMMIT;
				END LOOP;
			END LOOP;
		END \$\$;};
	my $handle = IPC::Run::start(
		[ 'psql', '-X', '-q', '-h', $node->host, '-p', $node->port, '-d', 'live', '-v', 'ON_ERROR_STOP=1', '-c', $sql ],
		'>', \$out, '2>', \$err);
	push @writers, [ $handle, \$err ];
}
foreach my $call ("partition_by_month('job_events', 1)", "partition_by_month('logs', 0)",
	"add_partitions('job_events', 3)", "add_partitions('logs', 2)", "add_partitions('job_events', 4)")
{
	my ($status, $err);
	foreach my $try (1 .. 20)
	{
		($status, undef, $err) = run_sql($node, 'live', "SELECT studio_engine.$call");
		last if $status == 0 || $err !~ /40P01/;
	}
	is($status, 0, "$call while clients write") or diag($err);
}
foreach my $writer (@writers)
{
	my ($handle, $err) = @$writer;

	ok($handle->finish, 'a client wrote all the while') or diag($$err);
}
is(query($node, 'live', q{
	SELECT count(*) FILTER (WHERE bot_name = 'writer'), count(*) FILTER (WHERE bot_name LIKE 'writer _') FROM pipeline.job_events;
	SELECT count(*) FROM public.logs WHERE message LIKE 'writer%'}),
	"800|800\n800", '... and nothing is lost or there twice');
books_ok($node, 'live', 'converted while clients write');
alive_ok($node, 'live', 'partitioned');

# --- dump, restore, adopt ----------------------------------------------------------

query($node, 'live', q{
	INSERT INTO pipeline.job_events (run_id, bot_name, event_type, created_at)
		SELECT 'run 1@example.com', 'import', n::text, now() + n * INTERVAL '1 month' FROM generate_series(0, 7) n;});
my ($rows, $text) = (rows_of('live'), text_of('live'));

sub client_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, $program, $db, @arguments) = @_;
	my ($out, $err) = ('', '');
	my $done = IPC::Run::run([ $program, '-h', $node->host, '-p', $node->port, '-d', $db, @arguments ], '>', \$out, '2>', \$err);

	ok($done && $err eq '', $name) or diag($err);
	return;
}

client_ok('pg_dump', 'pg_dump', 'live', '-Fd', '-j2', '-f', "$dir/live");
client_ok('pg_dump of the data', 'pg_dump', 'live', '--data-only', '-f', "$dir/data.sql");
client_ok('pg_dump of the schema', 'pg_dump', 'live', '--schema-only', '-f', "$dir/schema.sql");
foreach my $jobs (1, 4)
{
	query($node, 'postgres', "CREATE DATABASE copy$jobs TEMPLATE template0");
	client_ok("$jobs jobs: loads", 'pg_restore', "copy$jobs", '--exit-on-error', "-j$jobs", "$dir/live");
	same_text(rows_of("copy$jobs"), $rows, "$jobs jobs: the rows");
	same_text(text_of("copy$jobs"), $text, "$jobs jobs: pg_dump says the same of the copy");
	is(query($node, "copy$jobs", 'SELECT count(*) FROM studio_engine.lint()'), '0', "$jobs jobs: lint() finds nothing");
	alive_ok($node, "copy$jobs", "$jobs jobs");
	is(query($node, "copy$jobs", q{SELECT studio_engine.add_partitions('job_events', 6)}), '2', "$jobs jobs: more months");
}
query($node, 'postgres', 'CREATE DATABASE data TEMPLATE template0');
client_ok('the schema loads', 'psql', 'data', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/schema.sql");
client_ok('... and the data with all triggers live', 'psql', 'data', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data.sql");
same_text(rows_of('data'), $rows, '... with the numbers that it had');

sql_ok($node, 'live', 'DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine', 'removed and installed again');
same_text(rows_of('live'), $rows, '... the rows');
same_text(text_of('live'), $text, '... and everything else');
alive_ok($node, 'live', 'adopted');
books_ok($node, 'live', 'adopted');

# --- an owner who is no superuser ---------------------------------------------------

query($node, 'postgres', 'CREATE ROLE app LOGIN; CREATE DATABASE owned;');
load_stub($node, 'owned');
query($node, 'owned', q{
	GRANT CREATE ON DATABASE owned TO app;
	GRANT CREATE ON SCHEMA public TO app;
	GRANT USAGE ON SCHEMA auth TO app;
	GRANT TRIGGER, REFERENCES ON auth.users TO app;
	CREATE ROLE stranger LOGIN;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated, service_role;});
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine', 'an ordinary role installs', user => 'app');
fill('owned');
$rows = rows_of('owned');
refused_ok($node, 'owned', q{SELECT studio_engine.partition_by_month('job_events')}, '42501', [], 'another role may not partition', user => 'stranger');
is(query($node, 'owned', q{SELECT studio_engine.partition_by_month('job_events'), studio_engine.partition_by_month('logs', 0)}, user => 'app'),
	'3|0', '... and the owner does');
is(rows_of('owned'), $rows, '... with the rows in place');
alive_ok($node, 'owned', 'partitioned by its owner');
is(query($node, 'owned', q{SELECT studio_engine.add_partitions('job_events', 4)}), '1', 'a superuser adds a month');
is(query($node, 'owned', q{
	SELECT string_agg(DISTINCT c.relowner::regrole::text, ' '), bool_or(has_table_privilege('anon', c.oid, 'SELECT') OR has_table_privilege('service_role', c.oid, 'TRUNCATE'))
	  FROM pg_class c WHERE c.relnamespace = 'studio_engine'::regnamespace AND c.relkind = 'r'}),
	'app|f', '... which is the owner\'s, and closed like the others');

$node->stop;
done_testing();
