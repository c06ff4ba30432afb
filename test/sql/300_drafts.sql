-- 300_drafts.sql
--
-- Prompts written before sign-up: saved, read, claimed, cleaned up.
-- Pitfall: a token shorter than 16 characters cannot be saved by function, but
-- old rows may have one, and such a draft can still be claimed.

\set VERBOSITY terse
\set SHOW_CONTEXT never
-- days of 24 hours
SET timezone = 'UTC';
\set token '''session-token-0001'''

CREATE VIEW t.drafts AS
SELECT session_token AS token, t.n(user_id) AS "user", prompt_text AS prompt, template_id AS template, options,
       round(extract(epoch FROM expires_at - updated_at) / 86400, 2) AS days
  FROM draft_prompts ORDER BY session_token, prompt_text;

CALL t.sign_up(1, 2);

-- anonymous: saves, reads, saves again: one live draft, the newest text wins
CALL t.as_role('anon');
SELECT save_draft_prompt(:token, 'A film about tea') AS first \gset
SELECT get_draft_prompt(:token) - 'id' - 'created_at' - 'updated_at' - 'expires_at' AS draft;
SELECT save_draft_prompt(:token, 'A film about coffee', 'template-1', '{"minutes": 2}') = :'first' AS same_draft;
SELECT get_draft_prompt(:token) - 'id' - 'created_at' - 'updated_at' - 'expires_at' AS draft;
SELECT get_draft_prompt(:token) ->> 'id' = :'first' AS same_draft, get_draft_prompt(:token) ? 'session_token' AS token_shown;
SELECT jsonb_object_keys(get_draft_prompt(:token)) AS key ORDER BY key;
SELECT get_draft_prompt('another-token-0002') IS NULL AS nothing_there;
SELECT save_draft_prompt('another-token-0002', 'Ein Film über Tee ☕', NULL, NULL) <> :'first' AS another_draft;
SELECT get_draft_prompt('another-token-0002') ->> 'prompt_text' AS prompt, get_draft_prompt('another-token-0002') -> 'options' AS options;
-- what anonymous callers may not
SELECT t.try($$SELECT claim_draft_prompt('session-token-0001', t.id(1))$$);
SELECT t.try($$SELECT cleanup_expired_drafts()$$);
SELECT t.try($$SELECT * FROM draft_prompts$$);
-- bounds
SELECT t.try($$SELECT save_draft_prompt(NULL, 'p')$$);
SELECT t.try($$SELECT save_draft_prompt('', 'p')$$);
SELECT t.try($$SELECT save_draft_prompt(repeat('t', 15), 'p')$$);
SELECT t.try($$SELECT save_draft_prompt(repeat('t', 16), 'p')$$);
SELECT t.try($$SELECT save_draft_prompt(repeat('t', 255), 'p')$$);
SELECT t.try($$SELECT save_draft_prompt(repeat('t', 256), 'p')$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0001', NULL)$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0001', '')$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0003', repeat('ß', 20000))$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0003', repeat('x', 20001))$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0001', 'p', repeat('x', 256))$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0001', 'p', NULL, '[]')$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0001', 'p', NULL, '"x"')$$);
SELECT t.try($$SELECT save_draft_prompt('session-token-0001', 'p', NULL, 'null')$$);
SELECT t.try(format($$SELECT save_draft_prompt('session-token-0001', 'p', NULL, jsonb_build_object('x', repeat('y', %s)))$$, 17000));
SELECT t.try($$SELECT get_draft_prompt(NULL)$$);
SELECT get_draft_prompt(:token) ->> 'prompt_text' AS unharmed;
CALL t.as_admin();
DELETE FROM draft_prompts WHERE prompt_text = 'p' OR session_token = 'session-token-0003';
SELECT * FROM t.drafts;

-- claiming: only for oneself; once; then it is the user's, and the token is free
CALL t.as_user(t.id(1));
SELECT t.try($$SELECT claim_draft_prompt('session-token-0001', t.id(2))$$) AS for_another;
SELECT t.try($$SELECT claim_draft_prompt('session-token-0001', t.id(99))$$) AS for_nobody;
SELECT t.try($$SELECT claim_draft_prompt(NULL, t.id(1))$$);
SELECT t.try($$SELECT claim_draft_prompt('session-token-0001', NULL)$$);
SELECT claim_draft_prompt(:token, t.id(1)) = :'first' AS claimed;
SELECT claim_draft_prompt(:token, t.id(1)) IS NULL AS nothing_left;
SELECT claim_draft_prompt('no-such-token-at-all', t.id(1)) IS NULL AS nothing_there;
SELECT claim_draft_prompt('', t.id(1)) IS NULL AS nothing_there;
SELECT prompt_text, t.n(user_id) AS "user" FROM draft_prompts;
SELECT t.ask('SELECT session_token FROM draft_prompts') AS own_token;
SELECT t.ask('SELECT count(*) FROM (SELECT * FROM draft_prompts) d') AS whole_rows;
CALL t.as_user(t.id(2));
SELECT claim_draft_prompt(:token, t.id(2)) IS NULL AS nothing_left;
SELECT count(*) AS seen_by_another FROM draft_prompts;
SELECT count(*) AS known_by_another FROM draft_prompts WHERE session_token = :token;
CALL t.as_role('anon');
SELECT get_draft_prompt(:token) IS NULL AS gone;
SELECT save_draft_prompt(:token, 'A film about cocoa') <> :'first' AS new_draft;
CALL t.as_admin();
SELECT * FROM t.drafts;
CALL t.as_role('service_role');
SELECT t.try($$SELECT claim_draft_prompt('session-token-0001', t.id(99))$$) AS unknown_user;
SELECT claim_draft_prompt(:token, t.id(2)) IS NOT NULL AS claimed_by_a_service;
CALL t.as_admin();
SELECT * FROM t.drafts WHERE "user" IS NOT NULL;
DELETE FROM draft_prompts;

-- several rows of one token, as old data may hold: all are claimed but for the
-- expired ones, and the newest id is returned; the function reads the newest
INSERT INTO draft_prompts (id, session_token, prompt_text, created_at, updated_at, expires_at) VALUES
  (t.id(31), 'old', 'first',   '2026-01-01', '2026-01-01', now() + INTERVAL '1 day'),
  (t.id(32), 'old', 'newest',  '2026-01-03', '2026-01-03', now() + INTERVAL '1 day'),
  (t.id(33), 'old', 'second',  '2026-01-02', '2026-01-02', now() + INTERVAL '1 day'),
  (t.id(34), 'old', 'expired', '2026-01-04', '2026-01-04', now() - INTERVAL '1 second'),
  (t.id(35), 'other', 'other', '2026-01-05', '2026-01-05', now() + INTERVAL '1 day'),
  (t.id(36), 'expired', 'gone', '2026-01-05', '2026-01-05', now());
CALL t.as_user(t.id(1));
SELECT t.n(claim_draft_prompt('old', t.id(1))) AS newest;
SELECT t.n(claim_draft_prompt('old', t.id(1))) AS nothing_left;
SELECT t.n(claim_draft_prompt('expired', t.id(1))) AS expires_now;
CALL t.as_admin();
SELECT t.n(id) AS draft, session_token, t.n(user_id) AS "user" FROM draft_prompts ORDER BY id;
DELETE FROM draft_prompts;

-- saving revives no expired draft and prolongs a live one
INSERT INTO draft_prompts (id, session_token, prompt_text, created_at, updated_at, expires_at) VALUES
  (t.id(31), :token, 'expired', now() - INTERVAL '8 days', now() - INTERVAL '8 days', now() - INTERVAL '1 day'),
  (t.id(32), 'another-token-0002', 'old', now() - INTERVAL '6 days', now() - INTERVAL '6 days', now() + INTERVAL '1 day'),
  (t.id(33), 'another-token-0002', 'older', now() - INTERVAL '6 days', now() - INTERVAL '6.5 days', now() + INTERVAL '1 day');
SELECT t.n(save_draft_prompt(:token, 'new')) AS a_new_one, t.n(save_draft_prompt('another-token-0002', 'changed')) AS the_newest;
SELECT * FROM t.drafts;
UPDATE studio_engine.settings SET value = '3' WHERE name = 'draft_lifetime_days';
SELECT t.n(save_draft_prompt('another-token-0002', 'three days')) AS the_newest;
SELECT * FROM t.drafts WHERE prompt = 'three days';
UPDATE studio_engine.settings SET value = '7' WHERE name = 'draft_lifetime_days';
DELETE FROM draft_prompts;

-- cleaning up: expired and unclaimed, oldest first, in bounded batches
INSERT INTO draft_prompts (id, session_token, user_id, prompt_text, expires_at)
SELECT t.id(40 + n), 'token ' || n, CASE WHEN n = 3 THEN t.id(1) END, 'p', now() + (n - 6) * INTERVAL '1 hour'
  FROM generate_series(1, 8) n;
CALL t.as_role('service_role');
SELECT cleanup_expired_drafts(2);
SELECT t.n(id) AS left_over FROM draft_prompts ORDER BY id;
SELECT cleanup_expired_drafts();
SELECT t.n(id) AS left_over FROM draft_prompts ORDER BY id;
SELECT cleanup_expired_drafts();
SELECT t.try('SELECT cleanup_expired_drafts(NULL)');
SELECT t.try('SELECT cleanup_expired_drafts(0)');
SELECT t.try('SELECT cleanup_expired_drafts(-1)');
SELECT t.try('SELECT cleanup_expired_drafts(100001)');
CALL t.as_user(t.id(1));
SELECT t.try('SELECT cleanup_expired_drafts()');
CALL t.as_admin();

DROP VIEW t.drafts;
SELECT * FROM t.clean();
