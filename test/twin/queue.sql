/*
 * queue.sql
 *
 * Studio jobs and the worker engine once more in PL/pgSQL, in a schema of its
 * own: the oracle of the tests and the baseline of the measurements.  Load it
 * into a throwaway database that has the extension.
 *
 * Names, arguments, answers, SQLSTATEs, rows written, constraints and indexes
 * are those of the extension, for p_system studio_jobs.  Left out are the checks
 * of the caller, the limits of users and stages, pauses, NOTIFY and dumps being
 * loaded; so the twin has a little less to do.
 *
 * The queue has the jobs that wait; a claim takes the row out and makes the
 * attempt, which is open until an outcome is written into it.
 *
 * It is written to be fast: what a single claim, a completion and a heartbeat
 * run are static statements whose plans do not depend on their arguments, the
 * waiting list is a partial index, triggers have WHEN clauses, the settings are
 * one row.
 *
 * The pitfall: LIMIT p_limit has no plan that is good for every p_limit, since
 * the planner takes it for a tenth of the table.  So a claim of one job has a
 * branch of its own, with LIMIT 1 in words.
 *
 * Lock order: job, then its row in the queue, then its open attempt.
 */
CREATE SCHEMA IF NOT EXISTS twin;

CREATE TABLE twin.queue_settings (
	lease_seconds integer NOT NULL DEFAULT 60,
	max_attempts integer NOT NULL DEFAULT 3,
	retry_base_seconds integer NOT NULL DEFAULT 5,
	retry_cap_seconds integer NOT NULL DEFAULT 3600,
	fair_queue boolean NOT NULL DEFAULT false,
	cancel_grace_seconds integer NOT NULL DEFAULT 60,
	default_system_prompt text NOT NULL
);
INSERT INTO twin.queue_settings (default_system_prompt)
SELECT value FROM studio_engine.settings WHERE name = 'default_system_prompt';

CREATE TABLE twin.studio_jobs (
	job_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	created_at timestamptz NOT NULL DEFAULT now(),
	status text NOT NULL DEFAULT 'NEW' CHECK (status IN (
		'NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING', 'COMPLETE', 'FAILED'
	)),
	user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
	raw_audio_url text NOT NULL,
	raw_transcript text,
	refined_text text,
	system_prompt_used text NOT NULL,
	processing_time_ms integer,
	error_details jsonb,
	enrichment_entities jsonb,
	model_version text,
	retry_count integer NOT NULL DEFAULT 0,
	priority integer NOT NULL DEFAULT 0,
	cost_credits_reserved integer NOT NULL DEFAULT 0,
	run_at timestamptz,
	idempotency_key text,
	max_attempts integer,
	cancel_requested_at timestamptz
);
CREATE INDEX studio_jobs_user_id ON twin.studio_jobs (user_id);
CREATE INDEX studio_jobs_status ON twin.studio_jobs (status);
CREATE INDEX studio_jobs_created_at ON twin.studio_jobs (created_at DESC);
CREATE INDEX studio_jobs_user_active ON twin.studio_jobs (user_id) WHERE status NOT IN ('COMPLETE', 'FAILED');

-- Jobs that wait, or will.
CREATE TABLE twin.queue (
	due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	turn bigint NOT NULL DEFAULT 0,
	system studio_engine.job_system NOT NULL,
	state studio_engine.queue_state NOT NULL DEFAULT 'waiting',
	rank integer NOT NULL DEFAULT -1,
	attempt integer NOT NULL DEFAULT 0,
	first_attempt integer NOT NULL DEFAULT 1,
	job_id uuid NOT NULL,
	user_id uuid,
	stage text NOT NULL,
	limited boolean NOT NULL DEFAULT false,
	PRIMARY KEY (job_id, system)
) WITH (fillfactor = 90, vacuum_index_cleanup = on);
CREATE INDEX queue_waiting ON twin.queue (system, rank, turn, due_at, job_id) WHERE state = 'waiting';
CREATE INDEX queue_stage ON twin.queue (system, stage, rank, turn, due_at, job_id) WHERE state = 'waiting';
CREATE INDEX queue_turn ON twin.queue (user_id, system, rank, turn) WHERE state = 'waiting' AND turn > 0;
CREATE INDEX queue_delayed ON twin.queue (system, due_at) WHERE state = 'delayed';
CREATE INDEX queue_delayed_rank ON twin.queue (system, rank, due_at) WHERE state = 'delayed';
CREATE INDEX queue_limited ON twin.queue (user_id, system, state, rank, turn, due_at) WHERE limited;

-- Leases, from the claim on; open without an outcome.
CREATE TABLE twin.attempts (
	started_at timestamptz NOT NULL,
	due_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	since timestamptz NOT NULL,
	system studio_engine.job_system NOT NULL,
	attempt integer NOT NULL,
	first_attempt integer NOT NULL,
	lease_ms integer NOT NULL,
	job_id uuid NOT NULL,
	lease_token uuid NOT NULL,
	user_id uuid,
	stage text NOT NULL,
	worker text NOT NULL,
	ended_at timestamptz,
	outcome text,
	error jsonb,
	turn bigint,
	counted boolean NOT NULL DEFAULT false,
	shown_at timestamptz,
	cancel_requested_at timestamptz,
	cancel_reason text,
	process_id text,
	PRIMARY KEY (job_id, lease_token),
	CHECK (CASE WHEN ended_at IS NULL THEN outcome IS NULL
	            ELSE outcome IN ('completed', 'handed_over', 'failed', 'retried', 'expired', 'cancelled', 'snoozed', 'released') END)
) WITH (fillfactor = 70);
CREATE INDEX attempts_due ON twin.attempts (due_at) WHERE ended_at IS NULL;
CREATE INDEX attempts_counted ON twin.attempts (system, stage, user_id) WHERE ended_at IS NULL AND counted;

--------------------------------------------------------------------------------
-- Refusals and checks of arguments
--------------------------------------------------------------------------------

CREATE FUNCTION twin.refuse_queue(p_sqlstate text, p_message text) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = p_sqlstate, MESSAGE = p_message;
END
$$;

CREATE FUNCTION twin.refuse_lease(p_job_id uuid) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'PT409', MESSAGE = 'lease was lost or has expired', DETAIL = format('Job %s.', p_job_id);
END
$$;

-- When a lease that is asked for, or that the setting gives, ends.
CREATE FUNCTION twin.lease_end(p_lease interval, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF p_lease IS NULL THEN
		RETURN p_now + (SELECT greatest(s.lease_seconds, 1) FROM twin.queue_settings s) * INTERVAL '1 second';
	END IF;
	IF p_now + p_lease NOT BETWEEN p_now + INTERVAL '1 second' AND p_now + INTERVAL '86400 seconds' THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	RETURN p_now + p_lease;
END
$$;

--------------------------------------------------------------------------------
-- What binds every write of a job, whoever makes it
--------------------------------------------------------------------------------

CREATE FUNCTION twin.default_studio_job() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	NEW.system_prompt_used := (SELECT s.default_system_prompt FROM twin.queue_settings s);
	RETURN NEW;
END
$$;

-- Transitions, and what they write into the row.
CREATE FUNCTION twin.enforce_studio_workflow() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF NOT (CASE OLD.status
		WHEN 'NEW' THEN NEW.status IN ('TRANSCRIBING', 'FAILED')
		WHEN 'TRANSCRIBING' THEN NEW.status IN ('ENRICHING', 'FAILED')
		WHEN 'ENRICHING' THEN NEW.status IN ('REFINING', 'COMPLETE', 'FAILED')
		WHEN 'REFINING' THEN NEW.status IN ('COMPLETE', 'FAILED')
		WHEN 'FAILED' THEN NEW.status = 'NEW' AND current_setting('twin.retrying', true) IS NOT DISTINCT FROM NEW.job_id::text
		ELSE false END)
	THEN
		RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'illegal status transition',
			DETAIL = format('From %s to %s.', OLD.status, NEW.status);
	END IF;
	IF NEW.status = 'COMPLETE' THEN
		NEW.processing_time_ms := least(greatest(
			trunc(extract(epoch FROM clock_timestamp() - NEW.created_at) * 1000), 0), 2147483647);
	ELSIF OLD.status = 'FAILED' THEN
		NEW.error_details := NULL;
		NEW.processing_time_ms := NULL;
	END IF;
	RETURN NEW;
END
$$;

-- The round in which a job is claimed, where users take turns.
CREATE FUNCTION twin.next_turn(p_priority integer, p_user_id uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF NOT (SELECT s.fair_queue FROM twin.queue_settings s) THEN
		RETURN 0;
	END IF;
	RETURN 1 + greatest(0,
		(SELECT min(q.turn) FROM twin.queue q
		  WHERE q.system = 'studio_jobs' AND q.state = 'waiting' AND q.rank = ~p_priority),
		(SELECT max(q.turn) FROM twin.queue q
		  WHERE q.user_id = p_user_id AND q.system = 'studio_jobs' AND q.state = 'waiting'
		    AND q.rank = ~p_priority AND q.turn > 0));
END
$$;

-- A job has work to do.  One that is tried again queues up at the end.
CREATE FUNCTION twin.enter_queue(p_job twin.studio_jobs, p_again boolean) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_later boolean := coalesce(p_job.run_at > v_now, false);
	v_last integer;
BEGIN
	v_last := (SELECT coalesce(max(a.attempt), 0) FROM twin.attempts a
	            WHERE a.job_id = p_job.job_id AND a.outcome NOT IN ('snoozed', 'released'));
	INSERT INTO twin.queue (system, state, rank, turn, due_at, job_id, user_id, stage, attempt, first_attempt)
	VALUES ('studio_jobs', CASE WHEN v_later THEN 'delayed' ELSE 'waiting' END::studio_engine.queue_state,
	        ~p_job.priority, twin.next_turn(p_job.priority, p_job.user_id),
	        CASE WHEN v_later THEN p_job.run_at
	             WHEN p_again THEN v_now
	             ELSE least(v_now, p_job.created_at + (v_now - now())) END,
	        p_job.job_id, p_job.user_id, p_job.status, v_last, v_last + 1)
	ON CONFLICT (job_id, system) DO NOTHING;
END
$$;

-- AFTER INSERT, DELETE and those UPDATEs that the queue cares about.
CREATE FUNCTION twin.maintain_queue() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_was_open boolean;
	v_is_open boolean;
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.status NOT IN ('COMPLETE', 'FAILED') THEN
			PERFORM twin.enter_queue(NEW, false);
		END IF;
		RETURN NULL;
	END IF;
	IF TG_OP = 'DELETE' OR OLD.job_id IS DISTINCT FROM NEW.job_id THEN
		DELETE FROM twin.queue WHERE job_id = OLD.job_id AND system = 'studio_jobs';
		DELETE FROM twin.attempts WHERE job_id = OLD.job_id AND system = 'studio_jobs';
		IF TG_OP = 'UPDATE' AND NEW.status NOT IN ('COMPLETE', 'FAILED') THEN
			PERFORM twin.enter_queue(NEW, false);
		END IF;
		RETURN NULL;
	END IF;

	v_was_open := OLD.status NOT IN ('COMPLETE', 'FAILED');
	v_is_open := NEW.status NOT IN ('COMPLETE', 'FAILED');
	IF v_was_open AND v_is_open THEN
		UPDATE twin.queue SET rank = ~NEW.priority, user_id = NEW.user_id, stage = NEW.status
		 WHERE job_id = NEW.job_id AND system = 'studio_jobs';
		IF OLD.user_id IS DISTINCT FROM NEW.user_id THEN
			UPDATE twin.attempts SET user_id = NEW.user_id WHERE job_id = NEW.job_id;
		END IF;
	ELSIF v_was_open THEN
		UPDATE twin.attempts a
		   SET ended_at = clock_timestamp(),
		       outcome = CASE WHEN NEW.status = 'COMPLETE' THEN 'completed'
		                      WHEN NEW.error_details ->> 'code' = 'CANCELLED' THEN 'cancelled'
		                      ELSE 'failed' END,
		       error = CASE WHEN NEW.status = 'FAILED' THEN NEW.error_details END
		 WHERE a.job_id = NEW.job_id AND a.ended_at IS NULL;
		IF NOT FOUND THEN
			DELETE FROM twin.queue WHERE job_id = NEW.job_id AND system = 'studio_jobs';
		END IF;
	ELSIF v_is_open THEN
		PERFORM twin.enter_queue(NEW, true);
	END IF;
	RETURN NULL;
END
$$;

CREATE TRIGGER tr_defaults BEFORE INSERT ON twin.studio_jobs
	FOR EACH ROW WHEN (NEW.system_prompt_used IS NULL) EXECUTE FUNCTION twin.default_studio_job();
CREATE TRIGGER tr_workflow BEFORE UPDATE ON twin.studio_jobs
	FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION twin.enforce_studio_workflow();
CREATE TRIGGER tr_queue AFTER INSERT OR DELETE ON twin.studio_jobs
	FOR EACH ROW EXECUTE FUNCTION twin.maintain_queue();
CREATE TRIGGER tr_queue_update AFTER UPDATE ON twin.studio_jobs
	FOR EACH ROW WHEN ((OLD.job_id, OLD.status, OLD.priority, OLD.user_id) IS DISTINCT FROM
	                   (NEW.job_id, NEW.status, NEW.priority, NEW.user_id))
	EXECUTE FUNCTION twin.maintain_queue();

--------------------------------------------------------------------------------
-- Leases
--------------------------------------------------------------------------------

-- The lease with which a worker came; it is locked.  state: none (nobody has
-- one), held, or ended, by itself before, with outcome.
CREATE TYPE twin.lease AS (
	state text,
	outcome text,
	tries integer,
	cancelled boolean,
	reason text
);

-- Call it with the job locked.
CREATE FUNCTION twin.check_lease(p_job_id uuid, p_token uuid) RETURNS twin.lease
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_row record;
	v_lease twin.lease;
BEGIN
	v_lease.state := 'none';
	IF p_token IS NULL THEN
		PERFORM FROM twin.queue q WHERE q.job_id = p_job_id AND q.system = 'studio_jobs' FOR UPDATE;
		IF NOT FOUND AND EXISTS (SELECT FROM twin.attempts a
		                          WHERE a.job_id = p_job_id AND a.ended_at IS NULL AND a.expires_at > clock_timestamp()) THEN
			PERFORM twin.refuse_queue('PT409', 'a worker has this job');
		END IF;
		RETURN v_lease;
	END IF;
	SELECT a.outcome, a.expires_at > clock_timestamp() AS alive, a.attempt - a.first_attempt + 1 AS tries,
	       a.cancel_requested_at IS NOT NULL AS cancelled, a.cancel_reason
	  INTO v_row
	  FROM twin.attempts a WHERE a.job_id = p_job_id AND a.lease_token = p_token FOR UPDATE;
	IF NOT FOUND OR v_row.outcome = 'expired' OR v_row.outcome IS NULL AND NOT v_row.alive THEN
		PERFORM twin.refuse_lease(p_job_id);
	ELSIF v_row.outcome IS NULL THEN
		RETURN ROW('held', NULL, v_row.tries, v_row.cancelled, v_row.cancel_reason)::twin.lease;
	END IF;
	v_lease.state := 'ended';
	v_lease.outcome := v_row.outcome;
	RETURN v_lease;
END
$$;

CREATE FUNCTION twin.require_work(p_job_id uuid, p_lease twin.lease) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF p_lease.state = 'ended' THEN
		PERFORM twin.refuse_lease(p_job_id);
	ELSIF p_lease.state = 'held' AND p_lease.cancelled THEN
		PERFORM twin.refuse_queue('PT409', 'job is to be cancelled');
	END IF;
END
$$;

CREATE FUNCTION twin.lock_job_of_worker(p_job_id uuid) RETURNS text
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_status text;
BEGIN
	IF p_job_id IS NULL THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	SELECT j.status INTO v_status FROM twin.studio_jobs j WHERE j.job_id = p_job_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM twin.refuse_queue('PT404', 'not found');
	END IF;
	RETURN v_status;
END
$$;

-- A lease ends while the job goes on.  p_due_at NULL: back to where it was.
CREATE FUNCTION twin.end_lease(p_job_id uuid, p_outcome text, p_due_at timestamptz, p_error jsonb DEFAULT NULL) RETURNS void
LANGUAGE sql SET search_path = '' AS $$
	WITH ended AS (
		UPDATE twin.attempts a SET ended_at = clock_timestamp(), outcome = p_outcome, error = p_error
		 WHERE a.job_id = p_job_id AND a.ended_at IS NULL
		RETURNING a.turn, a.since, a.attempt, a.first_attempt
	)
	INSERT INTO twin.queue (system, state, rank, turn, due_at, job_id, user_id, stage, attempt, first_attempt)
	SELECT 'studio_jobs', CASE WHEN p_due_at IS NULL THEN 'waiting' ELSE 'delayed' END::studio_engine.queue_state,
	       ~j.priority, CASE WHEN e.turn > 0 AND (SELECT s.fair_queue FROM twin.queue_settings s) THEN e.turn ELSE twin.next_turn(j.priority, j.user_id) END, coalesce(p_due_at, e.since), j.job_id, j.user_id, j.status,
	       e.attempt - CASE WHEN p_outcome IN ('retried', 'expired') THEN 0 ELSE 1 END, e.first_attempt
	  FROM ended e, twin.studio_jobs j WHERE j.job_id = p_job_id;
$$;

-- A stage is done: the job waits for another worker, with a new count of attempts.
CREATE FUNCTION twin.hand_over(p_job_id uuid) RETURNS void
LANGUAGE sql SET search_path = '' AS $$
	WITH ended AS (
		UPDATE twin.attempts a SET ended_at = clock_timestamp(), outcome = 'handed_over'
		 WHERE a.job_id = p_job_id AND a.ended_at IS NULL
		RETURNING a.since
	)
	INSERT INTO twin.queue (system, rank, turn, due_at, job_id, user_id, stage)
	SELECT 'studio_jobs', ~j.priority, twin.next_turn(j.priority, j.user_id), e.since, j.job_id, j.user_id, j.status
	  FROM ended e, twin.studio_jobs j WHERE j.job_id = p_job_id;
$$;

CREATE FUNCTION twin.write_failure(p_job_id uuid, p_error jsonb) RETURNS void
LANGUAGE sql SET search_path = '' AS $$
	UPDATE twin.studio_jobs SET status = 'FAILED', error_details = coalesce(p_error, error_details) WHERE job_id = p_job_id;
$$;

CREATE FUNCTION twin.cancelled(p_reason text) RETURNS jsonb
LANGUAGE sql SET search_path = '' AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('code', 'CANCELLED', 'message', p_reason));
$$;

-- Try again later, if there are tries left; p_retry_at NULL: after a delay.
CREATE FUNCTION twin.try_again(p_job_id uuid, p_tries integer, p_outcome text, p_error jsonb, p_retry_at timestamptz DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_settings twin.queue_settings;
	v_limit integer;
BEGIN
	SELECT * INTO v_settings FROM twin.queue_settings s;
	v_limit := coalesce((SELECT nullif(j.max_attempts, 0) FROM twin.studio_jobs j WHERE j.job_id = p_job_id), v_settings.max_attempts);
	IF v_limit <> 0 AND p_tries >= v_limit THEN
		RETURN false;
	END IF;
	PERFORM twin.end_lease(p_job_id, p_outcome,
		coalesce(p_retry_at,
			clock_timestamp() + random() * least(v_settings.retry_base_seconds * 2.0::float8 ^ least(p_tries - 1, 62),
			                                     v_settings.retry_cap_seconds) * INTERVAL '1 second'),
		p_error);
	UPDATE twin.studio_jobs SET retry_count = retry_count + 1 WHERE job_id = p_job_id;
	RETURN true;
END
$$;

-- A lease is over whose worker does not answer.
CREATE FUNCTION twin.lose_lease(
	p_job_id uuid, p_tries integer, p_cancelled boolean, p_reason text, p_error jsonb, p_retry_at timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF p_cancelled THEN
		PERFORM twin.write_failure(p_job_id, twin.cancelled(p_reason));
	ELSIF NOT twin.try_again(p_job_id, p_tries, 'expired', p_error, p_retry_at) THEN
		UPDATE twin.attempts SET ended_at = clock_timestamp(), outcome = 'expired', error = p_error
		 WHERE job_id = p_job_id AND ended_at IS NULL;
		PERFORM twin.write_failure(p_job_id, p_error);
	END IF;
END
$$;

CREATE FUNCTION twin.give_back(p_job_id uuid, p_lease twin.lease, p_outcome text, p_due_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF p_lease.cancelled THEN
		PERFORM twin.write_failure(p_job_id, twin.cancelled(p_lease.reason));
	ELSE
		PERFORM twin.end_lease(p_job_id, p_outcome, p_due_at);
	END IF;
END
$$;

--------------------------------------------------------------------------------
-- Functions of workers
--------------------------------------------------------------------------------

-- Looks for leases that are over; also part of a claim that finds too little.
CREATE FUNCTION twin.reap_leases(p_limit integer) RETURNS integer
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_error CONSTANT jsonb := '{"code": "LEASE_EXPIRED", "message": "The worker stopped responding."}';
	v_row record;
	v_count integer := 0;
BEGIN
	FOR v_row IN
		SELECT a.job_id, a.expires_at, a.attempt - a.first_attempt + 1 AS tries,
		       a.cancel_requested_at IS NOT NULL AS cancelled, a.cancel_reason AS reason
		  FROM twin.studio_jobs j JOIN twin.attempts a ON a.job_id = j.job_id
		 WHERE a.ended_at IS NULL AND a.due_at <= v_now ORDER BY a.due_at, a.job_id FOR UPDATE SKIP LOCKED
	LOOP
		EXIT WHEN v_count = p_limit;
		IF v_row.expires_at > clock_timestamp() THEN
			UPDATE twin.attempts SET due_at = expires_at WHERE job_id = v_row.job_id AND ended_at IS NULL;
			CONTINUE;
		END IF;
		PERFORM twin.lose_lease(v_row.job_id, v_row.tries, v_row.cancelled, v_row.reason, v_error);
		v_count := v_count + 1;
	END LOOP;
	RETURN v_count;
END
$$;

CREATE FUNCTION twin.check_stages(p_stages text[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF p_stages = '{}' OR NOT p_stages <@ '{NEW,TRANSCRIBING,ENRICHING,REFINING}' OR array_position(p_stages, NULL) IS NOT NULL
	   OR cardinality(p_stages) <> (SELECT count(DISTINCT s.stage) FROM unnest(p_stages) s (stage)) THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
END
$$;

-- Several at once, or those of some stages.
CREATE FUNCTION twin.claim_many(
	p_worker text, p_limit integer, p_expires_at timestamptz, p_now timestamptz, p_stages text[], p_process_id text)
RETURNS TABLE (job_id uuid, lease_token uuid, attempt integer, lease_expires_at timestamptz, job jsonb)
LANGUAGE sql SET search_path = '' AS $$
	WITH picked AS MATERIALIZED (
		SELECT q.job_id FROM twin.queue q
		 WHERE q.system = 'studio_jobs' AND q.state = 'waiting' AND (p_stages IS NULL OR q.stage = ANY (p_stages))
		 ORDER BY q.rank, q.turn, q.due_at, q.job_id LIMIT p_limit FOR UPDATE SKIP LOCKED
	), taken AS (
		DELETE FROM twin.queue q USING picked p WHERE q.job_id = p.job_id AND q.system = 'studio_jobs' RETURNING q.*
	), leased AS (
		INSERT INTO twin.attempts (started_at, due_at, expires_at, since, system, attempt, first_attempt, lease_ms, job_id,
		       lease_token, user_id, stage, worker, turn, process_id)
		SELECT p_now, p_expires_at, p_expires_at, t.due_at, t.system, t.attempt + 1, t.first_attempt,
		       extract(epoch FROM p_expires_at - p_now) * 1000, t.job_id, gen_random_uuid(), t.user_id, t.stage, p_worker,
		       nullif(t.turn, 0), p_process_id
		  FROM taken t
		RETURNING attempts.job_id, attempts.lease_token, attempts.attempt
	)
	SELECT l.job_id, l.lease_token, l.attempt, p_expires_at, to_jsonb(j)
	  FROM leased l JOIN taken t ON t.job_id = l.job_id JOIN twin.studio_jobs j ON j.job_id = l.job_id
	 ORDER BY t.rank, t.turn, t.due_at, t.job_id;
$$;

CREATE FUNCTION twin.claim_jobs(
	p_system text, p_worker text, p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL, p_stages text[] DEFAULT NULL,
	p_process_id text DEFAULT NULL,
	OUT job_id uuid, OUT lease_token uuid, OUT attempt integer, OUT lease_expires_at timestamptz, OUT job jsonb)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 1 SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
	v_now timestamptz := clock_timestamp();
	v_left integer := p_limit;
	v_found integer;
BEGIN
	IF num_nulls(p_system, p_worker, p_limit) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	IF p_system <> 'studio_jobs' OR length(p_worker) NOT BETWEEN 1 AND 200 OR p_limit NOT BETWEEN 1 AND 1000 THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	IF p_stages IS NOT NULL THEN
		PERFORM twin.check_stages(p_stages);
	END IF;
	lease_expires_at := twin.lease_end(p_lease, v_now);

	FOR v_try IN 1..2 LOOP
		IF EXISTS (SELECT FROM twin.queue q
		            WHERE q.system = 'studio_jobs' AND q.state = 'delayed' AND q.due_at <= v_now) THEN
			UPDATE twin.queue q SET state = 'waiting'
			  FROM (SELECT d.job_id FROM twin.queue d
			         WHERE d.system = 'studio_jobs' AND d.state = 'delayed' AND d.due_at <= v_now
			         ORDER BY d.due_at LIMIT greatest(v_left, 100) FOR UPDATE SKIP LOCKED) d
			 WHERE q.job_id = d.job_id AND q.system = 'studio_jobs';
		END IF;

		IF v_left > 1 OR p_stages IS NOT NULL THEN
			RETURN QUERY SELECT * FROM twin.claim_many(p_worker, v_left, lease_expires_at, v_now, p_stages, p_process_id);
			GET DIAGNOSTICS v_found = ROW_COUNT;
			v_left := v_left - v_found;
		ELSE
			SELECT q.job_id INTO job_id
			  FROM twin.queue q WHERE q.system = 'studio_jobs' AND q.state = 'waiting'
			 ORDER BY q.rank, q.turn, q.due_at, q.job_id LIMIT 1 FOR UPDATE SKIP LOCKED;
			IF FOUND THEN
				WITH taken AS (
					DELETE FROM twin.queue q WHERE q.job_id = claim_jobs.job_id AND q.system = 'studio_jobs' RETURNING q.*
				)
				INSERT INTO twin.attempts (started_at, due_at, expires_at, since, system, attempt, first_attempt, lease_ms, job_id,
				       lease_token, user_id, stage, worker, turn, process_id)
				SELECT v_now, lease_expires_at, lease_expires_at, t.due_at, t.system, t.attempt + 1, t.first_attempt,
				       extract(epoch FROM lease_expires_at - v_now) * 1000, t.job_id, gen_random_uuid(), t.user_id, t.stage, p_worker,
				       nullif(t.turn, 0), p_process_id
				  FROM taken t
				RETURNING attempts.lease_token, attempts.attempt INTO lease_token, attempt;
				SELECT to_jsonb(j) INTO job FROM twin.studio_jobs j WHERE j.job_id = claim_jobs.job_id;
				RETURN NEXT;
				v_left := 0;
			END IF;
		END IF;
		EXIT WHEN v_left = 0 OR v_try = 2 OR twin.reap_leases(100) = 0;
	END LOOP;
END
$$;

CREATE FUNCTION twin.heartbeat_job(
	p_job_id uuid, p_lease_token uuid, p_progress integer DEFAULT NULL, p_status_message text DEFAULT NULL,
	p_lease interval DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_expires_at timestamptz;
	v_cancel boolean;
	v_grace interval := (SELECT nullif(s.cancel_grace_seconds, 0) * INTERVAL '1 second' FROM twin.queue_settings s);
BEGIN
	IF num_nulls(p_job_id, p_lease_token) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	IF p_progress NOT BETWEEN 0 AND 100 OR length(p_status_message) > 1000 THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	IF p_lease IS NOT NULL THEN
		v_expires_at := twin.lease_end(p_lease, clock_timestamp());
	END IF;
	UPDATE twin.attempts a
	   SET expires_at = greatest(a.expires_at, least(coalesce(v_expires_at, clock_timestamp() + a.lease_ms * INTERVAL '1 ms'),
	                                                 a.cancel_requested_at + v_grace))
	 WHERE a.job_id = p_job_id AND a.lease_token = p_lease_token AND a.ended_at IS NULL AND a.expires_at > clock_timestamp()
	RETURNING a.cancel_requested_at IS NOT NULL, a.expires_at INTO v_cancel, v_expires_at;
	IF NOT FOUND THEN
		PERFORM twin.refuse_lease(p_job_id);
	END IF;
	RETURN jsonb_build_object('cancel', v_cancel, 'lease_expires_at', v_expires_at);
END
$$;

CREATE FUNCTION twin.snooze_job(p_job_id uuid, p_lease_token uuid, p_for interval) RETURNS timestamptz
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_lease twin.lease;
BEGIN
	IF num_nulls(p_job_id, p_lease_token, p_for) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	IF v_now + p_for NOT BETWEEN v_now AND v_now + 366 * INTERVAL '86400 seconds' THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	PERFORM FROM twin.studio_jobs j WHERE j.job_id = p_job_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM twin.refuse_lease(p_job_id);
	END IF;
	v_lease := twin.check_lease(p_job_id, p_lease_token);
	IF v_lease.state = 'held' THEN
		PERFORM twin.give_back(p_job_id, v_lease, 'snoozed', v_now + p_for);
	ELSIF v_lease.outcome NOT IN ('snoozed', 'cancelled') THEN
		PERFORM twin.refuse_lease(p_job_id);
	END IF;
	RETURN (SELECT q.due_at FROM twin.queue q
	         WHERE q.job_id = p_job_id AND q.system = 'studio_jobs' AND q.state = 'delayed');
END
$$;

CREATE FUNCTION twin.release_leases(p_worker text, p_process_id text DEFAULT NULL, p_lease_tokens uuid[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_row record;
	v_count integer := 0;
BEGIN
	IF p_worker IS NULL THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	FOR v_row IN
		SELECT a.job_id, a.cancel_requested_at IS NOT NULL AS cancelled, a.cancel_reason AS reason
		  FROM twin.studio_jobs j JOIN twin.attempts a ON a.job_id = j.job_id
		 WHERE a.worker = p_worker AND a.ended_at IS NULL AND a.expires_at > clock_timestamp()
		   AND CASE WHEN p_lease_tokens IS NULL THEN a.process_id IS NOT DISTINCT FROM p_process_id
		            ELSE a.lease_token = ANY (p_lease_tokens) AND (p_process_id IS NULL OR a.process_id = p_process_id) END
		 ORDER BY a.job_id FOR UPDATE SKIP LOCKED
	LOOP
		PERFORM twin.give_back(v_row.job_id, ROW('held', NULL, NULL, v_row.cancelled, v_row.reason)::twin.lease,
		                       'released', NULL);
		v_count := v_count + 1;
	END LOOP;
	RETURN v_count;
END
$$;

CREATE FUNCTION twin.recover_leases(p_worker text, p_process_id text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_error CONSTANT jsonb := '{"code": "WORKER_RESTARTED", "message": "The worker was restarted."}';
	v_row record;
	v_count integer := 0;
BEGIN
	IF p_worker IS NULL THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	FOR v_row IN
		SELECT a.job_id, a.attempt - a.first_attempt + 1 AS tries, a.cancel_requested_at IS NOT NULL AS cancelled, a.cancel_reason AS reason
		  FROM twin.studio_jobs j JOIN twin.attempts a ON a.job_id = j.job_id
		 WHERE a.worker = p_worker AND a.ended_at IS NULL AND (p_process_id IS NULL OR a.process_id IS DISTINCT FROM p_process_id)
		 ORDER BY a.job_id FOR UPDATE SKIP LOCKED
	LOOP
		PERFORM twin.lose_lease(v_row.job_id, v_row.tries, v_row.cancelled, v_row.reason, v_error, clock_timestamp());
		v_count := v_count + 1;
	END LOOP;
	RETURN v_count;
END
$$;

CREATE FUNCTION twin.reap_expired_leases(p_limit integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_count integer;
BEGIN
	IF p_limit IS NULL THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	IF p_limit NOT BETWEEN 1 AND 10000 THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	v_count := twin.reap_leases(p_limit);
	-- those that come first, and those that are late
	UPDATE twin.queue q SET state = 'waiting'
	 WHERE q.system = 'studio_jobs'
	   AND q.job_id IN (SELECT d.job_id
	                      FROM (SELECT n.job_id, row_number() OVER (ORDER BY n.rank, n.due_at) AS by_rank,
	                                   row_number() OVER (ORDER BY n.due_at) AS by_time
	                              FROM twin.queue n
	                             WHERE n.system = 'studio_jobs' AND n.state = 'delayed' AND n.due_at <= clock_timestamp()) d
	                     WHERE least(d.by_rank, d.by_time) <= p_limit);
	RETURN v_count;
END
$$;

--------------------------------------------------------------------------------
-- Functions of studio jobs
--------------------------------------------------------------------------------

CREATE FUNCTION twin.update_studio_job_status(
	p_job_id uuid, p_status text, p_lease_token uuid DEFAULT NULL, p_hand_over boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_status text;
	v_lease twin.lease;
	v_job jsonb;
BEGIN
	IF num_nulls(p_status, p_hand_over) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	IF p_status NOT IN ('NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING', 'COMPLETE', 'FAILED') THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	v_status := twin.lock_job_of_worker(p_job_id);
	v_lease := twin.check_lease(p_job_id, p_lease_token);
	-- asked again for what ended the lease
	IF v_lease.state = 'ended' AND (p_hand_over AND v_lease.outcome = 'handed_over'
	   OR v_lease.outcome IN ('completed', 'failed') AND v_status IN ('COMPLETE', 'FAILED') AND v_status = p_status) THEN
		RETURN (SELECT to_jsonb(j) FROM twin.studio_jobs j WHERE j.job_id = p_job_id);
	END IF;
	PERFORM twin.require_work(p_job_id, v_lease);
	UPDATE twin.studio_jobs j SET status = p_status WHERE j.job_id = p_job_id RETURNING to_jsonb(j) INTO v_job;
	IF p_hand_over AND v_lease.state = 'held' AND p_status NOT IN ('COMPLETE', 'FAILED') THEN
		PERFORM twin.hand_over(p_job_id);
	END IF;
	RETURN v_job;
END
$$;

-- Whether the stage may be ended; not where it was, with the same result.
CREATE FUNCTION twin.may_end_stage(p_job_id uuid, p_lease_token uuid, p_hand_over boolean, p_transcript text, p_entities jsonb)
RETURNS twin.lease
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_lease twin.lease;
BEGIN
	PERFORM twin.lock_job_of_worker(p_job_id);
	v_lease := twin.check_lease(p_job_id, p_lease_token);
	IF p_hand_over AND v_lease.state = 'ended' AND v_lease.outcome = 'handed_over' THEN
		IF NOT EXISTS (SELECT FROM twin.studio_jobs j
		                WHERE j.job_id = p_job_id AND CASE WHEN p_entities IS NULL THEN j.raw_transcript IS NOT DISTINCT FROM p_transcript
		                                                   ELSE j.enrichment_entities IS NOT DISTINCT FROM p_entities END) THEN
			PERFORM twin.refuse_queue('PT409', 'job was completed differently');
		END IF;
		RETURN v_lease;
	END IF;
	PERFORM twin.require_work(p_job_id, v_lease);
	RETURN v_lease;
END
$$;

-- p_starts: a new job passes through the stage, as where finish_and_claim() delivers.
CREATE FUNCTION twin.store_transcript(
	p_job_id uuid, p_transcript text, p_lease_token uuid DEFAULT NULL, p_hand_over boolean DEFAULT false,
	p_starts boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_lease twin.lease;
BEGIN
	IF num_nulls(p_transcript, p_hand_over) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	v_lease := twin.may_end_stage(p_job_id, p_lease_token, p_hand_over, p_transcript, NULL);
	IF v_lease.state <> 'ended' THEN
		UPDATE twin.studio_jobs j SET status = 'TRANSCRIBING' WHERE j.job_id = p_job_id AND j.status = 'NEW' AND p_starts;
		UPDATE twin.studio_jobs j SET status = 'ENRICHING', raw_transcript = p_transcript WHERE j.job_id = p_job_id;
	END IF;
	IF p_hand_over AND v_lease.state = 'held' THEN
		PERFORM twin.hand_over(p_job_id);
	END IF;
	RETURN (SELECT to_jsonb(j) FROM twin.studio_jobs j WHERE j.job_id = p_job_id);
END
$$;

CREATE FUNCTION twin.store_enrichment(
	p_job_id uuid, p_entities jsonb, p_lease_token uuid DEFAULT NULL, p_hand_over boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_lease twin.lease;
BEGIN
	IF num_nulls(p_entities, p_hand_over) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	v_lease := twin.may_end_stage(p_job_id, p_lease_token, p_hand_over, NULL, p_entities);
	IF v_lease.state <> 'ended' THEN
		UPDATE twin.studio_jobs j SET status = 'REFINING', enrichment_entities = p_entities WHERE j.job_id = p_job_id;
	END IF;
	IF p_hand_over AND v_lease.state = 'held' THEN
		PERFORM twin.hand_over(p_job_id);
	END IF;
	RETURN (SELECT to_jsonb(j) FROM twin.studio_jobs j WHERE j.job_id = p_job_id);
END
$$;

CREATE FUNCTION twin.store_refined_text(
	p_job_id uuid, p_text text, p_model_version text DEFAULT NULL, p_lease_token uuid DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_status text;
	v_lease twin.lease;
	v_job jsonb;
BEGIN
	IF p_text IS NULL THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	v_status := twin.lock_job_of_worker(p_job_id);
	v_lease := twin.check_lease(p_job_id, p_lease_token);
	IF v_lease.state = 'ended' AND v_lease.outcome <> 'completed' THEN
		PERFORM twin.refuse_lease(p_job_id);
	END IF;
	IF v_lease.state = 'ended' OR v_status = 'COMPLETE' THEN
		SELECT to_jsonb(j) INTO v_job FROM twin.studio_jobs j
		 WHERE j.job_id = p_job_id AND j.refined_text IS NOT DISTINCT FROM p_text
		   AND (p_model_version IS NULL OR coalesce(p_model_version = j.model_version, false));
		IF NOT FOUND THEN
			PERFORM twin.refuse_queue('PT409', 'job was completed differently');
		END IF;
		RETURN v_job;
	END IF;
	UPDATE twin.studio_jobs j
	   SET status = 'COMPLETE', refined_text = p_text, model_version = coalesce(p_model_version, j.model_version)
	 WHERE j.job_id = p_job_id RETURNING to_jsonb(j) INTO v_job;
	RETURN v_job;
END
$$;

CREATE FUNCTION twin.fail_studio_job(
	p_job_id uuid, p_error jsonb, p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL, p_retry_in interval DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_status text;
	v_lease twin.lease;
BEGIN
	IF NOT p_retryable AND p_retry_in IS NOT NULL OR v_now + p_retry_in NOT BETWEEN v_now AND v_now + 366 * INTERVAL '86400 seconds' THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	v_status := twin.lock_job_of_worker(p_job_id);
	v_lease := twin.check_lease(p_job_id, p_lease_token);
	IF p_retryable IS NULL THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	IF p_retryable AND v_lease.state = 'none' THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	IF v_lease.state = 'ended' AND v_lease.outcome NOT IN ('failed', 'retried', 'cancelled') THEN
		PERFORM twin.refuse_lease(p_job_id);
	ELSIF v_lease.state = 'held' AND v_lease.cancelled THEN
		PERFORM twin.write_failure(p_job_id, twin.cancelled(v_lease.reason));
	ELSIF v_lease.state <> 'ended' AND v_status <> 'FAILED' THEN
		IF NOT p_retryable OR NOT twin.try_again(p_job_id, v_lease.tries, 'retried', p_error, v_now + p_retry_in) THEN
			PERFORM twin.write_failure(p_job_id, p_error);
		END IF;
	END IF;
	RETURN (SELECT to_jsonb(j) FROM twin.studio_jobs j WHERE j.job_id = p_job_id);
END
$$;

-- Ends a job and claims the next.  What completes a job is here once more, without the answer of store_refined_text().
CREATE FUNCTION twin.finish_and_claim(
	p_system text, p_worker text, p_job_id uuid, p_lease_token uuid, p_result jsonb DEFAULT NULL, p_error jsonb DEFAULT NULL,
	p_retryable boolean DEFAULT false, p_retry_in interval DEFAULT NULL, p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL,
	p_stages text[] DEFAULT NULL, p_process_id text DEFAULT NULL,
	OUT job_id uuid, OUT lease_token uuid, OUT attempt integer, OUT lease_expires_at timestamptz, OUT job jsonb)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 1 SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
	v_status text;
	v_lease twin.lease;
BEGIN
	IF num_nulls(p_system, p_worker, p_limit) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	END IF;
	IF p_job_id IS NULL THEN
		NULL;
	ELSIF num_nulls(p_lease_token, p_retryable) > 0 THEN
		PERFORM twin.refuse_queue('22004', 'argument must not be null');
	ELSIF p_result IS NOT NULL AND p_error IS NOT NULL THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	ELSIF p_error IS NOT NULL OR p_retryable THEN
		PERFORM twin.fail_studio_job(p_job_id, p_error, p_retryable, p_lease_token, p_retry_in);
	ELSIF p_result ? 'refined_text' THEN
		v_status := twin.lock_job_of_worker(p_job_id);
		v_lease := twin.check_lease(p_job_id, p_lease_token);
		IF v_lease.state = 'held' AND v_status <> 'COMPLETE' THEN
			UPDATE twin.studio_jobs j
			   SET status = 'COMPLETE', refined_text = p_result ->> 'refined_text',
			       model_version = coalesce(p_result ->> 'model_version', j.model_version)
			 WHERE j.job_id = p_job_id;
		ELSE
			PERFORM twin.store_refined_text(p_job_id, p_result ->> 'refined_text', p_result ->> 'model_version', p_lease_token);
		END IF;
	ELSIF p_result ? 'raw_transcript' THEN
		PERFORM twin.store_transcript(p_job_id, p_result ->> 'raw_transcript', p_lease_token, true, true);
	ELSIF p_result ? 'enrichment_entities' THEN
		PERFORM twin.store_enrichment(p_job_id, p_result -> 'enrichment_entities', p_lease_token, true);
	ELSE
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	IF p_limit > 0 THEN
		RETURN QUERY SELECT * FROM twin.claim_jobs(p_system, p_worker, p_limit, p_lease, p_stages, p_process_id);
	END IF;
END
$$;

CREATE FUNCTION twin.cancel_studio_job(p_job_id uuid, p_reason text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_status text;
	v_until timestamptz;
BEGIN
	IF length(p_reason) > 1000 THEN
		PERFORM twin.refuse_queue('22023', 'argument is out of bounds');
	END IF;
	v_status := twin.lock_job_of_worker(p_job_id);
	IF v_status = 'COMPLETE' THEN
		PERFORM twin.refuse_queue('23514', 'illegal status transition');
	END IF;
	SELECT clock_timestamp() + nullif(s.cancel_grace_seconds, 0) * INTERVAL '1 second' INTO v_until FROM twin.queue_settings s;
	UPDATE twin.attempts a
	   SET cancel_requested_at = coalesce(a.cancel_requested_at, clock_timestamp()),
	       cancel_reason = CASE WHEN a.cancel_requested_at IS NULL THEN p_reason ELSE a.cancel_reason END,
	       due_at = CASE WHEN a.cancel_requested_at IS NULL THEN least(a.due_at, v_until) ELSE a.due_at END,
	       expires_at = CASE WHEN a.cancel_requested_at IS NULL THEN least(a.expires_at, v_until) ELSE a.expires_at END
	 WHERE a.job_id = p_job_id AND a.ended_at IS NULL AND a.expires_at > clock_timestamp();
	IF FOUND THEN
		UPDATE twin.studio_jobs SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()) WHERE job_id = p_job_id;
		RETURN (SELECT to_jsonb(j) || '{"cancel_requested": true}' FROM twin.studio_jobs j WHERE j.job_id = p_job_id);
	END IF;
	IF v_status <> 'FAILED' THEN
		PERFORM twin.write_failure(p_job_id, twin.cancelled(p_reason));
	END IF;
	RETURN (SELECT to_jsonb(j) FROM twin.studio_jobs j WHERE j.job_id = p_job_id);
END
$$;

CREATE FUNCTION twin.retry_studio_job(p_job_id uuid) RETURNS jsonb
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
	v_status text := twin.lock_job_of_worker(p_job_id);
BEGIN
	IF v_status = 'FAILED' THEN
		PERFORM set_config('twin.retrying', p_job_id::text, true);
		UPDATE twin.studio_jobs SET status = 'NEW', retry_count = retry_count + 1, run_at = NULL, cancel_requested_at = NULL
		 WHERE job_id = p_job_id;
		PERFORM set_config('twin.retrying', '', true);
	ELSIF v_status <> 'NEW' THEN
		PERFORM twin.refuse_queue('23514', 'illegal status transition');
	END IF;
	RETURN (SELECT to_jsonb(j) FROM twin.studio_jobs j WHERE j.job_id = p_job_id);
END
$$;
