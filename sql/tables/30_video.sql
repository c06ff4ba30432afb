-- Projects, and jobs with their steps, files and log lines.
-- Pitfall: constraint names are public, since PostgREST clients name foreign
-- keys in embeddings and see constraint names in errors.
-- Pitfall: what belongs to a job has its user, by whom policies and subscriptions
-- filter. The column has no foreign key: the one on the job deletes the row.

CREATE TYPE @extschema@.job_status AS ENUM (
  'PENDING', 'QUEUED', 'SCRIPTING', 'VOICE_GEN', 'ALIGNMENT',
  'VISUAL_PLAN', 'IMAGE_GEN', 'TIMELINE', 'RENDERING',
  'PACKAGING', 'READY', 'FAILED'
);
COMMENT ON TYPE @extschema@.job_status IS
'Stages of a video job.

workflow_transitions() lists the legal changes.';

CREATE TYPE @extschema@.step_status AS ENUM ('pending', 'started', 'succeeded', 'failed');
COMMENT ON TYPE @extschema@.step_status IS
'States of the step of a job.

workflow_transitions() lists the legal changes.';

CREATE TABLE @extschema@.projects (
  id UUID DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL,
  title TEXT NOT NULL,
  prompt_text TEXT NOT NULL,
  niche_preset TEXT NOT NULL,
  target_minutes INTEGER NOT NULL DEFAULT 1,
  voice_profile_id UUID,
  transcript_mode TEXT DEFAULT 'auto',
  transcript_text TEXT,
  settings JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT projects_pkey PRIMARY KEY (id),
  CONSTRAINT projects_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE,
  CONSTRAINT projects_niche_preset_check CHECK (niche_preset IN (
    'motivation', 'explainer', 'facts', 'history', 'finance', 'science'
  )),
  CONSTRAINT projects_target_minutes_check CHECK (target_minutes BETWEEN 1 AND 10),
  CONSTRAINT projects_transcript_mode_check CHECK (transcript_mode IN ('auto', 'manual'))
);
CREATE INDEX idx_projects_user ON @extschema@.projects (user_id);
CREATE INDEX idx_projects_created ON @extschema@.projects (created_at DESC);
CREATE INDEX idx_projects_user_created ON @extschema@.projects (user_id, created_at DESC);

CREATE TABLE @extschema@.jobs (
  id UUID DEFAULT gen_random_uuid(),
  project_id UUID NOT NULL,
  user_id UUID NOT NULL,
  status @extschema@.job_status NOT NULL DEFAULT 'PENDING',
  progress INTEGER DEFAULT 0,
  status_message TEXT,
  cost_credits_reserved INTEGER DEFAULT 0,
  cost_credits_final INTEGER,
  failed_step TEXT,
  error_code TEXT,
  error_message TEXT,
  output_url TEXT,
  manifest_json JSONB,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  priority INTEGER NOT NULL DEFAULT 0,
  run_at TIMESTAMPTZ,
  idempotency_key TEXT,
  max_attempts INTEGER,
  cancel_requested_at TIMESTAMPTZ,
  CONSTRAINT jobs_pkey PRIMARY KEY (id),
  CONSTRAINT jobs_project_id_fkey FOREIGN KEY (project_id) REFERENCES @extschema@.projects (id) ON DELETE CASCADE,
  CONSTRAINT jobs_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE,
  CONSTRAINT jobs_progress_check CHECK (progress BETWEEN 0 AND 100),
  CONSTRAINT jobs_run_at_check CHECK (isfinite(run_at)),
  CONSTRAINT jobs_idempotency_key_check CHECK (length(idempotency_key) BETWEEN 1 AND 200),
  CONSTRAINT jobs_max_attempts_check CHECK (max_attempts BETWEEN 1 AND 1000)
) WITH (fillfactor = 70);
CREATE INDEX idx_jobs_user ON @extschema@.jobs (user_id);
CREATE INDEX idx_jobs_project ON @extschema@.jobs (project_id);
CREATE INDEX idx_jobs_status ON @extschema@.jobs (status);
CREATE INDEX idx_jobs_created ON @extschema@.jobs (created_at DESC);
-- for the newest job of a project: row security compares user_id
CREATE INDEX idx_jobs_project_user_created ON @extschema@.jobs (project_id, user_id, created_at DESC);
CREATE INDEX idx_jobs_user_active ON @extschema@.jobs (user_id) WHERE status NOT IN ('READY', 'FAILED');
CREATE UNIQUE INDEX idx_jobs_idempotency_key ON @extschema@.jobs (user_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;

CREATE TABLE @extschema@.job_steps (
  id UUID DEFAULT gen_random_uuid(),
  job_id UUID NOT NULL,
  step_name TEXT NOT NULL,
  step_order INTEGER NOT NULL,
  state @extschema@.step_status DEFAULT 'pending',
  progress_pct INTEGER DEFAULT 0,
  status_message TEXT,
  error_message TEXT,
  logs_url TEXT,
  artifacts_json JSONB DEFAULT '{}',
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  user_id UUID NOT NULL,
  CONSTRAINT job_steps_pkey PRIMARY KEY (id),
  CONSTRAINT job_steps_job_id_fkey FOREIGN KEY (job_id) REFERENCES @extschema@.jobs (id) ON DELETE CASCADE
);
CREATE INDEX idx_job_steps_job ON @extschema@.job_steps (job_id);
CREATE INDEX idx_job_steps_user ON @extschema@.job_steps (user_id);
CREATE UNIQUE INDEX idx_job_steps_unique ON @extschema@.job_steps (job_id, step_name);

CREATE TABLE @extschema@.assets (
  id UUID DEFAULT gen_random_uuid(),
  job_id UUID NOT NULL,
  type TEXT NOT NULL,
  url TEXT NOT NULL,
  storage_path TEXT NOT NULL,
  size_bytes BIGINT,
  mime_type TEXT,
  metadata_json JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  user_id UUID NOT NULL,
  CONSTRAINT assets_pkey PRIMARY KEY (id),
  CONSTRAINT assets_job_id_fkey FOREIGN KEY (job_id) REFERENCES @extschema@.jobs (id) ON DELETE CASCADE,
  CONSTRAINT assets_type_check CHECK (type IN (
    'video', 'audio', 'image', 'captions', 'manifest', 'zip'
  ))
);
CREATE INDEX idx_assets_job ON @extschema@.assets (job_id);
CREATE INDEX idx_assets_user ON @extschema@.assets (user_id);
CREATE INDEX idx_assets_type ON @extschema@.assets (type);

CREATE TABLE @extschema@.logs (
  id UUID DEFAULT gen_random_uuid(),
  job_id UUID NOT NULL,
  level TEXT NOT NULL DEFAULT 'info',
  step_name TEXT,
  message TEXT NOT NULL,
  metadata_json JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  user_id UUID NOT NULL,
  CONSTRAINT logs_pkey PRIMARY KEY (id),
  CONSTRAINT logs_job_id_fkey FOREIGN KEY (job_id) REFERENCES @extschema@.jobs (id) ON DELETE CASCADE,
  CONSTRAINT logs_level_check CHECK (level IN ('debug', 'info', 'warn', 'error'))
);
CREATE INDEX idx_logs_job_created ON @extschema@.logs (job_id, created_at DESC);
CREATE INDEX idx_logs_user ON @extschema@.logs (user_id);

ALTER TABLE @extschema@.projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.job_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.assets ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.logs ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.projects IS
'Projects: what users want a video of.

A user reads and writes his own, and cannot delete one while one of its jobs is being worked on.';
COMMENT ON COLUMN @extschema@.projects.id IS 'Identifier';
COMMENT ON COLUMN @extschema@.projects.user_id IS 'Owner';
COMMENT ON COLUMN @extschema@.projects.title IS 'Title';
COMMENT ON COLUMN @extschema@.projects.prompt_text IS 'The prompt';
COMMENT ON COLUMN @extschema@.projects.niche_preset IS 'Kind of video: motivation, explainer, facts, history, finance or science';
COMMENT ON COLUMN @extschema@.projects.target_minutes IS 'Wanted length in minutes, 1 to 10';
COMMENT ON COLUMN @extschema@.projects.voice_profile_id IS 'Voice chosen by the user';
COMMENT ON COLUMN @extschema@.projects.transcript_mode IS 'auto: the script is generated; manual: transcript_text is used, and a job may go from QUEUED to VOICE_GEN';
COMMENT ON COLUMN @extschema@.projects.transcript_text IS 'The script, where the user wrote it';
COMMENT ON COLUMN @extschema@.projects.settings IS 'Further choices of the user';
COMMENT ON COLUMN @extschema@.projects.created_at IS 'When the project was created';
COMMENT ON COLUMN @extschema@.projects.updated_at IS 'When the project was last changed; maintained by a trigger';

COMMENT ON TABLE @extschema@.jobs IS
'Video jobs: the attempts to make the video of a project.

create_job() creates them. A user reads his own.';
COMMENT ON COLUMN @extschema@.jobs.id IS 'Identifier';
COMMENT ON COLUMN @extschema@.jobs.project_id IS 'The project';
COMMENT ON COLUMN @extschema@.jobs.user_id IS 'Owner; create_job() takes the owner of the project';
COMMENT ON COLUMN @extschema@.jobs.status IS 'Stage; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.jobs.progress IS 'Percent, 0 to 100; it never decreases within an attempt';
COMMENT ON COLUMN @extschema@.jobs.status_message IS 'What the worker is doing, for the user';
COMMENT ON COLUMN @extschema@.jobs.cost_credits_reserved IS 'Credits that the last hold took';
COMMENT ON COLUMN @extschema@.jobs.cost_credits_final IS 'Credits charged in the end; set before READY it is the price that READY settles at';
COMMENT ON COLUMN @extschema@.jobs.failed_step IS 'Step in which the job failed';
COMMENT ON COLUMN @extschema@.jobs.error_code IS 'Why the job failed, for programs; CANCELLED when it was cancelled';
COMMENT ON COLUMN @extschema@.jobs.error_message IS 'Why the job failed, for people';
COMMENT ON COLUMN @extschema@.jobs.output_url IS 'Where the video is';
COMMENT ON COLUMN @extschema@.jobs.manifest_json IS 'What the video was made of';
COMMENT ON COLUMN @extschema@.jobs.created_at IS 'When the job was created';
COMMENT ON COLUMN @extschema@.jobs.started_at IS 'When the first stage after QUEUED began; maintained by a trigger';
COMMENT ON COLUMN @extschema@.jobs.finished_at IS 'When the job became READY or FAILED; maintained by a trigger';
COMMENT ON COLUMN @extschema@.jobs.priority IS 'Jobs of higher priority are claimed first';
COMMENT ON COLUMN @extschema@.jobs.run_at IS 'The job waits until then; NULL is at once';
COMMENT ON COLUMN @extschema@.jobs.idempotency_key IS 'Key that the client gave the job, unique for a user: the same call again returns this job';
COMMENT ON COLUMN @extschema@.jobs.max_attempts IS 'How often the job is tried, instead of setting max_attempts';
COMMENT ON COLUMN @extschema@.jobs.cancel_requested_at IS 'When the worker that has the job was asked to stop; maintained by the functions';

COMMENT ON TABLE @extschema@.job_steps IS
'Steps of video jobs.

create_job_steps() and create_job() create them, update_job_step() moves them. A user reads those of his jobs.';
COMMENT ON COLUMN @extschema@.job_steps.id IS 'Identifier';
COMMENT ON COLUMN @extschema@.job_steps.job_id IS 'The job';
COMMENT ON COLUMN @extschema@.job_steps.step_name IS 'Name, unique within the job';
COMMENT ON COLUMN @extschema@.job_steps.step_order IS 'Position, from 1';
COMMENT ON COLUMN @extschema@.job_steps.state IS 'State; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.job_steps.progress_pct IS 'Percent, 0 to 100; it never decreases within an attempt';
COMMENT ON COLUMN @extschema@.job_steps.status_message IS 'What the worker is doing';
COMMENT ON COLUMN @extschema@.job_steps.error_message IS 'Why the step failed';
COMMENT ON COLUMN @extschema@.job_steps.logs_url IS 'Where the full log is';
COMMENT ON COLUMN @extschema@.job_steps.artifacts_json IS 'What the step produced';
COMMENT ON COLUMN @extschema@.job_steps.started_at IS 'When the step was last started; maintained by a trigger';
COMMENT ON COLUMN @extschema@.job_steps.finished_at IS 'When the step succeeded or failed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.job_steps.user_id IS 'Owner of the job; maintained by triggers, whatever is written';

COMMENT ON TABLE @extschema@.assets IS
'Files that video jobs produced.

record_asset() writes them. A user reads those of his jobs.';
COMMENT ON COLUMN @extschema@.assets.id IS 'Identifier';
COMMENT ON COLUMN @extschema@.assets.job_id IS 'The job';
COMMENT ON COLUMN @extschema@.assets.type IS 'video, audio, image, captions, manifest or zip';
COMMENT ON COLUMN @extschema@.assets.url IS 'Where the file can be fetched';
COMMENT ON COLUMN @extschema@.assets.storage_path IS 'Where the file lies in the object store';
COMMENT ON COLUMN @extschema@.assets.size_bytes IS 'Size in bytes';
COMMENT ON COLUMN @extschema@.assets.mime_type IS 'Media type';
COMMENT ON COLUMN @extschema@.assets.metadata_json IS 'Further facts about the file';
COMMENT ON COLUMN @extschema@.assets.created_at IS 'When the file was recorded';
COMMENT ON COLUMN @extschema@.assets.user_id IS 'Owner of the job; maintained by triggers, whatever is written';

COMMENT ON TABLE @extschema@.logs IS
'Log lines of video jobs.

log_job() writes them. A user reads those of his jobs, but for level debug.';
COMMENT ON COLUMN @extschema@.logs.id IS 'Identifier';
COMMENT ON COLUMN @extschema@.logs.job_id IS 'The job';
COMMENT ON COLUMN @extschema@.logs.level IS 'debug, info, warn or error';
COMMENT ON COLUMN @extschema@.logs.step_name IS 'The step that reports';
COMMENT ON COLUMN @extschema@.logs.message IS 'The report';
COMMENT ON COLUMN @extschema@.logs.metadata_json IS 'Facts that belong to the report';
COMMENT ON COLUMN @extschema@.logs.created_at IS 'When it was reported';
COMMENT ON COLUMN @extschema@.logs.user_id IS 'Owner of the job; maintained by triggers, whatever is written';
