-- Prompts written before sign-up. The session token is a secret: whoever knows
-- it may read and claim the draft.

CREATE FUNCTION @extschema@.save_draft_prompt(
    p_session_token text, p_prompt_text text, p_template_id text DEFAULT NULL, p_options jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'save_draft_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.save_draft_prompt(text, text, text, jsonb) IS
'Saves the draft of a session: one live draft per token, the newest text wins and lives on for setting draft_lifetime_days. p_session_token 16 to 255 characters, p_prompt_text 1 to 20000 characters, p_template_id at most 255, p_options a JSON object of at most 16 KiB, as it is stored and as it is shown, 64 levels and numbers of 400 digits. Returns its id. Anybody, anonymous too; 22004 NULL, 22023 out of bounds.';

CREATE FUNCTION @extschema@.get_draft_prompt(p_session_token text) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_draft_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_draft_prompt(text) IS
'The live, unclaimed draft of a session without its token, or NULL when there is none. Anybody who knows the token; 22004 NULL.';

CREATE FUNCTION @extschema@.claim_draft_prompt(p_session_token text, p_user_id uuid) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'claim_draft_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.claim_draft_prompt(text, uuid) IS
'Gives the unclaimed, unexpired drafts of a session to user p_user_id. Returns the id of the newest, or NULL when there was none left to claim. The user or a service; 22004 NULL, 42501 not yours, PT404 no such user.';

CREATE FUNCTION @extschema@.cleanup_expired_drafts(p_limit integer DEFAULT 1000) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cleanup_expired_drafts'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cleanup_expired_drafts(integer) IS
'Deletes at most p_limit (1 to 100000) expired drafts that nobody claimed, oldest first, passing by those that another session works on. Returns how many. Services only; 22004, 22023.';
