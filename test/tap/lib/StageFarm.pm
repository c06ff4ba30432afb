# Services for each stage of studio jobs in SQL, what they write down, and what
# must be true when all is done.  All of it lives in schema farm of a database
# with the extension.
#
# farm.claims    every claim, and when the call began, written in the transaction that made it
# farm.done      every stage that a service has done, written in the transaction of
#                the call that said so
# farm.retries   every way back of a job from FAILED, written in the transaction of the
#                call that brought it there
# farm.wrong     what somebody saw that must not be
# farm.happened  what happened to the services and to jobs, one row each time
#
# Pitfall: a job that failed and is tried again passes all stages again.  So a stage
# is done once in each round of a job, and rounds are counted by farm.retries.
#
# Pitfall: a trigger of ours on the jobs would keep the fast path away.

package StageFarm;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(stage_farm_sql stage_farm_audits stage_farm_ruins);

# %1$d seed.  Leases are longer than any work takes, so that most of those of killed services are ended by their next life;
# the others, whose session still had the job locked then, by claims that find too little.
my $tables = q{
CREATE SCHEMA farm;
CREATE FUNCTION farm.seed() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT %1$d $$;
CREATE FUNCTION farm.owner(p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT ('00000001-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;
-- a number below the limit, from words
CREATE FUNCTION farm.below(p_words text, p_limit integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT ('x' || left(md5(farm.seed() || ' ' || p_words), 7))::bit(28)::integer %% p_limit $$;

UPDATE studio_engine.settings s SET value = v.value
  FROM (VALUES ('max_active_jobs', '0'), ('lease_seconds', '10'), ('max_attempts', '6'), ('retry_base_seconds', '1'),
               ('retry_cap_seconds', '1'), ('price_studio_job', '2'), ('max_running_jobs', '3')) v (name, value)
 WHERE s.name = v.name;
INSERT INTO auth.users (id, email) SELECT farm.owner(u), u || '@example.com' FROM generate_series(0, 7) u;
SELECT count(public.purchase_credits(farm.owner(u), 1000000, 'payment ' || u)) FROM generate_series(0, 7) u;

CREATE TABLE farm.jobs (number integer PRIMARY KEY, job_id uuid NOT NULL UNIQUE);
CREATE TABLE farm.claims (
	lease_token uuid PRIMARY KEY, job_id uuid NOT NULL, stage text NOT NULL, worker text NOT NULL, process_id text NOT NULL, attempt integer NOT NULL,
	nth integer NOT NULL, began timestamptz NOT NULL);
CREATE INDEX ON farm.claims (job_id);
CREATE TABLE farm.retries (job_id uuid NOT NULL, code text NOT NULL);
CREATE INDEX ON farm.retries (job_id);
CREATE TABLE farm.done (
	stage text NOT NULL, job_id uuid NOT NULL, round bigint NOT NULL, lease_token uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE farm.wrong (what text NOT NULL, details text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE farm.happened (what text NOT NULL);
CREATE TABLE farm.stopped (at timestamptz);
CREATE TABLE farm.stage_limit AS SELECT 2 AS max_running;
SELECT public.limit_stage('studio_jobs', 'ENRICHING', 2);

-- Nothing is left to do, and nothing more will come.
CREATE FUNCTION farm.left_over(p_jobs integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
	SELECT p_jobs - count(*) FROM farm.jobs JOIN public.studio_jobs j USING (job_id)
	 WHERE j.status = 'COMPLETE' OR j.status = 'FAILED' AND j.error_details ->> 'code' IN ('CANCELLED', 'POISON')
$$;
};

my $services = q{
-- What a service is to do with a job.
CREATE FUNCTION farm.plan(c farm.claims) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN farm.below('poison ' || c.job_id, 100) = 0 AND c.stage = 'ENRICHING' THEN 'poison'
	            WHEN draw < 30 THEN 'again'
	            WHEN draw < 60 THEN 'soon'
	            WHEN draw < 85 THEN 'broken'
	            ELSE 'done' END
	  FROM farm.below('plan ' || c.job_id || c.nth, 1000) draw
$$;

-- Why a job failed, if it did.
CREATE FUNCTION farm.error_of(p_plan text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('code', CASE p_plan WHEN 'poison' THEN 'POISON' WHEN 'broken' THEN 'BROKEN' ELSE 'AGAIN' END)
$$;

-- The stage is done; the call before has locked the job, so its round stays.
CREATE FUNCTION farm.note(c farm.claims, p_stage text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO farm.done (stage, job_id, round, lease_token)
	SELECT p_stage, c.job_id, (SELECT count(*) FROM farm.retries r WHERE r.job_id = c.job_id), c.lease_token
$$;

CREATE FUNCTION farm.note_claim(p_job_id uuid, p_token uuid, p_attempt integer, p_job jsonb, p_worker text, p_process text, p_began timestamptz)
RETURNS farm.claims
LANGUAGE sql AS $$
	INSERT INTO farm.claims (lease_token, job_id, stage, worker, process_id, attempt, nth, began)
	SELECT p_token, p_job_id, p_job ->> 'status', p_worker, p_process, p_attempt, 1 + (SELECT count(*) FROM farm.claims o WHERE o.job_id = p_job_id),
	       p_began
	RETURNING claims
$$;

CREATE FUNCTION farm.claim(p_worker text, p_process text, p_stages text[], p_limit integer) RETURNS SETOF farm.claims LANGUAGE plpgsql AS $$
DECLARE
	v_began timestamptz := clock_timestamp();
BEGIN
	RETURN QUERY
		SELECT n.* FROM public.claim_jobs('studio_jobs', p_worker, p_limit, NULL, p_stages, p_process) j,
		       farm.note_claim(j.job_id, j.lease_token, j.attempt, j.job, p_worker, p_process, v_began) n;
END $$;

-- A job cannot be moved: the lease is lost, or the job is to be cancelled, which its worker then does.
CREATE PROCEDURE farm.give_in(c farm.claims) LANGUAGE plpgsql AS $$
DECLARE
	v_cancel boolean;
	v_lost boolean := false;
BEGIN
	BEGIN
		v_cancel := public.heartbeat_job(c.job_id, c.lease_token) ->> 'cancel';
	EXCEPTION WHEN SQLSTATE 'PT409' THEN
		v_lost := true;
	END;
	COMMIT;
	BEGIN
		IF v_cancel THEN
			PERFORM public.fail_studio_job(c.job_id, '{"code": "GIVEN_UP"}', false, c.lease_token);
			INSERT INTO farm.happened VALUES ('gave in');
		END IF;
	EXCEPTION WHEN SQLSTATE 'PT409' THEN
		v_lost := true;
	END;
	IF v_lost THEN
		INSERT INTO farm.happened VALUES ('lost');
	ELSIF NOT v_cancel THEN
		INSERT INTO farm.wrong VALUES ('refused, though the lease is good and nobody cancelled', c::text);
	END IF;
END $$;

-- Says that a job failed.
CREATE FUNCTION farm.fail(c farm.claims, p_plan text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.fail_studio_job(c.job_id, farm.error_of(p_plan), p_plan IN ('again', 'soon'), c.lease_token,
		p_retry_in => CASE WHEN p_plan = 'soon' THEN INTERVAL '20 milliseconds' END);
END $$;

-- Step by step: each call a transaction, several jobs at once.
CREATE PROCEDURE farm.transcribe(c farm.claims) LANGUAGE plpgsql AS $$
DECLARE
	v_plan text := farm.plan(c);
	v_refused boolean := false;
BEGIN
	BEGIN
		IF c.stage = 'NEW' THEN
			PERFORM public.update_studio_job_status(c.job_id, 'TRANSCRIBING', c.lease_token);
		END IF;
	EXCEPTION WHEN SQLSTATE 'PT409' THEN
		v_refused := true;
	END;
	COMMIT;
	BEGIN
		IF v_refused THEN
			NULL;
		ELSIF v_plan = 'done' THEN
			PERFORM public.store_transcript(c.job_id, 'by ' || c.lease_token, c.lease_token, p_hand_over => true);
			PERFORM farm.note(c, 'transcribed');
		ELSE
			PERFORM farm.fail(c, v_plan);
		END IF;
	EXCEPTION WHEN SQLSTATE 'PT409' THEN
		v_refused := true;
	END;
	COMMIT;
	IF v_refused THEN
		CALL farm.give_in(c);
		COMMIT;
	END IF;
END $$;

-- One call ends a stage and claims the next job.
CREATE PROCEDURE farm.enrich(c farm.claims, INOUT p_next farm.claims) LANGUAGE plpgsql AS $$
DECLARE
	v_plan text := farm.plan(c);
	v_began timestamptz := clock_timestamp();
	v_refused boolean := false;
BEGIN
	p_next := NULL;
	BEGIN
		SELECT n.* INTO p_next
		  FROM public.finish_and_claim('studio_jobs', c.worker, c.job_id, c.lease_token,
				CASE WHEN v_plan = 'done' THEN jsonb_build_object('enrichment_entities', jsonb_build_object('by', c.lease_token)) END,
				CASE WHEN v_plan <> 'done' THEN farm.error_of(v_plan) END, v_plan IN ('again', 'soon'),
				CASE WHEN v_plan = 'soon' THEN INTERVAL '20 milliseconds' END, p_stages => '{ENRICHING}', p_process_id => c.process_id) j,
		       farm.note_claim(j.job_id, j.lease_token, j.attempt, j.job, c.worker, c.process_id, v_began) n;
		IF v_plan = 'done' THEN
			PERFORM farm.note(c, 'enriched');
		END IF;
	EXCEPTION WHEN SQLSTATE 'PT409' THEN
		v_refused := true;
	END;
	COMMIT;
	IF v_refused THEN
		CALL farm.give_in(c);
		COMMIT;
	END IF;
END $$;

-- Sets: those that are done, then those that failed; the answer says of each how it went.
CREATE PROCEDURE farm.refine(p_batch farm.claims[]) LANGUAGE plpgsql AS $$
DECLARE
	c farm.claims;
	v_answer record;
	v_refused farm.claims[] := '{}';
BEGIN
	FOR v_answer IN
		SELECT a.job_id, a.done, a.error_code FROM public.complete_jobs('studio_jobs', (
			SELECT coalesce(jsonb_agg(jsonb_build_object('job_id', b.job_id, 'lease_token', b.lease_token,
			                          'result', jsonb_build_object('refined_text', 'by ' || b.lease_token, 'model_version', 'm'))), '[]')
			  FROM unnest(p_batch) b WHERE farm.plan(b) = 'done')) a
	LOOP
		SELECT * INTO c FROM unnest(p_batch) b WHERE b.job_id = v_answer.job_id;
		IF v_answer.done THEN
			PERFORM farm.note(c, 'refined');
		ELSIF v_answer.error_code = 'PT409' THEN
			v_refused := v_refused || c;
		ELSE
			INSERT INTO farm.wrong VALUES ('complete_jobs: ' || coalesce(v_answer.error_code, 'NULL'), c::text);
		END IF;
	END LOOP;
	COMMIT;
	FOR v_answer IN
		SELECT a.job_id, a.done, a.error_code FROM public.fail_jobs('studio_jobs', (
			SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('job_id', b.job_id, 'lease_token', b.lease_token,
			                          'error', farm.error_of(p.plan), 'retryable', p.plan IN ('again', 'soon'),
			                          'retry_in', CASE WHEN p.plan = 'soon' THEN '20 milliseconds' END))), '[]')
			  FROM unnest(p_batch) b, farm.plan(b) p (plan) WHERE p.plan <> 'done')) a
	LOOP
		SELECT * INTO c FROM unnest(p_batch) b WHERE b.job_id = v_answer.job_id;
		IF NOT v_answer.done AND v_answer.error_code = 'PT409' THEN
			v_refused := v_refused || c;
		ELSIF NOT v_answer.done THEN
			INSERT INTO farm.wrong VALUES ('fail_jobs: ' || coalesce(v_answer.error_code, 'NULL'), c::text);
		END IF;
	END LOOP;
	COMMIT;
	FOREACH c IN ARRAY v_refused LOOP
		CALL farm.give_in(c);
		COMMIT;
	END LOOP;
END $$;

-- A service until it is stopped.  First of all it ends the leases that it had in an earlier life.
CREATE PROCEDURE farm.serve(p_service text, p_worker text, p_process text) LANGUAGE plpgsql AS $$
DECLARE
	v_stages text[] := CASE p_service WHEN 'transcriber' THEN '{NEW,TRANSCRIBING}' WHEN 'enricher' THEN '{ENRICHING}' ELSE '{REFINING}' END;
	v_limit integer := CASE p_service WHEN 'transcriber' THEN 3 WHEN 'enricher' THEN 1 ELSE 5 END;
	v_batch farm.claims[];
	v_next farm.claims;
BEGIN
	INSERT INTO farm.happened SELECT 'recovered' FROM generate_series(1, public.recover_leases(p_worker, p_process));
	COMMIT;
	WHILE NOT EXISTS (SELECT FROM farm.stopped) LOOP
		v_batch := ARRAY(SELECT c FROM farm.claim(p_worker, p_process, v_stages, v_limit) c);
		COMMIT;
		IF cardinality(v_batch) = 0 THEN
			PERFORM pg_sleep(0.01);
		ELSIF p_service = 'transcriber' THEN
			FOREACH v_next IN ARRAY v_batch LOOP
				CALL farm.transcribe(v_next);
			END LOOP;
		ELSIF p_service = 'enricher' THEN
			v_next := v_batch[1];
			WHILE v_next.job_id IS NOT NULL LOOP
				CALL farm.enrich(v_next, v_next);
			END LOOP;
		ELSE
			CALL farm.refine(v_batch);
		END IF;
	END LOOP;
END $$;
};

my $others = q{
-- Makes so many jobs while no more than so many are there to do.  A transaction each: a job holds credits of its user.
CREATE PROCEDURE farm.produce(p_jobs integer, p_waiting integer) LANGUAGE plpgsql AS $$
DECLARE
	v_made integer := (SELECT count(*) FROM farm.jobs);
BEGIN
	WHILE v_made < p_jobs LOOP
		WHILE v_made - (SELECT count(*) FROM public.studio_jobs WHERE status IN ('COMPLETE', 'FAILED')) >= p_waiting LOOP
			COMMIT;
			PERFORM pg_sleep(0.02);
		END LOOP;
		FOR i IN 1 .. least(20, p_jobs - v_made) LOOP
			v_made := v_made + 1;
			INSERT INTO farm.jobs SELECT v_made, (public.create_studio_job(farm.owner(v_made % 8), 'a/' || v_made, p_priority => v_made % 3) ->> 'job_id')::uuid;
			COMMIT;
		END LOOP;
	END LOOP;
END $$;

-- Users who want their jobs no more, and a service that cancels some at once.
CREATE FUNCTION farm.some_jobs(p_many integer) RETURNS TABLE (job_id uuid, user_id uuid) LANGUAGE sql SECURITY DEFINER AS $$
	SELECT j.job_id, j.user_id FROM public.studio_jobs j WHERE j.status NOT IN ('COMPLETE', 'FAILED') ORDER BY random() LIMIT p_many
$$;
CREATE PROCEDURE farm.cancel() LANGUAGE plpgsql AS $$
DECLARE
	v_job record;
BEGIN
	WHILE NOT EXISTS (SELECT FROM farm.stopped) LOOP
		SELECT * INTO v_job FROM farm.some_jobs(1);
		IF FOUND THEN
			PERFORM set_config('request.jwt.claims', json_build_object('sub', v_job.user_id, 'role', 'authenticated')::text, true);
			SET LOCAL ROLE authenticated;
			BEGIN
				PERFORM public.cancel_studio_job(v_job.job_id, 'by the user');
			EXCEPTION WHEN check_violation THEN
				NULL; -- it is complete
			END;
			COMMIT;
		END IF;
		PERFORM pg_sleep(0.15);
		PERFORM public.cancel_jobs('studio_jobs', ARRAY(SELECT s.job_id FROM farm.some_jobs(2) s), 'by the service') WHERE random() < 0.2;
		COMMIT;
	END LOOP;
END $$;

-- Puts right what broke: failed jobs go again, and again.
CREATE PROCEDURE farm.retry() LANGUAGE plpgsql AS $$
DECLARE
	v_code text;
BEGIN
	WHILE NOT EXISTS (SELECT FROM farm.stopped) LOOP
		FOREACH v_code IN ARRAY '{BROKEN,AGAIN,LEASE_EXPIRED,WORKER_RESTARTED}'::text[] LOOP
			INSERT INTO farm.retries SELECT r.job_id, v_code FROM public.retry_failed_jobs('studio_jobs', v_code, p_limit => 50) r WHERE r.done;
			COMMIT;
		END LOOP;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;

-- Looks at the limits, each time at one moment.  What is allowed at the stage is written down after it was raised, and before
-- it is lowered, when nobody is there.
CREATE PROCEDURE farm.watch() LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM farm.stopped) LOOP
		WITH running AS (SELECT a.user_id, a.stage FROM studio_engine.attempts a WHERE a.ended_at IS NULL)
		INSERT INTO farm.wrong (what, details)
		SELECT 'more jobs of a user run than may', user_id || ' ' || count(*) FROM running GROUP BY user_id HAVING count(*) > 3
		UNION ALL
		SELECT 'more jobs of the stage run than may', count(*)::text FROM running WHERE stage = 'ENRICHING'
		HAVING count(*) > (SELECT max_running FROM farm.stage_limit);
		INSERT INTO farm.happened
		SELECT 'full: users' FROM studio_engine.attempts a WHERE a.ended_at IS NULL GROUP BY a.user_id HAVING count(*) = 3
		UNION ALL
		SELECT 'full: stage' FROM studio_engine.attempts a WHERE a.ended_at IS NULL AND a.stage = 'ENRICHING'
		HAVING count(*) = (SELECT max_running FROM farm.stage_limit);
		COMMIT;
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;

GRANT USAGE ON SCHEMA farm TO service_role;
GRANT ALL ON ALL TABLES IN SCHEMA farm TO service_role;
};

# One query per sentence; each returns what is wrong.
my @audits = (
	[ 'each job ended as it should', q{
		SELECT j.job_id, s.status, s.error_details FROM farm.jobs j LEFT JOIN public.studio_jobs s USING (job_id)
		 WHERE (s.status = 'COMPLETE' OR s.status = 'FAILED' AND s.error_details ->> 'code' IN ('CANCELLED', 'POISON')) IS NOT TRUE} ],
	[ 'no stage of a job was done twice', q{
		SELECT stage, job_id, round, count(*) FROM farm.done GROUP BY stage, job_id, round HAVING count(*) > 1} ],
	[ 'all stages of a job that is complete were done, and no job that failed was', q{
		SELECT s.job_id, s.status, d.stages FROM public.studio_jobs s
		 CROSS JOIN LATERAL (SELECT coalesce(string_agg(d.stage, ' ' ORDER BY d.at), '') AS stages FROM farm.done d
		                      WHERE d.job_id = s.job_id AND d.round = (SELECT count(*) FROM farm.retries r WHERE r.job_id = s.job_id)) d
		 WHERE CASE s.status WHEN 'COMPLETE' THEN d.stages <> 'transcribed enriched refined' ELSE d.stages LIKE '%refined' END} ],
	[ 'what is in a job was written by the service that did the stage', q{
		SELECT s.job_id, s.raw_transcript, s.enrichment_entities, s.refined_text FROM public.studio_jobs s
		 CROSS JOIN LATERAL (SELECT min('by ' || d.lease_token) FILTER (WHERE d.stage = 'transcribed') AS transcribed,
		                            min(d.lease_token::text) FILTER (WHERE d.stage = 'enriched') AS enriched,
		                            min('by ' || d.lease_token) FILTER (WHERE d.stage = 'refined') AS refined
		                       FROM farm.done d
		                      WHERE d.job_id = s.job_id AND d.round = (SELECT count(*) FROM farm.retries r WHERE r.job_id = s.job_id)) d
		 WHERE s.status = 'COMPLETE'
		   AND (s.raw_transcript, s.enrichment_entities ->> 'by', s.refined_text) IS DISTINCT FROM (d.transcribed, d.enriched, d.refined)} ],
	[ 'every claim has its attempt, every attempt its claim', q{
		SELECT c, a FROM farm.claims c FULL JOIN studio_engine.attempts a USING (job_id, lease_token)
		 WHERE (c.stage, c.worker, c.process_id, c.attempt) IS DISTINCT FROM (a.stage, a.worker, a.process_id, a.attempt)} ],
	[ 'an attempt succeeded if its service has done the stage', q{
		SELECT a.stage, a.outcome, d.stage FROM studio_engine.attempts a FULL JOIN farm.done d USING (job_id, lease_token)
		 WHERE CASE d.stage WHEN 'transcribed' THEN a.outcome = 'handed_over' AND a.stage IN ('NEW', 'TRANSCRIBING')
		                    WHEN 'enriched' THEN a.outcome = 'handed_over' AND a.stage = 'ENRICHING'
		                    WHEN 'refined' THEN a.outcome = 'completed' AND a.stage = 'REFINING'
		                    ELSE a.outcome NOT IN ('handed_over', 'completed') END IS NOT TRUE} ],
	[ 'leases of one job do not overlap', q{
		SELECT * FROM (
			SELECT job_id, worker, started_at, ended_at, outcome, lag(ended_at) OVER w AS previous_end, lag(worker) OVER w AS previous_worker
			  FROM studio_engine.attempts WINDOW w AS (PARTITION BY job_id ORDER BY started_at)) a
		 WHERE started_at < previous_end OR ended_at < started_at OR ended_at IS NULL} ],
	[ 'attempts are counted anew in each stage', q{
		SELECT * FROM (
			SELECT job_id, attempt, lag(attempt) OVER w AS previous, lag(outcome) OVER w AS previous_outcome
			  FROM studio_engine.attempts WINDOW w AS (PARTITION BY job_id ORDER BY started_at)) a
		 WHERE previous_outcome = 'handed_over' AND attempt <> 1 OR previous_outcome IN ('retried', 'expired') AND attempt <= previous} ],
	[ 'the queue is empty', 'SELECT * FROM studio_engine.queue' ],
	[ 'a job costs its price when it is complete, and else nothing', q{
		SELECT a.user_id, a.balance, a.reserved, j.complete FROM public.credit_accounts a
		 CROSS JOIN LATERAL (SELECT count(*) AS complete FROM public.studio_jobs s WHERE s.user_id = a.user_id AND s.status = 'COMPLETE') j
		 WHERE a.reserved <> 0
		    OR a.balance <> (SELECT sum(l.amount) FROM public.credit_ledger l WHERE l.user_id = a.user_id AND l.type IN ('grant', 'purchase')) - 2 * j.complete} ],
	[ 'verify_credit_ledger() finds nothing', 'SELECT * FROM public.verify_credit_ledger()' ],
	[ 'no limit was exceeded, and nothing was refused without a reason', 'SELECT * FROM farm.wrong' ],
	[ 'every stage was worked on in each third of the run', q{
		SELECT s.stage, t.third FROM unnest('{transcribed,enriched,refined}'::text[]) s (stage), generate_series(0, 2) t (third),
		       (SELECT min(at) AS begun, max(at) - min(at) AS took FROM farm.done) r
		 WHERE NOT EXISTS (SELECT FROM farm.done d
		                    WHERE d.stage = s.stage AND d.at BETWEEN r.begun + t.third * r.took / 3 AND r.begun + (t.third + 1) * r.took / 3)} ],
);

# Ways to ruin the result, each of which must be seen: the number of the audit
# that sees it, and the damage.
my @ruins = (
	[ 0, q{UPDATE public.studio_jobs SET error_details = '{"code": "BROKEN"}' WHERE status = 'FAILED'} ],
	[ 1, q{INSERT INTO farm.done SELECT * FROM farm.done LIMIT 1} ],
	[ 2, q{DELETE FROM farm.done WHERE stage = 'enriched'} ],
	[ 3, q{UPDATE public.studio_jobs SET raw_transcript = 'by nobody' WHERE status = 'COMPLETE'} ],
	[ 4, q{DELETE FROM farm.claims WHERE ctid = (SELECT ctid FROM farm.claims LIMIT 1)} ],
	[ 4, q{DELETE FROM studio_engine.attempts WHERE ctid = (SELECT ctid FROM studio_engine.attempts WHERE outcome = 'expired' LIMIT 1)} ],
	[ 5, q{UPDATE studio_engine.attempts SET outcome = 'retried' WHERE outcome = 'completed'} ],
	[ 6, q{UPDATE studio_engine.attempts SET ended_at = started_at + INTERVAL '1 hour' WHERE outcome = 'handed_over'} ],
	[ 7, q{UPDATE studio_engine.attempts SET attempt = attempt + 1 WHERE stage = 'REFINING'} ],
	[ 8, q{INSERT INTO studio_engine.queue (system, job_id, user_id, stage) VALUES ('studio_jobs', gen_random_uuid(), farm.owner(1), 'NEW')} ],
	[ 9, q{UPDATE public.credit_accounts SET balance = balance - 1 WHERE user_id = farm.owner(1)} ],
	[ 10, q{UPDATE public.credit_accounts SET reserved = 1 WHERE user_id = farm.owner(1)} ],
	[ 12, q{UPDATE farm.done SET at = (SELECT min(at) FROM farm.done) WHERE stage = 'enriched'} ],
);

# The SQL that makes the services, what they belong to, and their records.
sub stage_farm_sql
{
	my ($seed) = @_;

	return sprintf($tables, $seed) . $services . $others;
}

sub stage_farm_audits { return @audits }

sub stage_farm_ruins { return @ruins }

1;
