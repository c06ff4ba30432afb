-- The queue of all tables of jobs, the leases of workers, and the outcomes of the
-- leases. A job that has not ended has one narrow row; a heartbeat updates that and
-- not the wide row of the job.
-- Pitfall: every heartbeat changes expires_at, so no index contains it and the
-- update can be HOT. The indexes contain due_at, which is never later than
-- expires_at; reap_expired_leases() brings it up to date.

CREATE TYPE studio_engine.job_system AS ENUM ('studio_jobs', 'jobs', 'mm_rendering_queue');
COMMENT ON TYPE studio_engine.job_system IS
'Tables whose jobs workers can claim.';

CREATE TYPE studio_engine.queue_state AS ENUM ('waiting', 'delayed', 'leased');
COMMENT ON TYPE studio_engine.queue_state IS
'States of a job in the queue.

waiting: to be claimed now; delayed: from due_at on; leased: a worker holds it.';

CREATE TABLE studio_engine.queue (
  system studio_engine.job_system NOT NULL,
  state studio_engine.queue_state NOT NULL DEFAULT 'waiting',
  rank integer NOT NULL DEFAULT -1,
  turn bigint NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  job_id uuid NOT NULL,
  user_id uuid,
  attempt integer NOT NULL DEFAULT 0,
  first_attempt integer NOT NULL DEFAULT 1,
  lease_token uuid,
  claimed_at timestamptz,
  expires_at timestamptz,
  cancel_requested_at timestamptz,
  since timestamptz,
  shown_at timestamptz,
  worker text,
  cancel_reason text,
  CONSTRAINT queue_pkey PRIMARY KEY (job_id, system),
  CONSTRAINT queue_lease_check CHECK (
    CASE WHEN state = 'leased' THEN num_nulls(lease_token, worker, claimed_at, expires_at, since) = 0
         ELSE num_nonnulls(lease_token, worker, claimed_at, expires_at, since, cancel_requested_at) = 0 END
  )
) WITH (fillfactor = 70);
CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id) WHERE state = 'waiting';
CREATE INDEX idx_queue_turn ON studio_engine.queue (user_id, system, rank, turn) WHERE state = 'waiting' AND turn > 0;
CREATE INDEX idx_queue_delayed ON studio_engine.queue (system, due_at) WHERE state = 'delayed';
CREATE INDEX idx_queue_leased ON studio_engine.queue (due_at, job_id) WHERE state = 'leased';
CREATE INDEX idx_queue_worker ON studio_engine.queue (worker) WHERE state = 'leased';

CREATE TABLE studio_engine.attempts (
  system studio_engine.job_system NOT NULL,
  job_id uuid NOT NULL,
  attempt integer NOT NULL,
  lease_token uuid NOT NULL,
  worker text NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  outcome text NOT NULL,
  error jsonb,
  CONSTRAINT attempts_pkey PRIMARY KEY (job_id, lease_token),
  CONSTRAINT attempts_outcome_check CHECK (outcome IN (
    'completed', 'failed', 'retried', 'expired', 'cancelled', 'snoozed', 'released'
  ))
);

ALTER TABLE studio_engine.queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.attempts ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE studio_engine.queue IS
'Queue of the jobs that have not ended, one row each.

Triggers on the tables of jobs maintain it; rebuild_queue() repairs it.';
COMMENT ON COLUMN studio_engine.queue.system IS 'Table of the job';
COMMENT ON COLUMN studio_engine.queue.state IS 'waiting, delayed or leased';
COMMENT ON COLUMN studio_engine.queue.rank IS 'The complement of the priority (-1 - priority), so that ascending order is claim order';
COMMENT ON COLUMN studio_engine.queue.turn IS 'Round in which the job is claimed, with setting fair_queue: each user has one job a round; else 0';
COMMENT ON COLUMN studio_engine.queue.due_at IS 'waiting: since when, the age of the job; delayed: until when, which is its age afterwards; leased: when to check whether expires_at has passed';
COMMENT ON COLUMN studio_engine.queue.job_id IS 'The job';
COMMENT ON COLUMN studio_engine.queue.user_id IS 'Owner of the job; of a rendering the user who requested it, or NULL';
COMMENT ON COLUMN studio_engine.queue.attempt IS 'Number of the last attempt, 0 before the first';
COMMENT ON COLUMN studio_engine.queue.first_attempt IS 'Number of the attempt that the count against setting max_attempts starts with';
COMMENT ON COLUMN studio_engine.queue.lease_token IS 'Proof of the lease';
COMMENT ON COLUMN studio_engine.queue.claimed_at IS 'When the lease began';
COMMENT ON COLUMN studio_engine.queue.expires_at IS 'When the lease ends unless there is a heartbeat';
COMMENT ON COLUMN studio_engine.queue.cancel_requested_at IS 'When cancellation of the leased job was requested';
COMMENT ON COLUMN studio_engine.queue.since IS 'due_at of the leased job before the claim, which determines its position if the lease is released';
COMMENT ON COLUMN studio_engine.queue.shown_at IS 'When a heartbeat last wrote progress into the row of the job';
COMMENT ON COLUMN studio_engine.queue.worker IS 'Who has the lease';
COMMENT ON COLUMN studio_engine.queue.cancel_reason IS 'Why the job is to be cancelled';

COMMENT ON TABLE studio_engine.attempts IS
'Outcomes of all leases that have ended.

get_job_attempts() returns them. They are deleted with their job.';
COMMENT ON COLUMN studio_engine.attempts.system IS 'Table of the job';
COMMENT ON COLUMN studio_engine.attempts.job_id IS 'The job';
COMMENT ON COLUMN studio_engine.attempts.attempt IS 'Number of the attempt, from 1; the number of a snoozed or released attempt is used again';
COMMENT ON COLUMN studio_engine.attempts.lease_token IS 'Token of the lease';
COMMENT ON COLUMN studio_engine.attempts.worker IS 'Who had the lease';
COMMENT ON COLUMN studio_engine.attempts.started_at IS 'When the job was claimed';
COMMENT ON COLUMN studio_engine.attempts.ended_at IS 'When the lease ended';
COMMENT ON COLUMN studio_engine.attempts.outcome IS 'completed, failed, retried (failed, to be tried again), expired (the worker stopped responding), cancelled, snoozed or released';
COMMENT ON COLUMN studio_engine.attempts.error IS 'What the worker reported';
