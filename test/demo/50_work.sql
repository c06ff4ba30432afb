-- A worker takes the job through all its stages.

\echo '== 5. A worker makes the video (service_role)'
\echo
SET ROLE service_role;
SELECT j.id AS job_id FROM jobs j JOIN projects p ON p.id = j.project_id WHERE p.title = 'Vasa' \gset

\set stage SCRIPTING
\set doing 'Writing the script'
\set seconds 0.03
\ir stage.sql
\set stage VOICE_GEN
\set doing 'Recording the voice'
\set seconds 0.06
\ir stage.sql
\set stage ALIGNMENT
\set doing 'Aligning words and sound'
\set seconds 0.02
\ir stage.sql
\set stage VISUAL_PLAN
\set doing 'Planning the pictures'
\set seconds 0.04
\ir stage.sql
\set stage IMAGE_GEN
\set doing 'Painting the pictures'
\set seconds 0.12
\ir stage.sql
\set stage TIMELINE
\set doing 'Cutting'
\set seconds 0.02
\ir stage.sql
\set stage RENDERING
\set doing 'Rendering'
\set seconds 0.15
\ir stage.sql
\set stage PACKAGING
\set doing 'Packing'
\set seconds 0.03
\ir stage.sql

SELECT record_asset(:'job_id', 'video', 'https://cdn.example.com/vasa.mp4', 'video/vasa.mp4', 48211903, 'video/mp4')
    AS asset_id \gset
SELECT log_job(:'job_id', 'info', 'delivered', 'packaging') AS log_id \gset

\echo
\echo 'It took less than was held, so it is completed at 2 credits. Her dashboard (authenticated):'
\echo
SELECT complete_job(:'job_id', 'https://cdn.example.com/vasa.mp4', p_final_cost => 2) AS job \gset
RESET ROLE;
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', :'claims_of_alice', false) AS claims \gset
SELECT d.entry ->> 'title' AS project, d.entry ->> 'status' AS status, d.entry ->> 'progress' AS progress,
       d.entry #>> '{job,cost_credits_reserved}' AS reserved, d.entry #>> '{job,cost_credits_final}' AS charged,
       get_credit_balance(auth.uid()) AS balance, d.entry #>> '{job,output_url}' AS video
  FROM jsonb_array_elements(get_dashboard()) AS d (entry);

DO $check$
BEGIN
  ASSERT (SELECT (status::text, progress, cost_credits_final) FROM jobs) = ('READY'::text, 100, 2), 'ready for two credits';
  ASSERT (SELECT bool_and(state = 'succeeded' AND progress_pct = 100) FROM job_steps), 'all steps succeeded';
  ASSERT (SELECT array_agg(type || ' ' || amount ORDER BY entry_no) FROM credit_ledger)
       = '{grant 10, reserve -3, reserve 3, usage -2}', 'hold settled';
  ASSERT (SELECT (balance, reserved) FROM credit_accounts) = (8, 0), 'eight are left';
END
$check$;
