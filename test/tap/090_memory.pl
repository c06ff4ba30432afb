# A session keeps what it needs and no more: after a tenth of its calls the memory
# of its process does not grow any further.  Four sessions make the same calls, of
# credits, jobs, workers, drafts and runs, with studio_engine.direct_rows on and
# off, in transactions of about a thousand calls and as single statements; a fifth
# changes the tables while it works.
#
# SOAK_OPERATIONS  calls of each session, 10,000 without it
#
# Looked at is what the contexts have in use, by name, and RssAnon of the process.
# Both are seen to grow in a session that keeps something with every round.
#
# Pitfall: RssAnon alone sees little of a small leak and pg_backend_memory_contexts
# nothing of what malloc() gave.  And caches grow until all has been called once, so
# the first tenth must do everything that the rest does.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(time);

my $operations = $ENV{SOAK_OPERATIONS} || 10000;
my $rounds_at_once = 25;    # in one transaction
my $most_rss = 1024;        # kB
my $most_used = 64 * 1024;  # bytes, of all contexts and of any name
my $dir = PostgreSQL::Test::Utils::tempdir();
my $db = 'memory';

# What users and workers do with a job, in 40 calls, as a script of pgbench.  One statement a line, one value for each \gset.
my $round = q{
\set round :round + 1
\set user 1 + :round % 50
SELECT memory.id(1, :user) AS user_id \gset
SELECT memory.id(2, :user) AS project \gset
INSERT INTO public.jobs (project_id, user_id, priority) VALUES (:project, :user_id, -1) RETURNING id AS held \gset
SELECT public.reserve_credits(:user_id, :held, 3);
SELECT public.get_credit_balance(:user_id);
SELECT public.release_credits(:held);
SELECT public.reserve_credits(:user_id, :held, 5);
SELECT public.get_credit_summary(:user_id);
SELECT public.settle_credits(:held, 4);
SELECT public.refund_credits(:held, 1);
SELECT public.grant_credits(:user_id, 3);
SELECT memory.refused(:user_id, :held);
SELECT public.create_job(:project, 3) AS job \gset
SELECT memory.claim('jobs', :job) AS token \gset
SELECT public.heartbeat_job(:job, :token);
SELECT public.snooze_job(:job, :token, '0 seconds');
SELECT memory.claim('jobs', :job) AS token \gset
SELECT public.heartbeat_job(:job, :token, 5, 'five');
SELECT public.advance_job(:job, s, NULL, NULL, :token) FROM pg_catalog.unnest('{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
SELECT public.log_job(:job, 'info', 'done', NULL, NULL, :token);
SELECT public.complete_job(:job, 'https://example.com/v', NULL, 2, :token);
SELECT public.create_job(:project, 1) AS job \gset
SELECT memory.claim('jobs', :job) AS token \gset
SELECT public.cancel_job(:job, 'no more');
SELECT public.fail_job(:job, 'E', 'm', 's', false, :token);
SELECT public.get_dashboard(:user_id);
INSERT INTO public.studio_jobs (user_id, raw_audio_url) VALUES (:user_id, 'a') RETURNING job_id AS studio \gset
SELECT memory.claim('studio_jobs', :studio) AS token \gset
SELECT public.update_studio_job_status(:studio, 'TRANSCRIBING', :token);
SELECT public.store_transcript(:studio, 'What was said', :token);
SELECT public.store_refined_text(:studio, 'What is meant', 'm', :token);
SELECT public.save_draft_prompt('token of a draft', 'A prompt of some words');
SELECT pipeline.record_event('run of a session', 'bot', 'x');
DELETE FROM public.jobs WHERE id = ANY (ARRAY[:job, :held]::uuid[]);
};
my $calls = 40;

my $setup = q{
CREATE SCHEMA memory;
CREATE TABLE memory.samples (mode text NOT NULL, round integer NOT NULL, rss integer NOT NULL, used jsonb NOT NULL);
CREATE FUNCTION memory.id(p_kind integer, p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT (lpad(p_kind::text, 8, '0') || '-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;

-- What the process has, and what its contexts use, in bytes by name.
CREATE FUNCTION memory.sample(p_mode text, p_round integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO memory.samples
		SELECT p_mode, p_round, substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+) kB')::integer,
			(SELECT jsonb_object_agg(name, used) FROM (SELECT name, sum(used_bytes) AS used FROM pg_backend_memory_contexts GROUP BY 1) c)
$$;

-- A claim may leave a job for later that is due only now: where dead rows lie before it, sessions look there now and then.
CREATE FUNCTION memory.claim(p_system text, p_job uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	v_claimed record;
	v_begun timestamptz := clock_timestamp();
BEGIN
	LOOP
		SELECT c.job_id, c.lease_token INTO v_claimed FROM public.claim_jobs(p_system, 'w') c;
		IF v_claimed.job_id = p_job THEN
			RETURN v_claimed.lease_token;
		ELSIF v_claimed.job_id IS NOT NULL OR clock_timestamp() > v_begun + INTERVAL '1 minute' THEN
			RAISE EXCEPTION 'claimed job % instead of %', v_claimed.job_id, p_job;
		END IF;
	END LOOP;
END $$;

-- Errors give back what was taken until then.
CREATE FUNCTION memory.refused(p_user uuid, p_job uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.reserve_credits(p_user, p_job, 2);
	PERFORM public.settle_credits(p_job, 3);
	RAISE EXCEPTION 'not refused';
EXCEPTION WHEN SQLSTATE 'PT409' THEN
	RETURN SQLSTATE;
END $$;

-- Layouts and plans are rebuilt after each of these.
CREATE FUNCTION memory.change(p_round integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_threshold = %s)',
		(ARRAY['public.jobs', 'public.credit_accounts', 'public.credit_ledger', 'studio_engine.queue', 'studio_engine.attempts'])[1 + p_round % 5],
		50 + p_round % 7);
	IF p_round % 5 = 0 THEN
		CREATE TRIGGER ends_eligibility BEFORE INSERT ON public.credit_ledger FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();
		DROP TRIGGER ends_eligibility ON public.credit_ledger;
	END IF;
END $$;

-- Something that a session keeps until it ends.
CREATE FUNCTION memory.keep(p_round integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('PREPARE kept_%s AS SELECT count(*) FROM public.jobs WHERE id = %L', p_round, memory.id(1, p_round));
END $$;

INSERT INTO auth.users (id) SELECT memory.id(1, u) FROM generate_series(1, 50) u;
SELECT count(public.grant_credits(id, 100000000)) FROM auth.users;
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset) SELECT memory.id(2, u), memory.id(1, u), 't', 'p', 'facts' FROM generate_series(1, 50) u;
SELECT pipeline.create_job('run of a session', '{}', memory.id(1, 1));
SELECT pipeline.set_job_status('run of a session', 'running');
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
};

my $node = new_cluster('memory', 'fsync = off', 'max_wal_size = 4GB');
prepare_database($node, $db);
query($node, $db, $setup);

# Runs a script of pgbench so many times in one session.
sub run_session
{
	my ($mode, $options, $script, $times, $protocol) = @_;
	my $file = "$dir/" . $mode =~ s/\W/_/gr;
	my $said = '';
	local $ENV{PGOPTIONS} = $options;

	append_to_file($file, $script);
	my $ok = IPC::Run::run(
		[ 'pgbench', '-n', '-c', '1', '-t', $times, '-M', $protocol, '-D', 'round=0', '-f', $file,
			'-h', $node->host, '-p', $node->port, $db ], '<', '/dev/null', '>', \$said, '2>&1');
	ok($ok && $said =~ m{actually processed: (\d+)/\1\b}, "$mode: all calls are made") or diag($said);
	return;
}

# The script with looks at the memory after a tenth, twice, and at the end.
sub with_samples
{
	my ($mode, $script, $last) = @_;
	my $first = int($last / 10);
	my $look = sub { my ($round) = @_; return "\\if :round = $round\nSELECT memory.sample('$mode', $round);\n\\endif\n"; };

	die "$mode: too few rounds" if $first < 1;
	return $script . $look->($first) x 2 . $look->($last);
}

# How much a session took between the two looks: kB, bytes of all contexts, and the names that grew.
sub growth
{
	my ($mode) = @_;
	my ($rss, $used, $names) = split /\|/, query($node, $db, qq{
		WITH s AS (SELECT *, row_number() OVER (ORDER BY round, n) AS look FROM (SELECT *, row_number() OVER () AS n FROM memory.samples) r WHERE mode = '$mode'),
		     a AS (SELECT rss, key, value::bigint FROM s, jsonb_each_text(used) WHERE look = 2),
		     b AS (SELECT rss, key, value::bigint FROM s, jsonb_each_text(used) WHERE look = 3),
		     g AS (SELECT key, coalesce(b.value, 0) - coalesce(a.value, 0) AS grown FROM a FULL JOIN b USING (key))
		SELECT (SELECT max(rss) FROM b) - (SELECT max(rss) FROM a), sum(grown),
		       coalesce(string_agg(format('%s +%s', key, grown), ', ' ORDER BY grown DESC) FILTER (WHERE grown > $most_used), '') FROM g});

	note("$mode: RssAnon grew by $rss kB, contexts by $used bytes");
	return ($rss, $used, $names);
}

sub steady_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($mode) = @_;
	my ($rss, $used, $names) = growth($mode);

	cmp_ok($rss, '<', $most_rss, "$mode: the process does not grow");
	cmp_ok($used, '<', $most_used, "$mode: its contexts do not");
	is($names, '', "$mode: none of them does");
	return;
}

# The same as a function, since pgbench has no loops.
sub round_function
{
	my $body = join "\n", grep { !/^\\set/ } split /\n/, $round;

	$body =~ s/^SELECT (.*?) AS (\w+) ((?:FROM .*)?)\\gset$/SELECT $1 INTO v_$2 $3;/mg;
	$body =~ s/ AS (\w+) \\gset$/ INTO v_$1;/mg;
	$body =~ s/^SELECT (?!.*\bINTO\b)/PERFORM /mg;
	$body =~ s/(?<!:):(\w+)/v_$1/g;
	return qq{
		CREATE FUNCTION memory.rounds(p_rounds integer) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE
			v_user_id uuid; v_project uuid; v_held uuid; v_job uuid; v_token uuid; v_studio uuid;
		BEGIN
			FOR v_user IN 1 .. p_rounds LOOP
				$body
			END LOOP;
		END \$\$};
}

# So many calls with a script of so many rounds.
sub session
{
	my ($mode, $options, $protocol, $script, $rounds, $many) = @_;
	my $times = int(($many // $operations) / $calls / $rounds + 0.5);
	my $begun = time();

	run_session($mode, $options, with_samples($mode, $script, $times), $times, $protocol);
	note(sprintf '%s: %d calls in %.1f s', $mode, $times * $rounds * $calls, time() - $begun);
	return;
}

query($node, $db, round_function());
foreach my $direct ('on', 'off')
{
	my $options = "-c studio_engine.direct_rows=$direct";

	session("direct_rows $direct, single statements", $options, 'extended', $round, 1);
	steady_ok("direct_rows $direct, single statements");
	session("direct_rows $direct, transactions", $options, 'prepared',
		"\\set round :round + 1\nSELECT memory.rounds($rounds_at_once);\n", $rounds_at_once);
	steady_ok("direct_rows $direct, transactions");
}
session('tables that change', '', 'prepared', "${round}SELECT memory.change(:round);\n", 1);
steady_ok('tables that change');

session('something is kept', '', 'prepared', "${round}SELECT memory.keep(:round);\n", 1, 10000);
my ($rss, $used, $names) = growth('something is kept');
cmp_ok($rss, '>=', $most_rss, 'what is kept is seen in the process');
cmp_ok($used, '>=', $most_used, '... in the contexts');
like($names, qr/CachedPlan/, '... and by name');

books_ok($node, $db, 'after all of it');
$node->stop;
done_testing();
