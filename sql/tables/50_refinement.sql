-- Refinement: from a recording to text in the voice of the brand.
-- Pitfall: the status is a text with a CHECK, as clients know it, and no enum.

CREATE TABLE @extschema@.studio_jobs (
  job_id UUID DEFAULT gen_random_uuid(),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  status TEXT NOT NULL DEFAULT 'NEW',
  user_id UUID NOT NULL,
  raw_audio_url TEXT NOT NULL,
  raw_transcript TEXT,
  refined_text TEXT,
  system_prompt_used TEXT NOT NULL,
  processing_time_ms INTEGER,
  error_details JSONB,
  enrichment_entities JSONB,
  model_version TEXT,
  retry_count INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 0,
  cost_credits_reserved INTEGER NOT NULL DEFAULT 0,
  run_at TIMESTAMPTZ,
  idempotency_key TEXT,
  max_attempts INTEGER,
  cancel_requested_at TIMESTAMPTZ,
  CONSTRAINT studio_jobs_pkey PRIMARY KEY (job_id),
  CONSTRAINT studio_jobs_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE,
  CONSTRAINT studio_jobs_status_check CHECK (status IN (
    'NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING', 'COMPLETE', 'FAILED'
  )),
  CONSTRAINT studio_jobs_cost_credits_reserved_check CHECK (cost_credits_reserved >= 0),
  CONSTRAINT studio_jobs_run_at_check CHECK (isfinite(run_at)),
  CONSTRAINT studio_jobs_idempotency_key_check CHECK (length(idempotency_key) BETWEEN 1 AND 200),
  CONSTRAINT studio_jobs_max_attempts_check CHECK (max_attempts BETWEEN 1 AND 1000)
);
CREATE INDEX idx_studio_jobs_user_id ON @extschema@.studio_jobs (user_id);
CREATE INDEX idx_studio_jobs_status ON @extschema@.studio_jobs (status);
CREATE INDEX idx_studio_jobs_created_at ON @extschema@.studio_jobs (created_at DESC);
CREATE INDEX idx_studio_jobs_user_active ON @extschema@.studio_jobs (user_id) WHERE status NOT IN ('COMPLETE', 'FAILED');
CREATE UNIQUE INDEX idx_studio_jobs_idempotency_key ON @extschema@.studio_jobs (user_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;

ALTER TABLE @extschema@.studio_jobs ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.studio_jobs IS
'Studio jobs: recordings that become text in the voice of the brand.

create_studio_job() creates them. A user reads his own, and may insert and move them within
workflow_transitions().';
COMMENT ON COLUMN @extschema@.studio_jobs.job_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.studio_jobs.created_at IS 'When the job was accepted';
COMMENT ON COLUMN @extschema@.studio_jobs.status IS 'NEW, TRANSCRIBING, ENRICHING, REFINING, COMPLETE or FAILED; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.studio_jobs.user_id IS 'Owner';
COMMENT ON COLUMN @extschema@.studio_jobs.raw_audio_url IS 'Path or address of the recording';
COMMENT ON COLUMN @extschema@.studio_jobs.raw_transcript IS 'What was said, as transcribed';
COMMENT ON COLUMN @extschema@.studio_jobs.refined_text IS 'The finished text';
COMMENT ON COLUMN @extschema@.studio_jobs.system_prompt_used IS 'Prompt of the language model; NULL on INSERT means setting default_system_prompt';
COMMENT ON COLUMN @extschema@.studio_jobs.processing_time_ms IS 'Milliseconds from created_at to COMPLETE, at most 2147483647; maintained by a trigger';
COMMENT ON COLUMN @extschema@.studio_jobs.error_details IS 'Why the job failed; error_details ->> ''code'' is CANCELLED when it was cancelled';
COMMENT ON COLUMN @extschema@.studio_jobs.enrichment_entities IS 'What the enrichment found in the transcript';
COMMENT ON COLUMN @extschema@.studio_jobs.model_version IS 'Model that refined the text';
COMMENT ON COLUMN @extschema@.studio_jobs.retry_count IS 'How often the job was tried again; kept by the worker functions';
COMMENT ON COLUMN @extschema@.studio_jobs.priority IS 'Jobs of higher priority are claimed first; users may go up to setting max_user_priority';
COMMENT ON COLUMN @extschema@.studio_jobs.cost_credits_reserved IS 'Price in credits, held while the job is open: setting price_studio_job when the job was made; written by a trigger';
COMMENT ON COLUMN @extschema@.studio_jobs.run_at IS 'The job waits until then; NULL is at once';
COMMENT ON COLUMN @extschema@.studio_jobs.idempotency_key IS 'Key that the client gave the job, unique for a user: the same call again returns this job';
COMMENT ON COLUMN @extschema@.studio_jobs.max_attempts IS 'How often the job is tried, instead of setting max_attempts';
COMMENT ON COLUMN @extschema@.studio_jobs.cancel_requested_at IS 'When the worker that has the job was asked to stop; maintained by the functions';
