-- A visitor writes a prompt before having an account.

\echo
\echo '== 1. A visitor writes a prompt (anon)'
\echo
SET ROLE anon;
SELECT save_draft_prompt(:'session', 'The day that the Vasa sank') AS draft_id \gset
SELECT save_draft_prompt(:'session', 'Why the Vasa sank in 1628') AS second_id \gset

SELECT d.draft ->> 'prompt_text' AS "draft of this browser session",
       (d.draft ->> 'expires_at')::timestamptz::date - current_date AS "days left",
       CASE WHEN :'draft_id' = :'second_id' THEN 1 ELSE 2 END AS drafts
  FROM get_draft_prompt(:'session') AS d (draft);

DO $check$
BEGIN
  ASSERT get_draft_prompt('demo-browser-session-0001') ->> 'prompt_text' = 'Why the Vasa sank in 1628',
    'the newest text wins';
  ASSERT NOT get_draft_prompt('demo-browser-session-0001') ? 'session_token', 'the token is not told';
  ASSERT get_draft_prompt('demo-browser-session-0002') IS NULL, 'another session has no draft';
END
$check$;
RESET ROLE;
DO $check$
BEGIN
  ASSERT (SELECT count(*) FROM draft_prompts) = 1, 'one draft per session';
END
$check$;
