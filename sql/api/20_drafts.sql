-- Prompts written before sign-up. The session token is a secret: a caller who
-- knows it may read and claim the draft.

CREATE FUNCTION @extschema@.save_draft_prompt(
    p_session_token text, p_prompt_text text, p_template_id text DEFAULT NULL, p_options jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'save_draft_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.save_draft_prompt(text, text, text, jsonb) IS
'Save the draft prompt of a session that has not signed up yet.

A token has one live draft: the newest text replaces the one before, and lives for setting draft_lifetime_days
from then on.

- p_session_token: 16 to 255 characters. It is a secret, with which the draft can be read and claimed.
- p_prompt_text: 1 to 20000 characters.
- p_template_id: at most 255 characters, or NULL.
- p_options: a JSON object of at most 16 KiB, both as stored and as text, with at most 64 levels and numbers
  of at most 400 digits; NULL is {}.

Returns the id of the draft.
Callers: anybody, without signing in too.
Errors: 22004 p_session_token or p_prompt_text is NULL; 22023 an argument is out of bounds.';

CREATE FUNCTION @extschema@.get_draft_prompt(p_session_token text) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_draft_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_draft_prompt(text) IS
'Returns the live, unclaimed draft of a session.

- p_session_token: the token that save_draft_prompt() got. The result does not repeat it.

Returns NULL when there is no such draft.
Callers: anybody who knows the token.
Errors: 22004 p_session_token is NULL.';

CREATE FUNCTION @extschema@.claim_draft_prompt(p_session_token text, p_user_id uuid) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'claim_draft_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.claim_draft_prompt(text, uuid) IS
'Assign the drafts of a session to a user.

All unclaimed, unexpired drafts of the token are assigned. Of two claims at the same time one gets them.

- p_session_token: the token that save_draft_prompt() got.
- p_user_id: the user.

Returns the id of the newest draft, or NULL when there is none left to claim.
Callers: the user, or a service.
Errors: 22004 an argument is NULL; 42501 not the caller; PT404 no such user.';

CREATE FUNCTION @extschema@.cleanup_expired_drafts(p_limit integer DEFAULT 1000) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cleanup_expired_drafts'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cleanup_expired_drafts(integer) IS
'Delete expired drafts that were never claimed.

- p_limit: at most how many, 1 to 100000, the oldest first.

Skips drafts that another session has locked. Returns the number of drafts deleted.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 p_limit is out of bounds.';
