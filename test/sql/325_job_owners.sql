-- 325_job_owners.sql
--
-- What belongs to a job has the user of the job: steps, files, log lines, attempts;
-- and what search reads has the company of its content.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.owned AS
SELECT 'step ' || step_name AS what, t.n(job_id) AS job, t.n(user_id) AS "user" FROM job_steps
UNION ALL SELECT 'file ' || type, t.n(job_id), t.n(user_id) FROM assets
UNION ALL SELECT 'line ' || message, t.n(job_id), t.n(user_id) FROM logs
UNION ALL SELECT 'attempt ' || attempt, t.n(job_id), t.n(user_id) FROM studio_engine.attempts;

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);


-- a service's plain statements, as the seeds write them; what is written is replaced
CALL t.as_role('service_role');
INSERT INTO jobs (id, project_id, user_id) VALUES (t.id(21), t.id(11), t.id(1)), (t.id(22), t.id(12), t.id(2));
INSERT INTO job_steps (job_id, step_name, step_order) VALUES (t.id(21), 'a', 1), (t.id(22), 'a', 1);
INSERT INTO job_steps (job_id, step_name, step_order, user_id) VALUES (t.id(21), 'b', 2, t.id(2));
INSERT INTO assets (job_id, type, url, storage_path) VALUES (t.id(21), 'video', 'u', 'p');
INSERT INTO assets (job_id, type, url, storage_path, user_id) VALUES (t.id(21), 'audio', 'u', 'p', t.id(2));
INSERT INTO logs (job_id, message) VALUES (t.id(21), 'one');
INSERT INTO logs (job_id, message, user_id) SELECT t.id(21), 'two', t.id(99);
UPDATE logs SET user_id = t.id(2) WHERE message = 'two';
UPDATE assets SET user_id = NULL WHERE type = 'audio';
SELECT t.try('INSERT INTO job_steps (job_id, step_name, step_order) VALUES (t.id(98), ''a'', 1)');
SELECT t.try('INSERT INTO logs (job_id, message) VALUES (t.id(98), ''x'')');
SELECT t.try('INSERT INTO assets (type, url, storage_path) VALUES (''zip'', ''u'', ''p'')');
-- our own functions
SELECT create_job_steps(t.id(22), '["c"]') AS steps;
SELECT record_asset(t.id(22), 'zip', 'u', 'p') IS NOT NULL AS recorded, log_job(t.id(22), 'info', 'three') IS NOT NULL AS logged;
CALL t.as_admin();
SELECT * FROM t.owned ORDER BY job, what;

-- a row that goes to another job takes the user of that one
CALL t.as_role('service_role');
UPDATE job_steps SET job_id = t.id(22), step_name = 'moved' WHERE step_name = 'b';
SELECT t.n(user_id) AS "user" FROM job_steps WHERE step_name = 'moved';

-- the user of a job changes: all of it follows, in one statement or many
UPDATE jobs SET user_id = t.id(2) WHERE id = t.id(21);
CALL t.as_admin();
SELECT * FROM t.owned WHERE job = '21' ORDER BY what;
UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(21);
SELECT jsonb_array_length(jsonb_agg(c)) AS claimed FROM claim_jobs('jobs', 'w', 1) c;
BEGIN;
UPDATE jobs SET user_id = CASE id WHEN t.id(21) THEN t.id(1) ELSE t.id(2) END WHERE id IN (t.id(21), t.id(22));
SELECT * FROM t.owned ORDER BY job, what;
ROLLBACK;
SELECT string_agg(DISTINCT "user", ' ') AS users FROM t.owned;
-- nobody else's rows are written
UPDATE jobs SET user_id = t.id(1) WHERE id = t.id(21);
SELECT string_agg(what, ', ' ORDER BY what) AS of_1 FROM t.owned WHERE "user" = '1';

-- while it holds credits it stays where it is, and so does the rest
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(22);
CALL t.as_role('service_role');
SELECT t.as_text FROM (SELECT create_job(t.id(11), 2)::text) j (id), LATERAL t.ask(format('UPDATE jobs SET user_id = t.id(2) WHERE id = %L', j.id)) t (as_text);
CALL t.as_admin();
SELECT count(*) AS steps, string_agg(DISTINCT t.n(s.user_id), ' ') AS of FROM job_steps s JOIN jobs j ON j.id = s.job_id WHERE j.cost_credits_reserved = 2;

-- users see their own, but for debug lines
INSERT INTO logs (job_id, level, message) VALUES (t.id(21), 'debug', 'four');
CALL t.as_user(t.id(1));
SELECT (SELECT count(*) FROM job_steps) AS steps, (SELECT count(*) FROM assets) AS assets, (SELECT string_agg(message, ' ' ORDER BY message) FROM logs) AS lines;
CALL t.as_user(t.id(2));
SELECT (SELECT count(*) FROM job_steps) AS steps, (SELECT count(*) FROM assets) AS assets, (SELECT string_agg(message, ' ' ORDER BY message) FROM logs) AS lines;
CALL t.as_user(t.id(3));
SELECT (SELECT count(*) FROM job_steps) AS steps, (SELECT count(*) FROM assets) AS assets, (SELECT count(*) FROM logs) AS lines;
CALL t.as_role('authenticated');
SELECT (SELECT count(*) FROM job_steps) AS steps, (SELECT count(*) FROM assets) AS assets, (SELECT count(*) FROM logs) AS lines;

-- the policies read the row itself: no join, and auth.uid() once a statement
CREATE FUNCTION pg_temp.plan(p_query text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
  v_line text;
BEGIN
  FOR v_line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || p_query LOOP
    RETURN NEXT v_line;
  END LOOP;
END
$$;
CALL t.as_user(t.id(1));
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT t AS "table", count(*) FILTER (WHERE l LIKE '%SubPlan%' OR l LIKE '%Join%' OR l LIKE '%Loop%') AS joins,
       count(*) FILTER (WHERE l ~ '^ *InitPlan') AS once, count(*) FILTER (WHERE l LIKE '%Scan%') AS scans,
       max(substring(l FROM 'using (\w+)')) AS index
  FROM unnest('{job_steps,assets,logs}'::text[]) t, LATERAL pg_temp.plan('SELECT * FROM ' || t) l GROUP BY t ORDER BY t;
RESET enable_seqscan;
RESET enable_bitmapscan;
CALL t.as_admin();

-- a session that loads a dump writes what it is told
BEGIN;
SET LOCAL studio_engine.maintenance = on;
INSERT INTO logs (job_id, message, user_id) VALUES (t.id(21), 'loaded', t.id(2));
SELECT t.n(user_id) AS as_loaded FROM logs WHERE message = 'loaded';
ROLLBACK;

-- the company of content goes to what search reads, and follows
INSERT INTO companies (id, name) VALUES (t.id(31), 'A'), (t.id(32), 'B');
INSERT INTO cm_module_content (content_id, company_id, module_name, introduction, core_content)
VALUES (t.id(41), t.id(31), 'One', 'first words', repeat('long ', 10000)), (t.id(42), NULL, 'Two', 'of nobody', NULL);
CREATE VIEW t.search_companies AS
SELECT t.n(content_id) AS content, section, count(*) AS parts, coalesce(string_agg(DISTINCT t.n(company_id), ' '), 'none') AS company
  FROM studio_engine.content_search GROUP BY content_id, section ORDER BY content_id, section;
SELECT * FROM t.search_companies;
UPDATE cm_module_content SET company_id = t.id(32), introduction = 'second words';
SELECT * FROM t.search_companies;
UPDATE cm_module_content SET company_id = NULL;
SELECT string_agg(DISTINCT company, ' ') AS companies FROM t.search_companies;
UPDATE cm_module_content SET company_id = t.id(31);
UPDATE studio_engine.content_search SET configuration = 'none', company_id = NULL;
SELECT refresh_content_search() AS refreshed;
SELECT string_agg(DISTINCT company, ' ') AS companies FROM t.search_companies;

DELETE FROM cm_module_content;
DELETE FROM companies;
DROP VIEW t.owned, t.search_companies;
SELECT * FROM t.clean();
