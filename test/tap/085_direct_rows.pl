# What the fast path leaves behind for others: subscribers see the same changes as of statements, every row is in
# every index after concurrent work in the middle of which the server is killed.
#
# Pitfall: transactions that begin at the same time are decoded in the order of their commits, so the script whose
# changes are compared runs in one session.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_cluster('direct', 'fsync = on', 'max_replication_slots = 4', 'autovacuum = off');
my $user = uuid_of('user');
my $project = uuid_of('project');
my @jobs = map { uuid_of('job', $_) } 1 .. 4;
my @stages = qw(SCRIPTING VOICE_GEN ALIGNMENT VISUAL_PLAN IMAGE_GEN TIMELINE RENDERING PACKAGING);

# --- logical decoding ---------------------------------------------------------------

my $people = qq{
	INSERT INTO auth.users (id, email) VALUES ('$user', 'user\@example.com');
	INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset) VALUES ('$project', '$user', 'p', 'p', 'facts');
} . join '', map { "INSERT INTO public.jobs (id, project_id, user_id, status) VALUES ('$_', '$project', '$user', 'QUEUED');\n" } @jobs;

sub advance
{
	my ($job) = @_;

	return map { "SELECT public.advance_job('$job', '$_', NULL, NULL, :'token');" } @stages;
}

# Holds, their ends, claims and results, each in a transaction of its own, some with savepoints.
sub script
{
	my $claim = q{SELECT lease_token AS token FROM public.claim_jobs('jobs', 'w', 1) \gset};

	return join "\n",
	  "SELECT public.reserve_credits('$user', '$jobs[0]', 3);",
	  "SELECT public.reserve_credits('$user', '$jobs[1]', 2);",
	  "SELECT public.settle_credits('$jobs[1]', 1);",
	  "BEGIN; SELECT public.reserve_credits('$user', '$jobs[2]', 1); SAVEPOINT a; SELECT public.release_credits('$jobs[2]');",
	  "ROLLBACK TO a; SELECT public.grant_credits('$user', 5, 'a gift'); COMMIT;",
	  "BEGIN; SELECT public.release_credits('$jobs[2]'); ROLLBACK;",
	  $claim, advance($jobs[0]),
	  "SELECT public.complete_job('$jobs[0]', 'https://example.com/v', '{\"a\": 1}', 2, :'token');",
	  $claim, "SELECT public.fail_job('$jobs[1]', 'BROKEN', 'it broke', 's', false, :'token');",
	  'BEGIN;', $claim, advance($jobs[2]), "SELECT public.complete_job('$jobs[2]', NULL, NULL, NULL, :'token');", 'COMMIT;', '';
}

# Without what is not the same twice.
sub masked
{
	my ($changes) = @_;
	my %seen;

	$changes =~ s/'\d{4}-\d\d-\d\d [\d:.]+[+-]\d\d(?::\d\d)?'/<time>/g;
	$changes =~ s{\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b}{ $seen{$1} //= keys %seen; "<id $seen{$1}>" }ge;
	$changes =~ s/^(BEGIN|COMMIT) \d+/$1/mg;
	return $changes;
}

# The changes that the script makes in a new database.
sub changes_of
{
	my ($mode, $identity) = @_;
	my $db = "decoded_${mode}_\L$identity";

	prepare_database($node, $db);
	query($node, $db, $people);
	query($node, $db, "ALTER TABLE $_ REPLICA IDENTITY $identity;") foreach qw(public.jobs public.credit_accounts studio_engine.queue);
	query($node, $db, qq{SELECT pg_create_logical_replication_slot('slot', 'test_decoding');});
	query($node, $db, "SET studio_engine.direct_rows = $mode;\n" . script());
	my $changes = query($node, $db, q{SELECT data FROM pg_logical_slot_get_changes('slot', NULL, NULL, 'include-xids', 'off');});
	query($node, $db, q{SELECT pg_drop_replication_slot('slot');});
	return masked($changes);
}

foreach my $identity (qw(DEFAULT FULL))
{
	my $direct = changes_of('on', $identity);

	same_text($direct, changes_of('off', $identity), "subscribers see the same, replica identity $identity");
	cmp_ok(scalar(() = $direct =~ /^table /mg), '>', 40, '... and something to see');
	like($direct, qr/table studio_engine\.queue: DELETE/, '... from the first to the last');
}

# --- indexes ------------------------------------------------------------------------

my $db = 'indexed';
prepare_database($node, $db);
query($node, $db, q{
	CREATE INDEX their_notes ON public.credit_ledger (note, amount) WHERE amount < 0;
	CREATE INDEX their_costs ON public.jobs (cost_credits_reserved, status);
	CREATE INDEX their_leases ON studio_engine.attempts (attempt) WHERE ended_at IS NULL;
});
query($node, $db, q{
	INSERT INTO auth.users (id) SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid FROM generate_series(1, 20) i;
	SELECT count(public.grant_credits(id, 1000000)) FROM auth.users;
	INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset) SELECT id, id, 'p', 'p', 'facts' FROM auth.users;});

# A client makes a job, takes it or another one from the queue, and ends it one way or another.
my $work = PostgreSQL::Test::Utils::tempdir_short() . '/work.sql';
append_to_file($work, q{
SELECT u, u > 15 AS gives_up, u % 3 = 0 AS settles FROM (SELECT 1 + floor(20 * random())::integer AS u) r \gset
INSERT INTO public.jobs (project_id, user_id, status) SELECT id, id, 'QUEUED' FROM public.projects WHERE id = ('00000000-0000-4000-8000-' || lpad(:u::text, 12, '0'))::uuid RETURNING id, user_id \gset
SELECT public.reserve_credits(:'user_id', :'id', 1 + :u % 5);
BEGIN;
SELECT count(*) AS n, min(job_id::text) AS job, min(lease_token::text) AS token FROM public.claim_jobs('jobs', 'w', 1) \gset
\if :n
SELECT public.advance_job(:'job', 'SCRIPTING', 1, NULL, :'token');
\if :gives_up
ROLLBACK;
\else
SELECT public.fail_job(:'job', 'BROKEN', 'it broke', 's', false, :'token');
COMMIT;
\endif
\else
COMMIT;
\endif
SELECT public.settle_credits(:'id', 1) FROM public.jobs WHERE id = :'id' AND status = 'QUEUED' AND :'settles';
});
$node->append_conf('postgresql.conf', 'studio_engine.direct_rows = on');
$node->reload;

sub start_work
{
	return IPC::Run::start([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', $db,
			(map { ('-f', $work) } 1 .. 400) ], '<', '/dev/null', '>', '/dev/null', '2>', \my $err);
}

sub ledger_entries { return query($node, $db, 'SELECT count(*) FROM public.credit_ledger') }

foreach my $round (1, 2)
{
	my $before = ledger_entries();
	my @running = map { start_work() } 1 .. 4;

	ok($node->poll_query_until($db, "SELECT count(*) > $before + 600 FROM public.credit_ledger"), "round $round: clients are at work");
	kill_server($node);
	$_->finish foreach @running;
	$node->start;
	indexes_ok($node, $db, "round $round, after the crash");
	books_ok($node, $db, "round $round");
}
query($node, $db, 'VACUUM public.jobs, public.credit_ledger, public.credit_accounts, studio_engine.queue;');
indexes_ok($node, $db, 'after VACUUM');

# an index that lacks a row would be found
query($node, $db, q{UPDATE pg_index SET indisready = false WHERE indexrelid = 'public.their_costs'::regclass;
	INSERT INTO public.jobs (project_id, user_id) SELECT id, user_id FROM public.projects LIMIT 1;
	UPDATE pg_index SET indisready = true WHERE indexrelid = 'public.their_costs'::regclass;});
isnt(join("\n", broken_indexes($node, $db)), '', 'a row that an index lacks would be seen');

# --- plans --------------------------------------------------------------------------

# Without the fast path, too, a claim reads little more than it takes, whatever is known about the table.
$db = 'deep';
prepare_database($node, $db);
query($node, $db, q{
	INSERT INTO auth.users (id) VALUES ('00000000-0000-4000-8000-000000000001');
	SET session_replication_role = replica;
	INSERT INTO public.studio_jobs (user_id, raw_audio_url, status, system_prompt_used, created_at)
	SELECT '00000000-0000-4000-8000-000000000001', 'a', (ARRAY['NEW', 'ENRICHING', 'REFINING'])[1 + n % 3], 'p', now() - n * INTERVAL '1 second'
	  FROM generate_series(1, 20000) n;
	RESET session_replication_role;
	SELECT studio_engine.rebuild_queue();
	UPDATE studio_engine.queue SET state = 'delayed', due_at = now() + INTERVAL '1 day' WHERE stage = 'NEW';});

foreach my $known (0, 1)
{
	query($node, $db, 'ANALYZE') if $known;
	foreach my $stages ('NULL', q{'{ENRICHING,REFINING}'})
	{
		my @said = split /\n/, query($node, $db, qq{
			SET studio_engine.direct_rows = off;
			BEGIN;
			SELECT count(*) FROM public.claim_jobs('studio_jobs', 'w', 5, p_stages => $stages);
			SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_all_tables WHERE relid = 'studio_engine.queue'::regclass;
			ROLLBACK;});

		is($said[0], '5', "a claim from stages $stages, " . ($known ? 'after' : 'before') . ' ANALYZE');
		cmp_ok($said[1], '<', 1000, '... reads few of the rows that wait');
	}
}

$node->stop;
done_testing();
