-- without_caches.sql
--
-- One call of each kind while the server throws every cache away whenever another session might have changed something.
-- Each takes seconds: what a call needs is prepared with caches.  The output is not looked at, errors are.
--
-- Pitfall: the fast path gives up here, since its tables "change" all the time; what it reads of a table before
-- that is what is tried, three times for every statement.  One such call takes as long as all that follow.

INSERT INTO auth.users (id, email) SELECT md5('user ' || i)::uuid, i || '@example.com' FROM generate_series(1, 2) i;
INSERT INTO projects (id, user_id, title, prompt_text, niche_preset)
  VALUES (md5('project')::uuid, md5('user 1')::uuid, 'p', 'p', 'facts');
INSERT INTO jobs (id, project_id, user_id, status)
  SELECT md5('job ' || i)::uuid, md5('project')::uuid, md5('user 1')::uuid, 'QUEUED' FROM generate_series(1, 2) i;
INSERT INTO cm_module_content (content_id, module_name, employee_name, session_id, core_content, module_spec)
  VALUES (md5('content')::uuid, 'Budgets', 'E', 's', 'A budget is a plan.', '{}');
SELECT reserve_credits(md5('user 1')::uuid, md5('job 1')::uuid, 2);
DELETE FROM studio_engine.content_search;
\c

SET debug_discard_caches = 1;
SELECT count(*) FROM studio_engine.direct_tables();
SET studio_engine.direct_rows = on;
SELECT reserve_credits(md5('user 1')::uuid, md5('job 2')::uuid, 1);
SET studio_engine.direct_rows = off;
SELECT release_credits(md5('job 2')::uuid);
SELECT job_id, lease_token AS token FROM claim_jobs('jobs', 'w', 1) \gset
SELECT advance_job(:'job_id', 'SCRIPTING', p_lease_token => :'token') IS NOT NULL;
SELECT refresh_content_search();
SELECT count(*) FROM search_module_content('budget');
SELECT save_draft_prompt('a token of sixteen', 'a prompt') IS NOT NULL;
RESET debug_discard_caches;

DO $$ BEGIN
  IF EXISTS (SELECT FROM verify_credit_ledger()) THEN RAISE 'the books are not sound'; END IF;
END $$;
