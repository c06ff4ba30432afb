# Workers in SQL, what they write down, and what must be true when they are done.
# All of it lives in schema farm of a database with the extension.
#
# farm.claims   every claim, written in the transaction that made it
# farm.ends     every change of a job to a final status, written by a trigger
# farm.wrong    what somebody saw that must not be
# farm.happened what the workers did to themselves, one row each time
# farm.said     what clients were told, after the transaction was committed
#
# Schema claims is for jobs that are only claimed.
#
# Pitfall: what a worker does with a job depends on the seed, the job and how
# often the job was claimed before, and on nothing else.

package WorkerFarm;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(farm_sql farm_audits farm_ruins claims_sql claims_audits claims_ruins);

# %1$d seed, %2$d jobs.  Every second job is of the video system.
my $jobs = q{
CREATE SCHEMA farm;
CREATE FUNCTION farm.seed() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT %1$d $$;
CREATE FUNCTION farm.id(p_kind integer, p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT (lpad(p_kind::text, 8, '0') || '-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;
CREATE FUNCTION farm.number(p_id uuid) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT right(p_id::text, 12)::integer $$;
-- a number below the limit, from words
CREATE FUNCTION farm.below(p_words text, p_limit integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT ('x' || left(md5(farm.seed() || ' ' || p_words), 7))::bit(28)::integer %% p_limit $$;
CREATE FUNCTION farm.price(p_number integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT 1 + p_number %% 4 $$;
-- what a worker asks for in the end: NULL takes the price
CREATE FUNCTION farm.cost(p_number integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT nullif(p_number / 4 %% 3, 2) $$;
-- fails whenever it is tried
CREATE FUNCTION farm.is_poison(p_number integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	$$ SELECT p_number %% 50 IN (0, 25) $$;

UPDATE studio_engine.settings s SET value = v.value
  FROM (VALUES ('max_active_jobs', '0'), ('lease_seconds', '1'), ('max_attempts', '4'), ('retry_base_seconds', '1'),
               ('retry_cap_seconds', '1'), ('progress_interval_ms', '50')) v (name, value)
 WHERE s.name = v.name;
INSERT INTO auth.users (id, email) SELECT farm.id(1, u), u || '@example.com' FROM generate_series(0, 39) u;
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
	SELECT farm.id(2, u), farm.id(1, u), 'P', 'p', 'facts' FROM generate_series(0, 39) u;
SELECT count(public.purchase_credits(farm.id(1, u), %2$d, 'payment ' || u)) FROM generate_series(0, 39) u;

CREATE TABLE farm.jobs AS
	SELECT CASE n %% 2 WHEN 0 THEN 'jobs' ELSE 'studio_jobs' END AS system, farm.id(3, n) AS job_id, n AS number
	  FROM generate_series(1, %2$d) n;
ALTER TABLE farm.jobs ADD PRIMARY KEY (job_id), ADD UNIQUE (number);
INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, priority)
	SELECT job_id, farm.id(1, number %% 40), 'a/' || number, number / 2 %% 3 FROM farm.jobs WHERE system = 'studio_jobs' ORDER BY number;
INSERT INTO public.jobs (id, project_id, user_id, status, priority)
	SELECT job_id, farm.id(2, number %% 40), farm.id(1, number %% 40), 'QUEUED', number / 2 %% 3
	  FROM farm.jobs WHERE system = 'jobs' ORDER BY number;
DO $$ BEGIN
	ASSERT (SELECT bool_and(public.reserve_credits(farm.id(1, number %% 40), job_id, farm.price(number)))
	          FROM farm.jobs WHERE system = 'jobs'), 'every video job has its hold';
	ASSERT (SELECT sum(reserved) FROM public.credit_accounts)
	     = (SELECT sum(farm.price(number)) FROM farm.jobs WHERE system = 'jobs'), 'the accounts know the holds';
	ASSERT (SELECT count(*) FROM studio_engine.queue) = %2$d, 'every job is queued';
END $$;
};

my $records = q{
CREATE TABLE farm.claims (
	lease_token uuid PRIMARY KEY, system text NOT NULL, job_id uuid NOT NULL, nth integer NOT NULL, attempt integer NOT NULL,
	worker text NOT NULL, status text NOT NULL);
CREATE INDEX ON farm.claims (job_id);
CREATE TABLE farm.ends (system text NOT NULL, job_id uuid NOT NULL, status text NOT NULL, by_whom text);
CREATE TABLE farm.wrong (what text NOT NULL, job_id uuid, by_whom text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE farm.happened (what text NOT NULL);
CREATE TABLE farm.said (job_id uuid, lease_token uuid, what text);

-- Who changes a status?  A worker must have the lease at that moment, of others nobody may.
CREATE FUNCTION farm.watch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	v_by text := current_setting('farm.by', true);
	v_id uuid;
	v_fine boolean;
BEGIN
	IF TG_TABLE_NAME = 'jobs' THEN v_id := NEW.id; ELSE v_id := NEW.job_id; END IF;
	SELECT CASE WHEN v_by LIKE 'token %' THEN a.lease_token::text = substr(v_by, 7)
	            WHEN v_by LIKE 'worker %' THEN a.worker = substr(v_by, 8)
	            ELSE a.expires_at <= clock_timestamp() END
	  INTO v_fine FROM studio_engine.attempts a WHERE a.job_id = v_id AND a.system::text = TG_TABLE_NAME AND a.ended_at IS NULL;
	-- nobody has it: it waits, or its last lease has expired
	IF NOT FOUND AND coalesce(v_by, '') NOT LIKE 'token %' AND coalesce(v_by, '') NOT LIKE 'worker %' THEN
		v_fine := EXISTS (SELECT FROM studio_engine.queue q WHERE q.job_id = v_id AND q.system::text = TG_TABLE_NAME)
			OR (SELECT a.outcome FROM studio_engine.attempts a WHERE a.job_id = v_id ORDER BY a.started_at DESC LIMIT 1) = 'expired';
	END IF;
	IF v_fine IS NOT TRUE THEN
		INSERT INTO farm.wrong VALUES (OLD.status || ' > ' || NEW.status, v_id, v_by);
	END IF;
	IF NEW.status::text IN ('COMPLETE', 'READY', 'FAILED') THEN
		INSERT INTO farm.ends VALUES (TG_TABLE_NAME, v_id, NEW.status, v_by);
	END IF;
	RETURN NULL;
END $$;
-- before the trigger that takes the job out of the queue, by name
CREATE TRIGGER "00_a_watch" AFTER UPDATE ON public.jobs
	FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION farm.watch();
CREATE TRIGGER "00_a_watch" AFTER UPDATE ON public.studio_jobs
	FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION farm.watch();

CREATE FUNCTION farm.is_done() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
	$$ SELECT NOT EXISTS (SELECT FROM studio_engine.queue) AND NOT EXISTS (SELECT FROM studio_engine.attempts WHERE ended_at IS NULL) $$;
CREATE FUNCTION farm.outcome(p_claim farm.claims) RETURNS text LANGUAGE sql SECURITY DEFINER AS
	$$ SELECT a.outcome FROM studio_engine.attempts a WHERE a.job_id = p_claim.job_id AND a.lease_token = p_claim.lease_token $$;
-- all that a worker could change, with the job locked
CREATE FUNCTION farm.lock_and_look(p_claim farm.claims) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	v_job jsonb;
BEGIN
	IF p_claim.system = 'jobs' THEN
		SELECT to_jsonb(j) INTO v_job FROM public.jobs j WHERE j.id = p_claim.job_id FOR NO KEY UPDATE;
	ELSE
		SELECT to_jsonb(j) INTO v_job FROM public.studio_jobs j WHERE j.job_id = p_claim.job_id FOR NO KEY UPDATE;
	END IF;
	RETURN jsonb_build_array(v_job,
		(SELECT jsonb_object_agg(lease_token, outcome) FROM studio_engine.attempts WHERE job_id = p_claim.job_id AND ended_at IS NOT NULL),
		(SELECT count(*) FROM public.credit_ledger WHERE job_id = p_claim.job_id),
		(SELECT count(*) FROM public.assets WHERE job_id = p_claim.job_id),
		(SELECT count(*) FROM public.logs WHERE job_id = p_claim.job_id));
END $$;
};

my $workers = q{
-- One call with the token of a claim; not all of them fit all systems.
CREATE FUNCTION farm.call(c farm.claims, p_call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	CASE p_call || ' ' || c.system
	WHEN 'heartbeat jobs' THEN RETURN public.heartbeat_job(c.job_id, c.lease_token, c.nth, 'claim ' || c.nth) ->> 'cancel';
	WHEN 'heartbeat studio_jobs' THEN RETURN public.heartbeat_job(c.job_id, c.lease_token) ->> 'cancel';
	WHEN 'snooze jobs', 'snooze studio_jobs' THEN
		RETURN public.snooze_job(c.job_id, c.lease_token, farm.below('snooze ' || c.nth || c.job_id, 300) * INTERVAL '1 ms');
	WHEN 'retry jobs' THEN RETURN public.fail_job(c.job_id, 'AGAIN', 'It broke.', NULL, true, c.lease_token);
	WHEN 'retry studio_jobs' THEN RETURN public.fail_studio_job(c.job_id, '{"code": "AGAIN"}', true, c.lease_token);
	WHEN 'fail jobs' THEN RETURN public.fail_job(c.job_id, 'BROKEN', 'It is broken.', NULL, false, c.lease_token);
	WHEN 'fail studio_jobs' THEN RETURN public.fail_studio_job(c.job_id, '{"code": "BROKEN"}', false, c.lease_token);
	WHEN 'complete jobs' THEN
		RETURN public.complete_job(c.job_id, 'by ' || c.lease_token, NULL, farm.cost(farm.number(c.job_id)), c.lease_token);
	WHEN 'complete studio_jobs' THEN
		RETURN public.store_refined_text(c.job_id, 'by ' || c.lease_token, 'model', c.lease_token);
	WHEN 'advance jobs' THEN RETURN public.advance_job(c.job_id, 'FAILED', NULL, NULL, c.lease_token);
	WHEN 'advance studio_jobs' THEN RETURN public.update_studio_job_status(c.job_id, 'FAILED', c.lease_token);
	WHEN 'asset jobs' THEN RETURN public.record_asset(c.job_id, 'audio', 'u', 'p', 1, NULL, NULL, c.lease_token);
	WHEN 'asset studio_jobs' THEN RETURN public.store_transcript(c.job_id, 'stale', c.lease_token);
	WHEN 'log jobs' THEN RETURN public.log_job(c.job_id, 'info', 'line', NULL, NULL, c.lease_token);
	WHEN 'log studio_jobs' THEN RETURN public.store_enrichment(c.job_id, '{}', c.lease_token);
	END CASE;
END $$;

CREATE FUNCTION farm.try(c farm.claims, p_call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('farm.by', 'token ' || c.lease_token, true);
	RETURN coalesce(farm.call(c, p_call), 'NULL');
EXCEPTION WHEN SQLSTATE 'PT409' THEN
	RETURN SQLSTATE;
END $$;

-- Comes back with a token that is good no more.  Nothing may change.  Only who ended the lease may say the same
-- again; to fail a job that was cancelled meanwhile, too.
CREATE FUNCTION farm.come_back(c farm.claims) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_before jsonb := farm.lock_and_look(c);
	v_outcome text;
	v_call text;
	v_answer text;
	v_may boolean;
BEGIN
	FOREACH v_call IN ARRAY '{heartbeat,advance,complete,retry,fail,snooze,asset,log}'::text[] LOOP
		v_answer := farm.try(c, v_call);
		v_outcome := farm.outcome(c);
		v_may := coalesce(CASE v_call
			WHEN 'complete' THEN v_outcome = 'completed'
			-- it asks for FAILED
			WHEN 'advance' THEN v_outcome = 'failed'
			WHEN 'snooze' THEN v_outcome IN ('snoozed', 'cancelled')
			ELSE v_call IN ('retry', 'fail') AND v_outcome IN ('failed', 'retried', 'cancelled') END, false);
		IF (v_answer = 'PT409') = v_may THEN
			INSERT INTO farm.wrong VALUES (format('%s with the token of a lease (%s): %s', v_call, v_outcome, v_answer), c.job_id, c.worker);
		END IF;
		INSERT INTO farm.happened VALUES (CASE WHEN v_may THEN 'said again' ELSE 'refused ' || v_call END);
	END LOOP;
	IF farm.lock_and_look(c) <> v_before THEN
		INSERT INTO farm.wrong VALUES ('a stale token changed something', c.job_id, c.worker);
	END IF;
	PERFORM set_config('farm.by', '', true);
END $$;

CREATE FUNCTION farm.claim(p_worker text, p_turn integer) RETURNS SETOF farm.claims LANGUAGE sql AS $$
	INSERT INTO farm.claims
	SELECT j.lease_token, s.system, j.job_id, 1 + (SELECT count(*) FROM farm.claims c WHERE c.job_id = j.job_id), j.attempt,
	       p_worker, j.job ->> 'status'
	  FROM (SELECT CASE farm.below(p_worker || ' ' || p_turn, 2) WHEN 0 THEN 'jobs' ELSE 'studio_jobs' END) s (system),
	       public.claim_jobs(s.system, p_worker, 1 + farm.below(p_worker || ' limit ' || p_turn, 20)) j
	RETURNING *
$$;

-- What to do with a job.
CREATE FUNCTION farm.plan(c farm.claims) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN farm.is_poison(farm.number(c.job_id)) AND draw > 4 THEN 'retry'
	            WHEN draw < 3 THEN 'silence'
	            WHEN draw < 10 THEN 'release'
	            WHEN draw < 90 THEN 'retry'
	            WHEN draw < 130 THEN 'fail'
	            WHEN draw < 170 THEN 'snooze'
	            ELSE 'complete' END
	  FROM farm.below('plan ' || c.job_id || c.nth, 1000) draw
$$;

-- Takes a job from where it is through so many of its stages, and says where it got to.
CREATE FUNCTION farm.advance(c farm.claims, p_many integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_stages CONSTANT text[] := CASE c.system
		WHEN 'jobs' THEN '{QUEUED,SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'
		ELSE '{NEW,TRANSCRIBING,ENRICHING,REFINING}' END;
	v_from integer := array_position(v_stages, c.status);
	v_to integer := least(v_from + p_many, cardinality(v_stages));
BEGIN
	PERFORM set_config('farm.by', 'token ' || c.lease_token, true);
	FOR i IN v_from + 1 .. v_to LOOP
		CASE
		WHEN c.system = 'jobs' THEN PERFORM public.advance_job(c.job_id, v_stages[i], NULL, NULL, c.lease_token);
		WHEN i = 2 THEN PERFORM public.update_studio_job_status(c.job_id, 'TRANSCRIBING', c.lease_token);
		WHEN i = 3 THEN PERFORM public.store_transcript(c.job_id, 'by ' || c.lease_token, c.lease_token);
		ELSE PERFORM public.store_enrichment(c.job_id, '{"by": 1}', c.lease_token);
		END CASE;
	END LOOP;
	RETURN v_stages[v_to];
EXCEPTION WHEN SQLSTATE 'PT409' THEN
	RETURN SQLSTATE;
END $$;

-- The job cannot be moved: either the lease is lost, or the job is to be cancelled.  A worker may then do what it likes.
CREATE PROCEDURE farm.give_in(c farm.claims, INOUT p_done text) LANGUAGE plpgsql AS $$
DECLARE
	v_call text := (ARRAY['fail', 'retry', 'snooze', 'fail'])[1 + farm.below('give in ' || c.job_id, 4)];
	v_beat text := farm.try(c, 'heartbeat');
BEGIN
	COMMIT;
	p_done := 'lost';
	IF v_beat = 'PT409' THEN
		RETURN;
	END IF;
	IF v_beat <> 'true' THEN
		INSERT INTO farm.wrong VALUES ('refused, though the lease is good and nobody cancelled', c.job_id, c.worker);
	END IF;
	IF farm.try(c, v_call) <> 'PT409' THEN
		INSERT INTO farm.happened VALUES ('gave in');
		p_done := v_call;
	END IF;
END $$;

-- Each transaction of a worker begins with the lock of its job, or is a heartbeat alone: a heartbeat locks the row of the
-- lease, which comes after the job.  What was done is said when it is committed.
CREATE PROCEDURE farm.work_on(c farm.claims, p_plan text, INOUT p_done text) LANGUAGE plpgsql AS $$
DECLARE
	v_draw integer := farm.below('work ' || c.job_id || c.nth, 8);
	v_beat text := CASE WHEN v_draw < 4 OR c.nth > 1 THEN farm.try(c, 'heartbeat') ELSE 'false' END;
BEGIN
	COMMIT;
	p_done := p_plan;
	c.status := farm.advance(c, CASE p_plan WHEN 'complete' THEN 1 + v_draw ELSE v_draw END);
	COMMIT;
	IF c.status <> 'PT409' AND p_plan = 'complete' AND c.status NOT IN ('PACKAGING', 'REFINING') THEN
		c.status := farm.advance(c, 9);
	END IF;
	IF c.status = 'PT409' THEN
		COMMIT;
		CALL farm.give_in(c, p_done);
	ELSIF farm.try(c, p_plan) = 'PT409' THEN
		p_done := 'lost';
	ELSIF p_plan = 'complete' AND v_beat = 'true' THEN
		INSERT INTO farm.happened VALUES ('completed, though it was to be cancelled');
	END IF;
	COMMIT;
	IF p_done <> 'lost' THEN
		RAISE INFO '% % %', c.job_id, c.lease_token, p_done;
	END IF;
	IF p_done = 'lost' OR farm.below('back ' || c.job_id || c.nth, 50) = 0 THEN
		PERFORM farm.come_back(c);
		COMMIT;
	END IF;
END $$;

-- A worker until there is nothing left to do.
CREATE PROCEDURE farm.work(p_worker text) LANGUAGE plpgsql AS $$
DECLARE
	v_batch farm.claims[];
	v_plan text;
	v_done text;
BEGIN
	FOR v_turn IN 1 .. 1000000 LOOP
		v_batch := ARRAY(SELECT c FROM farm.claim(p_worker, v_turn) c);
		COMMIT;
		v_plan := '';
		FOR i IN 1 .. cardinality(v_batch) LOOP
			IF v_plan NOT IN ('silence', 'release') THEN
				v_plan := farm.plan(v_batch[i]);
				IF v_plan = 'silence' THEN
					PERFORM pg_sleep(1.05);
				ELSIF v_plan = 'release' THEN
					PERFORM set_config('farm.by', 'worker ' || p_worker, true);
					PERFORM public.release_leases(p_worker);
					PERFORM set_config('farm.by', '', true);
				END IF;
			END IF;
			COMMIT;
			IF v_plan = 'silence' OR v_plan = 'release' AND farm.outcome(v_batch[i]) = 'released' THEN
				PERFORM farm.come_back(v_batch[i]);
				INSERT INTO farm.happened VALUES (v_plan);
			ELSIF v_plan <> 'release' THEN
				CALL farm.work_on(v_batch[i], v_plan, v_done);
			END IF;
			COMMIT;
		END LOOP;
		IF v_plan = '' THEN
			EXIT WHEN farm.is_done();
			PERFORM pg_sleep(0.02);
		END IF;
	END LOOP;
END $$;

CREATE PROCEDURE farm.reap(p_name text) LANGUAGE plpgsql AS $$
BEGIN
	FOR v_turn IN 1 .. 1000000 LOOP
		EXIT WHEN v_turn % 10 = 0 AND farm.is_done();
		PERFORM set_config('farm.by', p_name, true), public.reap_expired_leases(100);
		COMMIT;
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;

-- A job that somebody works on, or any.
CREATE FUNCTION farm.some_job(p_leased boolean) RETURNS farm.jobs LANGUAGE sql SECURITY DEFINER AS $$
	SELECT j FROM farm.jobs j
	 WHERE j.job_id = CASE WHEN p_leased THEN (SELECT a.job_id FROM studio_engine.attempts a WHERE a.ended_at IS NULL LIMIT 1)
	                       ELSE farm.id(3, 1 + (random() * ((SELECT max(number) FROM farm.jobs) - 1))::integer) END
$$;

CREATE PROCEDURE farm.cancel(p_name text) LANGUAGE plpgsql AS $$
DECLARE
	j farm.jobs;
BEGIN
	PERFORM setseed(farm.below(p_name, 1000) / 1000.0);
	FOR v_turn IN 1 .. 1000000 LOOP
		EXIT WHEN v_turn % 10 = 0 AND farm.is_done();
		PERFORM set_config('farm.by', p_name, true);
		j := farm.some_job(random() < 0.5);
		BEGIN
			IF j.system = 'jobs' THEN
				PERFORM public.cancel_job(j.job_id, 'by the canceller');
			ELSIF j.system = 'studio_jobs' THEN
				PERFORM public.cancel_studio_job(j.job_id, 'by the canceller');
			END IF;
		EXCEPTION WHEN check_violation THEN
			NULL; -- it is complete
		END;
		COMMIT;
		PERFORM pg_sleep(0.03);
	END LOOP;
END $$;

GRANT USAGE ON SCHEMA farm TO service_role;
GRANT ALL ON ALL TABLES IN SCHEMA farm TO service_role;
};

# One query per sentence; each returns what is wrong.
my @audits = (
	[ 'each job ended once, and stayed as it ended', q{
		SELECT j.job_id, string_agg(e.status, ' '), max(s.status) FROM farm.jobs j
		  LEFT JOIN farm.ends e USING (system, job_id)
		  LEFT JOIN (SELECT 'jobs' AS system, id AS job_id, status::text AS status FROM public.jobs
		             UNION ALL SELECT 'studio_jobs', job_id, status FROM public.studio_jobs) s USING (system, job_id)
		 GROUP BY j.job_id HAVING count(e.status) <> 1 OR max(e.status) IS DISTINCT FROM max(s.status)} ],
	[ 'nobody but who had the lease, or nobody while there was one, changed a status', 'SELECT * FROM farm.wrong' ],
	[ 'the queue is empty, and no lease goes on', q{
		SELECT job_id FROM studio_engine.queue UNION ALL SELECT job_id FROM studio_engine.attempts WHERE ended_at IS NULL} ],
	[ 'leases of one job do not overlap', q{
		SELECT * FROM (
			SELECT job_id, worker, started_at, ended_at, outcome, lag(ended_at) OVER w AS previous_end, lag(outcome) OVER w AS previous_outcome,
			       lag(worker) OVER w AS previous_worker
			  FROM studio_engine.attempts WINDOW w AS (PARTITION BY job_id ORDER BY started_at)) a
		 WHERE started_at < previous_end OR ended_at < started_at} ],
	[ 'every claim has its attempt, every attempt its claim', q{
		SELECT c, a FROM farm.claims c FULL JOIN studio_engine.attempts a USING (job_id, lease_token)
		 WHERE (c.system, c.attempt, c.worker) IS DISTINCT FROM (a.system::text, a.attempt, a.worker)} ],
	[ 'attempts are numbered without a gap; those that were snoozed or released do not count', q{
		SELECT * FROM (
			SELECT job_id, attempt, outcome, 1 + count(*) FILTER (WHERE outcome NOT IN ('snoozed', 'released'))
			       OVER (PARTITION BY job_id ORDER BY started_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS expected
			  FROM studio_engine.attempts) a
		 WHERE attempt <> expected} ],
	[ 'nothing is tried too often, and nothing given up too soon', q{
		SELECT e.job_id, s.code, count(a.*) FROM farm.ends e
		  JOIN (SELECT id AS job_id, error_code AS code FROM public.jobs
		        UNION ALL SELECT job_id, error_details ->> 'code' FROM public.studio_jobs) s USING (job_id)
		  LEFT JOIN studio_engine.attempts a ON a.job_id = e.job_id AND a.outcome NOT IN ('snoozed', 'released')
		 GROUP BY e.job_id, s.code
		HAVING count(a.*) > 4 OR s.code IN ('AGAIN', 'LEASE_EXPIRED') AND count(a.*) <> 4} ],
	[ 'the attempts tell how the job ended', q{
		SELECT e.job_id, e.status, s.code, a.outcomes FROM farm.ends e
		  JOIN (SELECT id AS job_id, CASE WHEN status = 'FAILED' THEN error_code END AS code FROM public.jobs
		        UNION ALL SELECT job_id, CASE WHEN status = 'FAILED' THEN error_details ->> 'code' END FROM public.studio_jobs) s USING (job_id)
		 CROSS JOIN LATERAL (SELECT coalesce(string_agg(outcome, ' ' ORDER BY started_at), '') AS outcomes
		                       FROM studio_engine.attempts a WHERE a.job_id = e.job_id) a
		 WHERE a.outcomes !~ ('^((retried|expired|snoozed|released) ?)*' || CASE s.code
				WHEN 'BROKEN' THEN 'failed$'
				WHEN 'AGAIN' THEN 'failed$'
				WHEN 'LEASE_EXPIRED' THEN 'expired$'
				WHEN 'CANCELLED' THEN '(cancelled)?$'
				ELSE CASE WHEN e.status <> 'FAILED' THEN 'completed$' ELSE 'never' END END)} ],
	[ 'every retry is counted', q{
		SELECT j.job_id, j.retry_count, count(a.*) FROM public.studio_jobs j
		  LEFT JOIN studio_engine.attempts a ON a.job_id = j.job_id AND a.outcome IN ('retried', 'expired')
		 GROUP BY j.job_id
		HAVING j.retry_count <> count(a.*) - CASE WHEN j.error_details ->> 'code' = 'LEASE_EXPIRED' THEN 1 ELSE 0 END} ],
	[ 'what is in a job was written by the worker that completed it', q{
		SELECT j.job_id, j.refined_text, j.status, a.lease_token FROM (
			SELECT job_id, refined_text, status = 'COMPLETE' AS status, processing_time_ms IS NOT NULL AS stamped FROM public.studio_jobs
			UNION ALL SELECT id, output_url, status = 'READY', finished_at IS NOT NULL FROM public.jobs WHERE status <> 'FAILED') j
		  LEFT JOIN studio_engine.attempts a ON a.job_id = j.job_id AND a.outcome = 'completed'
		 WHERE j.refined_text IS DISTINCT FROM 'by ' || a.lease_token OR (j.refined_text IS NOT NULL) <> j.status OR stamped <> j.status} ],
	[ 'what a worker was told is so', q{
		SELECT s.*, a.outcome FROM farm.said s LEFT JOIN studio_engine.attempts a USING (job_id, lease_token)
		 WHERE CASE s.what WHEN 'complete' THEN a.outcome = 'completed'
		                   WHEN 'snooze' THEN a.outcome IN ('snoozed', 'cancelled')
		                   WHEN 'fail' THEN a.outcome IN ('failed', 'cancelled')
		                   WHEN 'retry' THEN a.outcome IN ('retried', 'failed', 'cancelled') END IS NOT TRUE} ],
	[ 'a job costs its price when it is ready, and else nothing', q{
		SELECT j.id, j.status, j.cost_credits_reserved, j.cost_credits_final, l.charged, l.held FROM public.jobs j
		 CROSS JOIN LATERAL (SELECT coalesce(-sum(amount) FILTER (WHERE type = 'usage'), 0) AS charged,
		                            coalesce(-sum(amount) FILTER (WHERE type = 'reserve'), 0) AS held
		                       FROM public.credit_ledger WHERE job_id = j.id) l
		 CROSS JOIN LATERAL (SELECT CASE j.status WHEN 'READY' THEN coalesce(farm.cost(farm.number(j.id)), farm.price(farm.number(j.id)))
		                                          ELSE 0 END AS price) p
		 WHERE (j.cost_credits_reserved, j.cost_credits_final, l.charged, l.held)
		       IS DISTINCT FROM (farm.price(farm.number(j.id)), p.price, p.price, 0)} ],
	[ 'no credit is lost', q{
		SELECT sum(a.balance), sum(a.reserved) FROM public.credit_accounts a
		HAVING sum(a.balance) + (SELECT sum(j.cost_credits_final) FROM public.jobs j) <> 40 * (10 + (SELECT count(*) FROM farm.jobs))
		    OR sum(a.reserved) <> 0 OR bool_or(a.reserved <> 0)} ],
	[ 'verify_credit_ledger() finds nothing', 'SELECT * FROM public.verify_credit_ledger()' ],
);

# Ways to ruin the result, each of which must be seen: the number of the audit
# that sees it, and the damage.
my @ruins = (
	[ 0, q{DELETE FROM farm.ends WHERE ctid = (SELECT ctid FROM farm.ends LIMIT 1)} ],
	[ 0, q{INSERT INTO farm.ends SELECT * FROM farm.ends LIMIT 1} ],
	[ 1, q{SET LOCAL studio_engine.maintenance = off;
		INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url) VALUES (farm.id(9, 1), farm.id(1, 1), 'a');
		SELECT FROM public.claim_jobs('studio_jobs', 'w');
		UPDATE public.studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = farm.id(9, 1)} ],
	[ 2, q{INSERT INTO studio_engine.queue (system, job_id, user_id, stage) VALUES ('jobs', farm.id(9, 9), farm.id(1, 1), 'QUEUED')} ],
	[ 3, q{UPDATE studio_engine.attempts SET ended_at = started_at + INTERVAL '1 hour' WHERE outcome = 'retried'} ],
	[ 4, q{DELETE FROM studio_engine.attempts WHERE ctid = (SELECT ctid FROM studio_engine.attempts WHERE outcome = 'snoozed' LIMIT 1)} ],
	[ 4, q{DELETE FROM farm.claims WHERE ctid = (SELECT ctid FROM farm.claims LIMIT 1)} ],
	[ 5, q{UPDATE studio_engine.attempts SET outcome = 'snoozed' WHERE outcome = 'retried' AND attempt = 1} ],
	[ 6, q{DELETE FROM studio_engine.attempts WHERE attempt = 4} ],
	[ 7, q{UPDATE studio_engine.attempts SET outcome = 'failed' WHERE outcome = 'completed'} ],
	[ 8, q{UPDATE public.studio_jobs SET retry_count = retry_count + 1 WHERE job_id = farm.id(3, 1)} ],
	[ 9, q{UPDATE public.studio_jobs SET refined_text = 'by nobody' WHERE status = 'COMPLETE'} ],
	[ 10, q{UPDATE studio_engine.attempts SET outcome = 'expired' WHERE lease_token = (SELECT lease_token FROM farm.said LIMIT 1)} ],
	[ 11, q{UPDATE public.jobs SET cost_credits_final = cost_credits_final + 1 WHERE id = farm.id(3, 2)} ],
	[ 12, q{UPDATE public.credit_accounts SET reserved = 1 WHERE user_id = farm.id(1, 1)} ],
	[ 13, q{UPDATE public.credit_accounts SET balance = balance - 1 WHERE user_id = farm.id(1, 1)} ],
);

# Jobs that are claimed and not worked on.  %1$d jobs made by 20 transactions; numbers are ages.
my $claims = q{
CREATE SCHEMA claims;
CREATE FUNCTION claims.id(p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT ('00000003-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;
CREATE TABLE claims.got (no bigserial PRIMARY KEY, claimer text NOT NULL, job_id uuid NOT NULL, at timestamptz NOT NULL);

-- Claims in so many turns, or all there is.  Who is alone makes a job that cannot wait after 250 turns, and for ten turns
-- leaves time to look for it: a claim over many dead rows looks from the start only now and then.
CREATE PROCEDURE claims.run(p_claimer text, p_turns integer) LANGUAGE plpgsql AS $$
DECLARE
	v_rows integer;
BEGIN
	FOR v_turn IN 1 .. coalesce(p_turns, 1000000) LOOP
		INSERT INTO claims.got (claimer, job_id, at)
			SELECT p_claimer, c.job_id, clock_timestamp() FROM public.claim_jobs('studio_jobs', p_claimer, 20, '1 day') c;
		GET DIAGNOSTICS v_rows = ROW_COUNT;
		COMMIT;
		EXIT WHEN v_rows = 0;
		IF p_claimer = 'alone' AND v_turn = 250 THEN
			INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, priority) VALUES (claims.id(0), claims.id(0), 'a', 2147483647);
			COMMIT;
		END IF;
		IF v_turn BETWEEN 250 AND 259 AND NOT EXISTS (SELECT FROM claims.got WHERE job_id = claims.id(0)) THEN
			PERFORM pg_sleep(0.5);
		END IF;
	END LOOP;
END $$;

INSERT INTO auth.users (id) VALUES (claims.id(0));
DO $$
BEGIN
	FOR i IN 0 .. 19 LOOP
		INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, priority)
			SELECT claims.id(n), claims.id(0), 'a', n %% 3 - 1 FROM generate_series(1 + i * %1$d / 20, (i + 1) * %1$d / 20) n ORDER BY n;
		COMMIT;
	END LOOP;
END $$;
GRANT USAGE ON SCHEMA claims TO service_role;
GRANT ALL ON ALL TABLES IN SCHEMA claims TO service_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA claims TO service_role;
};

my @claims_audits = (
	[ 'each job was claimed once', q{
		SELECT job_id, count(g.no) FROM public.studio_jobs LEFT JOIN claims.got g USING (job_id) GROUP BY 1 HAVING count(g.no) <> 1} ],
	[ 'each claimer got its jobs by priority, then age', q{
		SELECT * FROM (
			SELECT g.claimer, g.job_id, ROW(-j.priority, j.job_id) AS place, lag(ROW(-j.priority, j.job_id)) OVER (PARTITION BY g.claimer ORDER BY g.no) AS previous
			  FROM claims.got g JOIN public.studio_jobs j USING (job_id) WHERE j.job_id <> claims.id(0)) o
		 WHERE place < previous} ],
	[ 'who was alone got what came first', q{
		SELECT g.no, g.job_id FROM (SELECT *, row_number() OVER (ORDER BY no) AS place FROM claims.got
		       WHERE claimer = 'alone' AND job_id <> claims.id(0)) g
		  JOIN (SELECT job_id, row_number() OVER (ORDER BY priority DESC, job_id) AS place
		          FROM public.studio_jobs WHERE job_id <> claims.id(0)) j USING (job_id)
		 WHERE g.place <> j.place} ],
	[ 'a job that could not wait did not wait for the others', q{
		SELECT no FROM claims.got WHERE job_id = claims.id(0) AND no NOT BETWEEN 5001 AND 5200} ],
);

my @claims_ruins = (
	[ 0, q{DELETE FROM claims.got WHERE no = 7} ],
	[ 1, q{UPDATE claims.got SET no = -no WHERE claimer = 'claimer 1'} ],
	[ 2, q{UPDATE claims.got SET no = -no WHERE no = 8} ],
	[ 3, q{UPDATE claims.got SET no = 100000 WHERE job_id = claims.id(0)} ],
);

# The SQL that makes the jobs, the workers and their records.
sub farm_sql
{
	my ($seed, $many) = @_;

	return sprintf($jobs, $seed, $many) . $records . $workers;
}

sub claims_sql
{
	my ($many) = @_;

	return sprintf $claims, $many;
}

sub claims_audits { return @claims_audits }

sub claims_ruins { return @claims_ruins }

sub farm_audits { return @audits }

sub farm_ruins { return @ruins }

1;
