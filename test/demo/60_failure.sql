-- A job that fails gives its credits back in the same transaction.

\echo '== 6. A second video fails while its pictures are painted (service_role)'
\echo
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', :'claims_of_alice', false) AS claims \gset
INSERT INTO projects (user_id, title, prompt_text, niche_preset, transcript_mode, transcript_text)
VALUES (auth.uid(), 'Mary Rose', 'How the Mary Rose was raised', 'history', 'manual', 'In 1982 ...');
RESET ROLE;

SET ROLE service_role;
SELECT create_job(id, 3) AS job_id FROM projects WHERE title = 'Mary Rose' \gset
SELECT balance AS before FROM credit_accounts WHERE user_id = :'alice' \gset

\set stage VOICE_GEN
\set doing 'Recording the voice'
\set seconds 0.02
\ir stage.sql
\set stage ALIGNMENT
\set doing 'Aligning words and sound'
\ir stage.sql
\set stage VISUAL_PLAN
\set doing 'Planning the pictures'
\ir stage.sql
SELECT advance_job(:'job_id', 'IMAGE_GEN') AS job \gset
SELECT update_job_step(:'job_id', 'image_gen', 'started') AS step \gset
SELECT update_job_step(:'job_id', 'image_gen', 'failed', NULL, NULL, 'no answer in 60 s') AS step \gset
SELECT fail_job(:'job_id', 'PROVIDER_TIMEOUT', 'The picture service did not answer.', 'image_gen') AS job \gset
\echo

SELECT p.title AS project, j.status, j.failed_step AS "failed in", j.error_code AS error,
       :before AS "balance before", a.balance AS "balance after", j.cost_credits_final AS charged
  FROM jobs j
  JOIN projects p ON p.id = j.project_id
  JOIN credit_accounts a ON a.user_id = j.user_id
 WHERE j.id = :'job_id';

DO $check$
BEGIN
  ASSERT (SELECT (j.status::text, j.cost_credits_final) FROM jobs j JOIN projects p ON p.id = j.project_id
           WHERE p.title = 'Mary Rose') = ('FAILED'::text, 0), 'failed, nothing charged';
  ASSERT (SELECT array_agg(amount ORDER BY entry_no) FROM credit_ledger
           WHERE user_id = 'a11ce000-0000-4000-8000-000000000001' AND entry_no > 4) = '{-3, 3}', 'held and given back';
  ASSERT (SELECT (balance, reserved) FROM credit_accounts
           WHERE user_id = 'a11ce000-0000-4000-8000-000000000001') = (8, 0), 'eight again';
END
$check$;
