-- Multimedia that is made from content: sessions, files, narrations, slides,
-- scripts, views and the queue of the renderer.
-- Pitfall: several of these have a session and a content. Triggers ensure that
-- both, and the company, agree.

CREATE TABLE @extschema@.mm_multimedia_sessions (
  session_id UUID DEFAULT gen_random_uuid(),
  content_id UUID,
  company_id UUID,
  session_type TEXT NOT NULL DEFAULT 'full_generation',
  module_name TEXT,
  employee_name TEXT,
  generation_config JSONB DEFAULT '{}',
  content_sections TEXT[] DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'started',
  current_stage TEXT,
  progress_percentage NUMERIC DEFAULT 0,
  total_assets_generated INTEGER NOT NULL DEFAULT 0,
  slides_generated INTEGER NOT NULL DEFAULT 0,
  audio_files_generated INTEGER NOT NULL DEFAULT 0,
  video_files_generated INTEGER NOT NULL DEFAULT 0,
  processing_duration_seconds INTEGER,
  started_at TIMESTAMPTZ DEFAULT NOW(),
  completed_at TIMESTAMPTZ,
  error_message TEXT,
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT mm_multimedia_sessions_pkey PRIMARY KEY (session_id),
  CONSTRAINT mm_multimedia_sessions_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT mm_multimedia_sessions_company_id_fkey FOREIGN KEY (company_id)
    REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT mm_multimedia_sessions_status_check CHECK (status IN ('started', 'processing', 'completed', 'failed')),
  CONSTRAINT mm_multimedia_sessions_progress_percentage_check CHECK (progress_percentage BETWEEN 0 AND 100),
  CONSTRAINT mm_multimedia_sessions_processing_duration_seconds_check CHECK (processing_duration_seconds >= 0)
) WITH (fillfactor = 80);
CREATE INDEX idx_mm_multimedia_sessions_content ON @extschema@.mm_multimedia_sessions (content_id);
CREATE INDEX idx_mm_multimedia_sessions_company ON @extschema@.mm_multimedia_sessions (company_id);
CREATE INDEX idx_mm_multimedia_sessions_status ON @extschema@.mm_multimedia_sessions (status);

CREATE TABLE @extschema@.mm_multimedia_assets (
  asset_id UUID DEFAULT gen_random_uuid(),
  session_id UUID,
  content_id UUID,
  company_id UUID,
  asset_type TEXT NOT NULL,
  asset_name TEXT,
  file_path TEXT,
  file_size_bytes BIGINT,
  mime_type TEXT,
  section_name TEXT,
  duration_seconds NUMERIC,
  generation_config JSONB DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'generated',
  storage_bucket TEXT DEFAULT 'multimedia-assets',
  storage_path TEXT,
  public_url TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT mm_multimedia_assets_pkey PRIMARY KEY (asset_id),
  CONSTRAINT mm_multimedia_assets_session_id_fkey FOREIGN KEY (session_id)
    REFERENCES @extschema@.mm_multimedia_sessions (session_id) ON DELETE CASCADE,
  CONSTRAINT mm_multimedia_assets_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT mm_multimedia_assets_company_id_fkey FOREIGN KEY (company_id)
    REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT mm_multimedia_assets_asset_type_check CHECK (asset_type IN (
    'video', 'audio', 'slide', 'script', 'thumbnail', 'image', 'document'
  )),
  CONSTRAINT mm_multimedia_assets_status_check CHECK (status IN ('generated', 'processed', 'failed')),
  CONSTRAINT mm_multimedia_assets_file_size_bytes_check CHECK (file_size_bytes >= 0),
  CONSTRAINT mm_multimedia_assets_duration_seconds_check CHECK (duration_seconds >= 0)
);
CREATE INDEX idx_mm_multimedia_assets_session ON @extschema@.mm_multimedia_assets (session_id);
CREATE INDEX idx_mm_multimedia_assets_content ON @extschema@.mm_multimedia_assets (content_id);
CREATE INDEX idx_mm_multimedia_assets_company ON @extschema@.mm_multimedia_assets (company_id);
CREATE INDEX idx_mm_multimedia_assets_status ON @extschema@.mm_multimedia_assets (status);

CREATE TABLE @extschema@.mm_audio_narrations (
  narration_id UUID DEFAULT gen_random_uuid(),
  session_id UUID,
  content_id UUID,
  narration_name TEXT,
  narration_type TEXT NOT NULL DEFAULT 'full_module',
  section_name TEXT,
  total_duration_seconds NUMERIC,
  audio_segments JSONB DEFAULT '[]',
  voice_config JSONB DEFAULT '{}',
  script_content TEXT,
  master_audio_id UUID,
  segments_audio_ids UUID[] DEFAULT '{}',
  synthesis_completed BOOLEAN NOT NULL DEFAULT false,
  status TEXT NOT NULL DEFAULT 'pending',
  company_id UUID,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT mm_audio_narrations_pkey PRIMARY KEY (narration_id),
  CONSTRAINT mm_audio_narrations_session_id_fkey FOREIGN KEY (session_id)
    REFERENCES @extschema@.mm_multimedia_sessions (session_id) ON DELETE CASCADE,
  CONSTRAINT mm_audio_narrations_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT mm_audio_narrations_company_id_fkey FOREIGN KEY (company_id)
    REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT mm_audio_narrations_master_audio_id_fkey FOREIGN KEY (master_audio_id)
    REFERENCES @extschema@.mm_multimedia_assets (asset_id) ON DELETE SET NULL,
  CONSTRAINT mm_audio_narrations_status_check CHECK (status IN ('pending', 'synthesizing', 'completed', 'failed')),
  CONSTRAINT mm_audio_narrations_total_duration_seconds_check CHECK (total_duration_seconds >= 0)
);
CREATE INDEX idx_mm_audio_narrations_session ON @extschema@.mm_audio_narrations (session_id);
CREATE INDEX idx_mm_audio_narrations_content ON @extschema@.mm_audio_narrations (content_id);
CREATE INDEX idx_mm_audio_narrations_company ON @extschema@.mm_audio_narrations (company_id);
CREATE INDEX idx_mm_audio_narrations_master ON @extschema@.mm_audio_narrations (master_audio_id);

CREATE TABLE @extschema@.mm_slide_presentations (
  presentation_id UUID DEFAULT gen_random_uuid(),
  session_id UUID,
  content_id UUID,
  presentation_name TEXT,
  presentation_type TEXT NOT NULL DEFAULT 'full_module',
  total_slides INTEGER NOT NULL DEFAULT 0,
  slide_order JSONB DEFAULT '[]',
  template_used TEXT,
  theme_config JSONB DEFAULT '{}',
  pdf_generated BOOLEAN NOT NULL DEFAULT false,
  pptx_generated BOOLEAN NOT NULL DEFAULT false,
  html_generated BOOLEAN NOT NULL DEFAULT false,
  pdf_asset_id UUID,
  pptx_asset_id UUID,
  html_asset_id UUID,
  status TEXT NOT NULL DEFAULT 'draft',
  company_id UUID,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT mm_slide_presentations_pkey PRIMARY KEY (presentation_id),
  CONSTRAINT mm_slide_presentations_session_id_fkey FOREIGN KEY (session_id)
    REFERENCES @extschema@.mm_multimedia_sessions (session_id) ON DELETE CASCADE,
  CONSTRAINT mm_slide_presentations_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT mm_slide_presentations_company_id_fkey FOREIGN KEY (company_id)
    REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT mm_slide_presentations_pdf_asset_id_fkey FOREIGN KEY (pdf_asset_id)
    REFERENCES @extschema@.mm_multimedia_assets (asset_id) ON DELETE SET NULL,
  CONSTRAINT mm_slide_presentations_pptx_asset_id_fkey FOREIGN KEY (pptx_asset_id)
    REFERENCES @extschema@.mm_multimedia_assets (asset_id) ON DELETE SET NULL,
  CONSTRAINT mm_slide_presentations_html_asset_id_fkey FOREIGN KEY (html_asset_id)
    REFERENCES @extschema@.mm_multimedia_assets (asset_id) ON DELETE SET NULL,
  CONSTRAINT mm_slide_presentations_status_check CHECK (status IN ('draft', 'generating', 'completed', 'failed')),
  CONSTRAINT mm_slide_presentations_total_slides_check CHECK (total_slides >= 0)
);
CREATE INDEX idx_mm_slide_presentations_session ON @extschema@.mm_slide_presentations (session_id);
CREATE INDEX idx_mm_slide_presentations_content ON @extschema@.mm_slide_presentations (content_id);
CREATE INDEX idx_mm_slide_presentations_company ON @extschema@.mm_slide_presentations (company_id);
CREATE INDEX idx_mm_slide_presentations_pdf ON @extschema@.mm_slide_presentations (pdf_asset_id);
CREATE INDEX idx_mm_slide_presentations_pptx ON @extschema@.mm_slide_presentations (pptx_asset_id);
CREATE INDEX idx_mm_slide_presentations_html ON @extschema@.mm_slide_presentations (html_asset_id);

CREATE TABLE @extschema@.mm_script_generations (
  script_id UUID DEFAULT gen_random_uuid(),
  session_id UUID,
  content_id UUID,
  company_id UUID,
  section_name TEXT,
  script_type TEXT NOT NULL DEFAULT 'narration',
  script_content TEXT,
  word_count INTEGER NOT NULL DEFAULT 0,
  generation_config JSONB DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'pending',
  error_message TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  completed_at TIMESTAMPTZ,
  CONSTRAINT mm_script_generations_pkey PRIMARY KEY (script_id),
  CONSTRAINT mm_script_generations_session_id_fkey FOREIGN KEY (session_id)
    REFERENCES @extschema@.mm_multimedia_sessions (session_id) ON DELETE CASCADE,
  CONSTRAINT mm_script_generations_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT mm_script_generations_company_id_fkey FOREIGN KEY (company_id)
    REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT mm_script_generations_status_check CHECK (status IN ('pending', 'generating', 'completed', 'failed'))
);
CREATE INDEX idx_mm_script_generations_session ON @extschema@.mm_script_generations (session_id);
CREATE INDEX idx_mm_script_generations_content ON @extschema@.mm_script_generations (content_id);
CREATE INDEX idx_mm_script_generations_company ON @extschema@.mm_script_generations (company_id);

CREATE TABLE @extschema@.mm_video_analytics (
  analytics_id UUID DEFAULT gen_random_uuid(),
  asset_id UUID NOT NULL,
  content_id UUID,
  company_id UUID,
  view_date DATE NOT NULL,
  view_count BIGINT NOT NULL DEFAULT 0,
  completed_count BIGINT NOT NULL DEFAULT 0,
  watch_seconds NUMERIC NOT NULL DEFAULT 0,
  last_viewed_at TIMESTAMPTZ,
  CONSTRAINT mm_video_analytics_pkey PRIMARY KEY (analytics_id),
  CONSTRAINT mm_video_analytics_asset_id_view_date_key UNIQUE (asset_id, view_date),
  CONSTRAINT mm_video_analytics_asset_id_fkey FOREIGN KEY (asset_id)
    REFERENCES @extschema@.mm_multimedia_assets (asset_id) ON DELETE CASCADE,
  CONSTRAINT mm_video_analytics_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT mm_video_analytics_company_id_fkey FOREIGN KEY (company_id)
    REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT mm_video_analytics_counts_check CHECK (
    view_count >= 0 AND completed_count >= 0 AND completed_count <= view_count AND watch_seconds >= 0
  )
) WITH (fillfactor = 80);
CREATE INDEX idx_mm_video_analytics_content ON @extschema@.mm_video_analytics (content_id);
CREATE INDEX idx_mm_video_analytics_company ON @extschema@.mm_video_analytics (company_id);

CREATE TABLE @extschema@.mm_rendering_queue (
  render_id UUID DEFAULT gen_random_uuid(),
  session_id UUID,
  content_id UUID,
  company_id UUID,
  user_id UUID,
  asset_id UUID,
  render_config JSONB DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'queued',
  priority INTEGER NOT NULL DEFAULT 0,
  progress INTEGER NOT NULL DEFAULT 0,
  retry_count INTEGER NOT NULL DEFAULT 0,
  error_code TEXT,
  error_message TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  cost_credits_reserved INTEGER NOT NULL DEFAULT 0,
  run_at TIMESTAMPTZ,
  idempotency_key TEXT,
  max_attempts INTEGER,
  cancel_requested_at TIMESTAMPTZ,
  CONSTRAINT mm_rendering_queue_pkey PRIMARY KEY (render_id),
  CONSTRAINT mm_rendering_queue_session_id_fkey FOREIGN KEY (session_id)
    REFERENCES @extschema@.mm_multimedia_sessions (session_id) ON DELETE CASCADE,
  CONSTRAINT mm_rendering_queue_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT mm_rendering_queue_company_id_fkey FOREIGN KEY (company_id)
    REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT mm_rendering_queue_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE SET NULL,
  CONSTRAINT mm_rendering_queue_asset_id_fkey FOREIGN KEY (asset_id)
    REFERENCES @extschema@.mm_multimedia_assets (asset_id) ON DELETE SET NULL,
  CONSTRAINT mm_rendering_queue_status_check CHECK (status IN (
    'queued', 'rendering', 'completed', 'failed', 'cancelled'
  )),
  CONSTRAINT mm_rendering_queue_progress_check CHECK (progress BETWEEN 0 AND 100),
  CONSTRAINT mm_rendering_queue_retry_count_check CHECK (retry_count >= 0),
  CONSTRAINT mm_rendering_queue_cost_credits_reserved_check CHECK (cost_credits_reserved >= 0),
  CONSTRAINT mm_rendering_queue_run_at_check CHECK (isfinite(run_at)),
  CONSTRAINT mm_rendering_queue_idempotency_key_check CHECK (length(idempotency_key) BETWEEN 1 AND 200),
  CONSTRAINT mm_rendering_queue_max_attempts_check CHECK (max_attempts BETWEEN 1 AND 1000)
);
CREATE INDEX idx_mm_rendering_queue_session ON @extschema@.mm_rendering_queue (session_id);
CREATE INDEX idx_mm_rendering_queue_content ON @extschema@.mm_rendering_queue (content_id);
CREATE INDEX idx_mm_rendering_queue_company ON @extschema@.mm_rendering_queue (company_id);
CREATE INDEX idx_mm_rendering_queue_user ON @extschema@.mm_rendering_queue (user_id);
CREATE INDEX idx_mm_rendering_queue_asset ON @extschema@.mm_rendering_queue (asset_id);
CREATE INDEX idx_mm_rendering_queue_waiting ON @extschema@.mm_rendering_queue (priority DESC, created_at) WHERE status = 'queued';
-- content need not have a company: then the key is one of all that has none
CREATE UNIQUE INDEX idx_mm_rendering_queue_idempotency_key ON @extschema@.mm_rendering_queue (company_id, idempotency_key)
  NULLS NOT DISTINCT WHERE idempotency_key IS NOT NULL;

ALTER TABLE @extschema@.mm_multimedia_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mm_multimedia_assets ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mm_audio_narrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mm_slide_presentations ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mm_script_generations ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mm_video_analytics ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mm_rendering_queue ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.mm_multimedia_sessions IS
'Sessions that produce multimedia from a module.

create_multimedia_session() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.session_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.content_id IS 'The module';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.company_id IS 'Company of the module; filled in by a trigger. NULL: seen by services only';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.session_type IS 'full_generation, section_video and so on';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.module_name IS 'Name of the module';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.employee_name IS 'The learner, for personalization';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.generation_config IS 'Settings of the generation';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.content_sections IS 'Sections to generate';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.status IS 'started, processing, completed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.current_stage IS 'What is being done';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.progress_percentage IS 'Percent, 0 to 100; never backwards within an attempt';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.total_assets_generated IS 'Number of its assets; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.slides_generated IS 'Number of its assets of type slide; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.audio_files_generated IS 'Number of its assets of type audio; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.video_files_generated IS 'Number of its assets of type video; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.processing_duration_seconds IS 'Whole seconds from started_at to completed_at, at most 2147483647; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.started_at IS 'When the attempt began';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.completed_at IS 'When it was completed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.error_message IS 'Why it failed';
COMMENT ON COLUMN @extschema@.mm_multimedia_sessions.updated_at IS 'When it was last changed; maintained by a trigger';

COMMENT ON TABLE @extschema@.mm_multimedia_assets IS
'Files of multimedia sessions: videos, audio, slides and so on.

register_multimedia_asset() writes them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.asset_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.session_id IS 'The session that made it';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.content_id IS 'The module; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.company_id IS 'The company; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.asset_type IS 'video, audio, slide, script, thumbnail, image or document';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.asset_name IS 'File name';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.file_path IS 'Path on the machine that made it';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.file_size_bytes IS 'Size in bytes';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.mime_type IS 'Media type';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.section_name IS 'Section of the module, or what it is part of';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.duration_seconds IS 'Duration of audio and video in seconds';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.generation_config IS 'Settings it was made with';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.status IS 'generated, processed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.storage_bucket IS 'Bucket in the object store';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.storage_path IS 'Path in the bucket: type/section/time_filename';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.public_url IS 'Where it can be fetched';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.created_at IS 'When it was registered';
COMMENT ON COLUMN @extschema@.mm_multimedia_assets.updated_at IS 'When it was last changed; maintained by a trigger';

COMMENT ON TABLE @extschema@.mm_audio_narrations IS
'Narrations: script, voice and the audio that was made of them.

create_audio_narration() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.narration_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.session_id IS 'The session';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.content_id IS 'The module; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.narration_name IS 'Name';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.narration_type IS 'full_module, section and so on';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.section_name IS 'Section, where it is of one';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.total_duration_seconds IS 'Duration in seconds';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.audio_segments IS 'The segments';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.voice_config IS 'Voice, speed and so on';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.script_content IS 'The whole script';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.master_audio_id IS 'The asset with all of it';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.segments_audio_ids IS 'The assets of the segments';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.synthesis_completed IS 'True if it is completed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.status IS 'pending, synthesizing, completed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.company_id IS 'The company; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.created_at IS 'When it was made';
COMMENT ON COLUMN @extschema@.mm_audio_narrations.updated_at IS 'When it was last changed; maintained by a trigger';

COMMENT ON TABLE @extschema@.mm_slide_presentations IS
'Slide decks and their exports.

create_slide_presentation() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.presentation_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.session_id IS 'The session';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.content_id IS 'The module; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.presentation_name IS 'Name';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.presentation_type IS 'full_module, section and so on';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.total_slides IS 'Number of slides';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.slide_order IS 'The slides in order';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.template_used IS 'Name of the template';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.theme_config IS 'Settings of the theme';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.pdf_generated IS 'True if it was exported to PDF';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.pptx_generated IS 'True if it was exported to PowerPoint';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.html_generated IS 'True if it was exported to HTML';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.pdf_asset_id IS 'The asset with the PDF';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.pptx_asset_id IS 'The asset with the PowerPoint file';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.html_asset_id IS 'The asset with the HTML';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.status IS 'draft, generating, completed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.company_id IS 'The company; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.created_at IS 'When it was made';
COMMENT ON COLUMN @extschema@.mm_slide_presentations.updated_at IS 'When it was last changed; maintained by a trigger';

COMMENT ON TABLE @extschema@.mm_script_generations IS
'Scripts written for narrations and videos.

create_script_generation() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.mm_script_generations.script_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.mm_script_generations.session_id IS 'The session';
COMMENT ON COLUMN @extschema@.mm_script_generations.content_id IS 'The module; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_script_generations.company_id IS 'The company; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_script_generations.section_name IS 'Section, where it is for one';
COMMENT ON COLUMN @extschema@.mm_script_generations.script_type IS 'narration, video and so on';
COMMENT ON COLUMN @extschema@.mm_script_generations.script_content IS 'The script';
COMMENT ON COLUMN @extschema@.mm_script_generations.word_count IS 'Words of the script; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_script_generations.generation_config IS 'Settings it was made with';
COMMENT ON COLUMN @extschema@.mm_script_generations.status IS 'pending, generating, completed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.mm_script_generations.error_message IS 'Why it failed';
COMMENT ON COLUMN @extschema@.mm_script_generations.created_at IS 'When it was made';
COMMENT ON COLUMN @extschema@.mm_script_generations.updated_at IS 'When it was last changed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_script_generations.completed_at IS 'When it was completed; maintained by a trigger';

COMMENT ON TABLE @extschema@.mm_video_analytics IS
'Views of assets, one row for each asset and day, in UTC.

record_video_view() counts them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.mm_video_analytics.analytics_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.mm_video_analytics.asset_id IS 'The asset';
COMMENT ON COLUMN @extschema@.mm_video_analytics.content_id IS 'The module; that of the asset, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_video_analytics.company_id IS 'The company; that of the asset, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_video_analytics.view_date IS 'The day, in UTC';
COMMENT ON COLUMN @extschema@.mm_video_analytics.view_count IS 'Views on that day';
COMMENT ON COLUMN @extschema@.mm_video_analytics.completed_count IS 'Views to the end';
COMMENT ON COLUMN @extschema@.mm_video_analytics.watch_seconds IS 'Seconds watched, all views together';
COMMENT ON COLUMN @extschema@.mm_video_analytics.last_viewed_at IS 'When the last of them was recorded';

COMMENT ON TABLE @extschema@.mm_rendering_queue IS
'Videos to be rendered.

enqueue_rendering() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.render_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.session_id IS 'The session';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.content_id IS 'The module; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.company_id IS 'The company; that of the session, filled in by a trigger';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.user_id IS 'Who asked for it';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.asset_id IS 'The rendered video';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.render_config IS 'What to render and how';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.status IS 'queued, rendering, completed, failed or cancelled; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.priority IS 'Higher is rendered first';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.progress IS 'Percent, 0 to 100; never backwards within an attempt';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.retry_count IS 'How often it was queued again; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.error_code IS 'Why it failed, for programs';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.error_message IS 'Why it failed, for people';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.created_at IS 'When it was queued';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.updated_at IS 'When it was last changed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.started_at IS 'When rendering began; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.finished_at IS 'When it ended; maintained by a trigger';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.cost_credits_reserved IS 'Price in credits of user_id, held while the rendering is open: setting price_rendering when it was made; written by a trigger';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.run_at IS 'The rendering waits until then; NULL is at once';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.idempotency_key IS 'Key that the client gave the rendering, unique for a company: the same call again returns this rendering';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.max_attempts IS 'How often the rendering is tried, instead of setting max_attempts';
COMMENT ON COLUMN @extschema@.mm_rendering_queue.cancel_requested_at IS 'When the worker that has the rendering was asked to stop; maintained by the functions';
