-- Prompts written before sign-up.

CREATE TABLE @extschema@.draft_prompts (
  id UUID DEFAULT gen_random_uuid(),
  session_token TEXT NOT NULL,
  user_id UUID,
  prompt_text TEXT NOT NULL,
  template_id TEXT,
  options JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  expires_at TIMESTAMPTZ DEFAULT NOW() + INTERVAL '7 days',
  CONSTRAINT draft_prompts_pkey PRIMARY KEY (id),
  CONSTRAINT draft_prompts_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE
);
CREATE INDEX idx_draft_session ON @extschema@.draft_prompts (session_token);
CREATE INDEX idx_draft_user ON @extschema@.draft_prompts (user_id);
CREATE INDEX idx_draft_expires ON @extschema@.draft_prompts (expires_at);

ALTER TABLE @extschema@.draft_prompts ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.draft_prompts IS
'Prompts written before sign-up.

claim_draft_prompt() assigns them to a user by the session token, which is a secret. A user reads his own.';
COMMENT ON COLUMN @extschema@.draft_prompts.id IS 'Identifier';
COMMENT ON COLUMN @extschema@.draft_prompts.session_token IS 'Secret of the browser session; readable by services, and by the user who claimed the draft';
COMMENT ON COLUMN @extschema@.draft_prompts.user_id IS 'Who claimed the draft; NULL until then';
COMMENT ON COLUMN @extschema@.draft_prompts.prompt_text IS 'The prompt';
COMMENT ON COLUMN @extschema@.draft_prompts.template_id IS 'Template that the prompt was started from';
COMMENT ON COLUMN @extschema@.draft_prompts.options IS 'Choices made with the prompt';
COMMENT ON COLUMN @extschema@.draft_prompts.created_at IS 'When the draft was first saved';
COMMENT ON COLUMN @extschema@.draft_prompts.updated_at IS 'When the draft was last saved or claimed';
COMMENT ON COLUMN @extschema@.draft_prompts.expires_at IS 'When an unclaimed draft expires';
