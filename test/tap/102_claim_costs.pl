# A claim costs what it returns, whatever waits: counted in pages that it reads, in a session that has claimed before,
# with 1,000 jobs in the queue and with many.  Of all stages, of one of eight, beside a paused stage and a limited one
# whose jobs stand in front of all others, for users at their limits whose jobs do, and while an old snapshot keeps what
# was claimed since from being cleaned.
#
# CLAIM_DEPTH  how many jobs there are, 200,000 without it
#
# Pitfall: rows of the queue are written without their jobs, which is a hundred times faster; a claim returns NULL for
# the job then.  What a limit of users parks is parked by the triggers, so those jobs are real and fewer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $depth = $ENV{CLAIM_DEPTH} || 200_000;
my $mine = 10_000;
my $slack = 24;    # pages: a level or two of an index more, dead entries of the claims before
my $node = new_cluster('claims', 'shared_buffers = 256MB', 'autovacuum = off', 'jit = off', 'max_wal_size = 4GB', 'fsync = off');

# Pages of the last of some claims in one session, by the text of the call, and what is done once before, and before each.
sub pages
{
	my ($db, $call, $before, $each) = @_;
	my $explain = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM $call;";
	my $plan = query($node, $db, ($before // '') . (($each // '') . "SELECT count(*) FROM $call;\n") x 5 . ($each // '') . $explain, user => 'postgres');
	my ($hit) = $plan =~ /Function Scan.*?\n\s*Buffers: shared hit=(\d+)/s;
	my ($rows) = $plan =~ /Function Scan.*?actual rows=(\d+)/s;

	return ($hit // 0, $rows // -1);
}

# A database with so many jobs in the stages of videos, the newest first of the highest priority.
sub fill
{
	my ($db, $jobs) = @_;

	prepare_database($node, $db);
	query($node, $db, qq{
		INSERT INTO studio_engine.queue (system, stage, rank, due_at, job_id)
		SELECT 'jobs', (ARRAY['QUEUED', 'SCRIPTING', 'VOICE_GEN', 'ALIGNMENT', 'VISUAL_PLAN', 'IMAGE_GEN', 'TIMELINE', 'RENDERING'])[1 + i % 8],
			-1, now() - i * INTERVAL '1 ms', gen_random_uuid() FROM generate_series(1, $jobs) i;
		INSERT INTO studio_engine.queue (system, stage, rank, job_id)
		SELECT 'jobs', 'PACKAGING', -11, gen_random_uuid() FROM generate_series(1, $jobs / 4) i;
		VACUUM ANALYZE studio_engine.queue;});
}

fill('shallow', 1000);
fill('deep', $depth);

my %claims = (
	'all stages' => ["claim_jobs('jobs', 'w')"],
	'one stage of eight' => ["claim_jobs('jobs', 'w', p_stages => '{TIMELINE}')"],
	'three stages' => ["claim_jobs('jobs', 'w', p_stages => '{SCRIPTING,TIMELINE,RENDERING}')"],
	'all, a paused stage in front' => [ "claim_jobs('jobs', 'w')", "SELECT pause_queue('jobs', 'PACKAGING');" ],
	'all, a stage at its limit in front' =>
	  [ "claim_jobs('jobs', 'w')", "SELECT limit_stage('jobs', 'PACKAGING', 1); SELECT count(*) FROM claim_jobs('jobs', 'w', 1, NULL, '{PACKAGING}');" ],
);
foreach my $what (sort keys %claims)
{
	my ($call, $before) = @{ $claims{$what} };
	my %pages;

	foreach my $db (qw(shallow deep))
	{
		my $rows;
		($pages{$db}, $rows) = pages($db, $call, $before);
		is($rows, 1, "$what, $db: a job is claimed");
		query($node, $db, 'DELETE FROM studio_engine.queue_stages;');
	}
	diag("$what: $pages{shallow} pages of 1,000, $pages{deep} of $depth");
	cmp_ok($pages{deep}, '<=', $pages{shallow} + $slack, "$what: as many pages at any depth");
}

# An old snapshot: what was claimed since stays in the way, and claims start behind it.
my ($without) = pages('deep', "claim_jobs('jobs', 'w')");
my $old = $node->background_psql('deep');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM studio_engine.queue WHERE rank = 0;');
query($node, 'deep', qq{SELECT count(*) FROM claim_jobs('jobs', 'w', 1000);} x 40);
my ($with) = pages('deep', "claim_jobs('jobs', 'w')");
diag("with an old snapshot over 40,000 claims $with pages, without $without");
cmp_ok($with, '<=', $without + 4 * $slack, 'claims do not walk over what an old snapshot keeps');
$old->quit;

# A user whose 100,000 jobs stood in front when the limit came, and one of whose jobs waits there again, as after a hand-over.
{
	my $user = '00000000-0000-4000-8000-000000000099';
	my %pages;

	foreach my $db (qw(shallow deep))
	{
		my $mine = "SELECT 'jobs', 'TIMELINE', -21, gen_random_uuid(), '$user'";
		my $again = "INSERT INTO studio_engine.queue (system, stage, rank, job_id, user_id, limited) $mine, true;";
		my ($handed_over, $found, $staged);

		query($node, $db, qq{
			UPDATE studio_engine.settings SET value = '2' WHERE name = 'max_running_jobs';
			INSERT INTO studio_engine.queue (system, stage, rank, job_id, user_id) $mine FROM generate_series(1, 100000);});
		query($node, $db, "SELECT count(*) FROM claim_jobs('jobs', 'w', 10);");
		is(query($node, $db, "SELECT count(*) FROM studio_engine.queue WHERE user_id = '$user' AND state = 'parked'"), '99998', "$db: his jobs are parked");
		query($node, $db, 'VACUUM ANALYZE studio_engine.queue, studio_engine.attempts;');
		($handed_over, $found) = pages($db, "claim_jobs('jobs', 'w')", undef, $again);
		is($found, 1, "$db: a job of another is claimed");
		($staged, $found) = pages($db, "claim_jobs('jobs', 'w', p_stages => '{TIMELINE}')", undef, $again);
		is($found, 1, "$db: ... and at his stage");
		$pages{$db} = [$handed_over, $staged];
	}
	diag("a user's job beyond his limit in front: @{$pages{shallow}} pages of 1,000, @{$pages{deep}} of $depth");
	cmp_ok($pages{deep}[$_], '<=', $pages{shallow}[$_] + 4 * $slack, 'what is beyond a limit is found at the same cost at any depth') foreach (0, 1);
}

# Users at their limits, with their jobs in front.
prepare_database($node, 'users');
query($node, 'users', qq{
	UPDATE studio_engine.settings SET value = '2' WHERE name = 'max_running_jobs';
	INSERT INTO auth.users (id, email) SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, i || '\@example.org' FROM generate_series(1, 20) i;
	INSERT INTO public.studio_jobs (user_id, raw_audio_url, priority)
	SELECT '00000000-0000-4000-8000-000000000001', 'a', 10 FROM generate_series(1, $mine) i;
	INSERT INTO public.studio_jobs (user_id, raw_audio_url)
	SELECT ('00000000-0000-4000-8000-' || lpad((2 + i % 19)::text, 12, '0'))::uuid, 'a' FROM generate_series(1, 100) i;
	SELECT count(*) FROM claim_jobs('studio_jobs', 'w', 2);});
my ($limited, $rows) = pages('users', "claim_jobs('studio_jobs', 'w')");
is($rows, 1, 'a user at his limit: a job of another is claimed');
is(query($node, 'users', q{SELECT count(*) FROM studio_engine.attempts WHERE ended_at IS NULL AND user_id = '00000000-0000-4000-8000-000000000001'}),
	'2', '... and none of his');
diag("a user at his limit with $mine jobs in front: $limited pages");
cmp_ok($limited, '<=', 150, '... without reading his jobs');

$node->stop;
done_testing();
