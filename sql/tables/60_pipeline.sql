-- Runs of the pipeline, the events and artifacts that its bots report, and their
-- prompts.
-- Pitfall: sql/install/begin.sql creates schema pipeline, since its functions are
-- created before the tables. Clients know the tables by these names, jobs among
-- them, so every reference must be qualified.

CREATE TABLE pipeline.jobs (
  run_id TEXT,
  project_spec JSONB NOT NULL,
  owner_id UUID,
  status TEXT DEFAULT 'pending',
  started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  error_message TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  last_event_seq BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT jobs_pkey PRIMARY KEY (run_id),
  CONSTRAINT jobs_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES auth.users (id) ON DELETE CASCADE,
  CONSTRAINT jobs_status_check CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled'))
);
CREATE INDEX idx_jobs_owner ON pipeline.jobs (owner_id);
CREATE INDEX idx_jobs_status ON pipeline.jobs (status);
CREATE INDEX idx_jobs_created ON pipeline.jobs (created_at DESC);
CREATE INDEX idx_jobs_owner_active ON pipeline.jobs (owner_id) WHERE status IN ('pending', 'running');

CREATE TABLE pipeline.job_events (
  id UUID DEFAULT gen_random_uuid(),
  run_id TEXT NOT NULL,
  bot_name TEXT NOT NULL,
  event_type TEXT NOT NULL,
  payload JSONB,
  owner_id UUID,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  seq BIGINT NOT NULL,
  CONSTRAINT job_events_pkey PRIMARY KEY (id),
  CONSTRAINT job_events_run_id_fkey FOREIGN KEY (run_id) REFERENCES pipeline.jobs (run_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX idx_job_events_seq ON pipeline.job_events (run_id, seq);
CREATE INDEX idx_job_events_owner ON pipeline.job_events (owner_id);
CREATE INDEX idx_job_events_created ON pipeline.job_events (created_at);

CREATE TABLE pipeline.artifacts (
  id UUID DEFAULT gen_random_uuid(),
  run_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  url TEXT,
  meta JSONB,
  owner_id UUID,
  file_size BIGINT,
  content_type TEXT,
  checksum TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT artifacts_pkey PRIMARY KEY (id),
  CONSTRAINT artifacts_run_id_fkey FOREIGN KEY (run_id) REFERENCES pipeline.jobs (run_id) ON DELETE CASCADE
);
CREATE INDEX idx_artifacts_run ON pipeline.artifacts (run_id);
CREATE INDEX idx_artifacts_owner ON pipeline.artifacts (owner_id);
CREATE UNIQUE INDEX idx_artifacts_checksum ON pipeline.artifacts (run_id, kind, checksum) WHERE checksum IS NOT NULL;
-- a hash index, since an address may be longer than a btree accepts
CREATE INDEX idx_artifacts_url ON pipeline.artifacts USING hash (url) WHERE checksum IS NULL;

CREATE TABLE pipeline.prompts (
  id TEXT,
  category TEXT NOT NULL,
  context TEXT NOT NULL,
  prompt_text TEXT NOT NULL,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT prompts_pkey PRIMARY KEY (id)
);
CREATE INDEX idx_prompts_category ON pipeline.prompts (category);

ALTER TABLE pipeline.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE pipeline.job_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE pipeline.artifacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE pipeline.prompts ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE pipeline.jobs IS
'Runs of the pipeline.

pipeline.create_job() creates them. A user reads his own.';
COMMENT ON COLUMN pipeline.jobs.run_id IS 'Identifier, chosen by the caller of create_job() or random; one name space for all users';
COMMENT ON COLUMN pipeline.jobs.project_spec IS 'Specification of what the run produces';
COMMENT ON COLUMN pipeline.jobs.owner_id IS 'Owner; NULL: services only. Deleting the user deletes the run';
COMMENT ON COLUMN pipeline.jobs.status IS 'pending, running, completed, failed or cancelled; changed only along workflow_transitions()';
COMMENT ON COLUMN pipeline.jobs.started_at IS 'When the attempt began to run; maintained by a trigger';
COMMENT ON COLUMN pipeline.jobs.completed_at IS 'When the attempt completed, failed or was cancelled; maintained by a trigger';
COMMENT ON COLUMN pipeline.jobs.error_message IS 'Why the attempt failed';
COMMENT ON COLUMN pipeline.jobs.created_at IS 'When the run was created';
COMMENT ON COLUMN pipeline.jobs.updated_at IS 'When the run was last changed, not counting its events; maintained by a trigger';
COMMENT ON COLUMN pipeline.jobs.last_event_seq IS 'Number of the last event; maintained by triggers, other writes are ignored';

COMMENT ON TABLE pipeline.job_events IS
'Events of a run: reports of bots, and changes of status.

pipeline.record_event() writes the reports, pipeline.events_since() returns them. A user reads those of his
runs.';
COMMENT ON COLUMN pipeline.job_events.id IS 'Identifier';
COMMENT ON COLUMN pipeline.job_events.run_id IS 'The run; an event stays with it';
COMMENT ON COLUMN pipeline.job_events.bot_name IS 'Who reports; studio_engine reports changes of status';
COMMENT ON COLUMN pipeline.job_events.event_type IS 'What kind of report; status_changed for changes of status';
COMMENT ON COLUMN pipeline.job_events.payload IS 'The report; of status_changed: from, to and, where there is one, error_message';
COMMENT ON COLUMN pipeline.job_events.owner_id IS 'Owner of the run; maintained by triggers, whatever is written';
COMMENT ON COLUMN pipeline.job_events.created_at IS 'When the transaction that reported began';
COMMENT ON COLUMN pipeline.job_events.seq IS 'Number of the event in its run: 1, 2, 3 and so on, in the order in which events become visible; maintained by a trigger';

COMMENT ON TABLE pipeline.artifacts IS
'Files that runs produced.

pipeline.register_artifact() writes them. A user reads those of his runs.';
COMMENT ON COLUMN pipeline.artifacts.id IS 'Identifier';
COMMENT ON COLUMN pipeline.artifacts.run_id IS 'The run; an artifact stays with it';
COMMENT ON COLUMN pipeline.artifacts.kind IS 'Kind of file, such as zip';
COMMENT ON COLUMN pipeline.artifacts.url IS 'Where the file can be fetched';
COMMENT ON COLUMN pipeline.artifacts.meta IS 'Further facts about the file';
COMMENT ON COLUMN pipeline.artifacts.owner_id IS 'Owner of the run; maintained by triggers, whatever is written';
COMMENT ON COLUMN pipeline.artifacts.file_size IS 'Size in bytes';
COMMENT ON COLUMN pipeline.artifacts.content_type IS 'Media type';
COMMENT ON COLUMN pipeline.artifacts.checksum IS 'Checksum of the file; unique within run and kind';
COMMENT ON COLUMN pipeline.artifacts.created_at IS 'When the file was registered';

COMMENT ON TABLE pipeline.prompts IS
'Prompts and copy that the bots use.

pipeline.upsert_prompt() writes them. Every signed-in user may read them.';
COMMENT ON COLUMN pipeline.prompts.id IS 'Identifier';
COMMENT ON COLUMN pipeline.prompts.category IS 'Category';
COMMENT ON COLUMN pipeline.prompts.context IS 'Where the prompt is used';
COMMENT ON COLUMN pipeline.prompts.prompt_text IS 'The prompt';
COMMENT ON COLUMN pipeline.prompts.created_at IS 'When the prompt was created';
COMMENT ON COLUMN pipeline.prompts.updated_at IS 'When the prompt was last changed; maintained by a trigger';

