-- The queue of all tables of jobs, and the attempts: the leases of workers, from
-- the claim on, and what became of them. A job that has not ended has one row in
-- the queue, or one attempt that has not ended; a claim deletes the former and
-- inserts the latter. A heartbeat updates the attempt and not the wide row of the job.
-- Pitfall: every heartbeat changes expires_at, so no index contains it and the
-- update can be HOT. An index contains due_at, which is never later than
-- expires_at; reap_expired_leases() brings it up to date.
-- Pitfall: claims delete from the front of an index, so its dead entries are in the
-- way of the next ones. The queue is vacuumed often, whatever its size, and always
-- with its indexes.

CREATE TYPE studio_engine.job_system AS ENUM ('studio_jobs', 'jobs', 'mm_rendering_queue');
COMMENT ON TYPE studio_engine.job_system IS
'Tables whose jobs workers can claim.';

CREATE TYPE studio_engine.queue_state AS ENUM ('waiting', 'delayed', 'parked');
COMMENT ON TYPE studio_engine.queue_state IS
'States of a job in the queue.

waiting: to be claimed now; delayed: from due_at on; parked: once its user has fewer jobs that run.';

CREATE TABLE studio_engine.queue (
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
  CONSTRAINT queue_pkey PRIMARY KEY (job_id, system)
) WITH (
  fillfactor = 90, vacuum_index_cleanup = on,
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000
);
CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id) WHERE state = 'waiting';
CREATE INDEX idx_queue_stage ON studio_engine.queue (system, stage, rank, turn, due_at, job_id) WHERE state = 'waiting';
CREATE INDEX idx_queue_turn ON studio_engine.queue (user_id, system, rank, turn) WHERE state = 'waiting' AND turn > 0;
CREATE INDEX idx_queue_delayed ON studio_engine.queue (system, due_at) WHERE state = 'delayed';
CREATE INDEX idx_queue_delayed_rank ON studio_engine.queue (system, rank, due_at) WHERE state = 'delayed';
CREATE INDEX idx_queue_limited ON studio_engine.queue (user_id, system, state, rank, turn, due_at) WHERE limited;

CREATE TABLE studio_engine.attempts (
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
  CONSTRAINT attempts_pkey PRIMARY KEY (job_id, lease_token),
  CONSTRAINT attempts_outcome_check CHECK (
    CASE WHEN ended_at IS NULL THEN outcome IS NULL
         ELSE outcome IN ('completed', 'handed_over', 'failed', 'retried', 'expired', 'cancelled', 'snoozed', 'released') END
  )
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX idx_attempts_due ON studio_engine.attempts (due_at) WHERE ended_at IS NULL;
CREATE INDEX idx_attempts_counted ON studio_engine.attempts (system, stage, user_id) WHERE ended_at IS NULL AND counted;

CREATE TABLE studio_engine.queue_stages (
  system studio_engine.job_system NOT NULL,
  stage text NOT NULL,
  paused_at timestamptz,
  pause_reason text,
  max_running integer,
  CONSTRAINT queue_stages_pkey PRIMARY KEY (system, stage),
  CONSTRAINT queue_stages_max_running_check CHECK (max_running > 0)
);

ALTER TABLE studio_engine.queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.queue_stages ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.attempts ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE studio_engine.queue IS
'Queue of the jobs that have not ended and that no worker has, one row each.

Triggers on the tables of jobs maintain it; rebuild_queue() repairs it.';
COMMENT ON COLUMN studio_engine.queue.due_at IS 'waiting: since when, the age of the job; delayed: until when, which is its age afterwards';
COMMENT ON COLUMN studio_engine.queue.turn IS 'Position within the rank before the age. With setting fair_queue the round in which the job is claimed: each user has one job a round; with setting priority_ageing_seconds a time that the priority makes earlier; else 0';
COMMENT ON COLUMN studio_engine.queue.system IS 'Table of the job';
COMMENT ON COLUMN studio_engine.queue.state IS 'waiting, delayed or parked';
COMMENT ON COLUMN studio_engine.queue.rank IS 'The complement of the priority (-1 - priority), so that ascending order is claim order; with setting priority_ageing_seconds always -1';
COMMENT ON COLUMN studio_engine.queue.attempt IS 'Number of the last attempt, 0 before the first';
COMMENT ON COLUMN studio_engine.queue.first_attempt IS 'Number of the attempt that the count against the limit of attempts starts with';
COMMENT ON COLUMN studio_engine.queue.job_id IS 'The job';
COMMENT ON COLUMN studio_engine.queue.user_id IS 'Owner of the job; of a rendering the user who requested it, or NULL';
COMMENT ON COLUMN studio_engine.queue.stage IS 'Status of the job: the stage that is to be worked on';
COMMENT ON COLUMN studio_engine.queue.limited IS 'Whether the job was queued or parked under setting max_running_jobs';

COMMENT ON TABLE studio_engine.attempts IS
'Leases of workers: those that have not ended, and the outcomes of all others.

get_running_jobs() and get_job_attempts() return them. They are deleted with their job.';
COMMENT ON COLUMN studio_engine.attempts.started_at IS 'When the job was claimed';
COMMENT ON COLUMN studio_engine.attempts.due_at IS 'When to check whether expires_at has passed';
COMMENT ON COLUMN studio_engine.attempts.expires_at IS 'When the lease ends unless there is a heartbeat';
COMMENT ON COLUMN studio_engine.attempts.since IS 'due_at of the job in the queue, which determines its position if the lease is released';
COMMENT ON COLUMN studio_engine.attempts.system IS 'Table of the job';
COMMENT ON COLUMN studio_engine.attempts.attempt IS 'Number of the attempt, from 1 in each stage that a worker hands over to; the number of a snoozed or released attempt is used again';
COMMENT ON COLUMN studio_engine.attempts.first_attempt IS 'Number of the attempt that the count against the limit of attempts starts with';
COMMENT ON COLUMN studio_engine.attempts.lease_ms IS 'Length of the lease in milliseconds, for heartbeats that give none';
COMMENT ON COLUMN studio_engine.attempts.job_id IS 'The job';
COMMENT ON COLUMN studio_engine.attempts.lease_token IS 'Proof of the lease';
COMMENT ON COLUMN studio_engine.attempts.user_id IS 'Owner of the job; of a rendering the user who requested it, or NULL';
COMMENT ON COLUMN studio_engine.attempts.stage IS 'Status of the job when it was claimed';
COMMENT ON COLUMN studio_engine.attempts.worker IS 'Who has the lease';
COMMENT ON COLUMN studio_engine.attempts.ended_at IS 'When the lease ended; NULL while the worker has it';
COMMENT ON COLUMN studio_engine.attempts.outcome IS 'completed, handed_over (to the next stage), failed, retried (failed, to be tried again), expired (the worker stopped responding), cancelled, snoozed or released; NULL while the worker has the lease';
COMMENT ON COLUMN studio_engine.attempts.error IS 'What the worker reported';
COMMENT ON COLUMN studio_engine.attempts.turn IS 'turn of the job in the queue; NULL for 0';
COMMENT ON COLUMN studio_engine.attempts.counted IS 'Whether the lease counts towards limits of running jobs: true for those claimed while there is one';
COMMENT ON COLUMN studio_engine.attempts.shown_at IS 'When a heartbeat last wrote progress into the row of the job';
COMMENT ON COLUMN studio_engine.attempts.cancel_requested_at IS 'When cancellation of the job was requested from the worker';
COMMENT ON COLUMN studio_engine.attempts.cancel_reason IS 'Why the job is to be cancelled';
COMMENT ON COLUMN studio_engine.attempts.process_id IS 'Which process of the worker has the lease, as it was given at the claim';

COMMENT ON TABLE studio_engine.queue_stages IS
'Stages that are paused or limited, and systems that are paused.

pause_queue(), resume_queue() and limit_stage() write it; get_queue_stages() returns it.';
COMMENT ON COLUMN studio_engine.queue_stages.system IS 'Table of the jobs';
COMMENT ON COLUMN studio_engine.queue_stages.stage IS 'Status of the jobs; empty for all jobs of the table';
COMMENT ON COLUMN studio_engine.queue_stages.paused_at IS 'Since when no jobs are claimed; NULL: they are';
COMMENT ON COLUMN studio_engine.queue_stages.pause_reason IS 'Why, for people';
COMMENT ON COLUMN studio_engine.queue_stages.max_running IS 'How many jobs may run that were claimed at this stage; NULL: any number';
