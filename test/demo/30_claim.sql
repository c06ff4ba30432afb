-- The draft becomes Alice's: she is signed in and her browser knows the token.

\echo '== 3. Alice claims her draft and makes it a project (authenticated)'
\echo
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', :'claims_of_alice', false) AS claims \gset
SELECT claim_draft_prompt(:'session', auth.uid()) AS draft_id \gset

INSERT INTO projects (user_id, title, prompt_text, niche_preset)
SELECT user_id, 'Vasa', prompt_text, 'history' FROM draft_prompts WHERE id = :'draft_id';

SELECT title AS project, prompt_text AS prompt, niche_preset AS niche, target_minutes AS minutes FROM projects;

DO $check$
BEGIN
  ASSERT (SELECT prompt_text FROM projects WHERE title = 'Vasa') = 'Why the Vasa sank in 1628', 'the project has the prompt';
  ASSERT claim_draft_prompt('demo-browser-session-0001', auth.uid()) IS NULL, 'a draft is claimed once';
END
$check$;
