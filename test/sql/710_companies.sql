-- 710_companies.sql
--
-- Company isolation: who sees which rows of every table and gets what from
-- every function; the company of a row comes from what it belongs to.
-- Pitfall: "no row" for a table and "refused" for a function are both right,
-- and a foreign id must look like an unknown one.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- user 1 is in company 11, user 2 in 12, user 3 in both, user 4 in none;
-- employee 25 of company 11 is no user
CALL t.sign_up(1, 2, 3, 4);
INSERT INTO companies (id, name) VALUES (t.id(11), 'A'), (t.id(12), 'B');
INSERT INTO employees (id, company_id, user_id, name) VALUES
  (t.id(21), t.id(11), t.id(1), 'Ann'), (t.id(22), t.id(12), t.id(2), 'Bob'),
  (t.id(23), t.id(11), t.id(3), 'Cay in A'), (t.id(24), t.id(12), t.id(3), 'Cay in B'), (t.id(25), t.id(11), NULL, 'Nobody');

-- company 11 has content 31, company 12 content 32, content 33 has none; the rest follows from it
INSERT INTO cm_module_content (content_id, company_id, module_name, introduction)
SELECT t.id(30 + n), CASE WHEN n < 3 THEN t.id(10 + n) END, 'Module ' || n, 'secret' FROM generate_series(1, 3) n;
INSERT INTO cm_course_plans (plan_id, employee_id) VALUES (t.id(41), t.id(21)), (t.id(42), t.id(22)), (t.id(43), NULL), (t.id(45), t.id(25));
INSERT INTO cm_research_results (plan_id) SELECT plan_id FROM cm_course_plans;
INSERT INTO cm_quality_assessments (assessment_id, content_id, overall_score) SELECT t.id(50 + n), t.id(30 + n), n FROM generate_series(1, 3) n;
INSERT INTO cm_enhancement_sessions (content_id) SELECT content_id FROM cm_module_content;
INSERT INTO mm_multimedia_sessions (session_id, content_id) SELECT t.id(60 + n), t.id(30 + n) FROM generate_series(1, 3) n;
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type) SELECT t.id(70 + n), t.id(60 + n), 'video' FROM generate_series(1, 3) n;
INSERT INTO mm_multimedia_assets (asset_id, content_id, asset_type) SELECT t.id(80 + n), t.id(30 + n), 'image' FROM generate_series(1, 3) n;
INSERT INTO mm_audio_narrations (session_id) SELECT session_id FROM mm_multimedia_sessions;
INSERT INTO mm_slide_presentations (session_id) SELECT session_id FROM mm_multimedia_sessions;
INSERT INTO mm_script_generations (session_id) SELECT session_id FROM mm_multimedia_sessions;
INSERT INTO mm_rendering_queue (session_id) SELECT session_id FROM mm_multimedia_sessions;
INSERT INTO mm_video_analytics (asset_id, view_date) SELECT asset_id, '2026-01-01' FROM mm_multimedia_assets WHERE asset_type = 'video';

-- the company of every row, and the content of those that have one
SELECT t.n(content_id) AS content, t.n(company_id) AS company FROM mm_multimedia_sessions ORDER BY 1;
SELECT t.n(asset_id) AS asset, t.n(content_id) AS content, t.n(company_id) AS company FROM mm_multimedia_assets ORDER BY 1;
SELECT t.n(plan_id) AS plan, t.n(company_id) AS company FROM cm_course_plans ORDER BY 1;
SELECT t.n(p.plan_id) AS plan, t.n(r.company_id) AS company FROM cm_research_results r JOIN cm_course_plans p USING (plan_id) ORDER BY 1;
SELECT t.n(content_id) AS content, t.n(a.company_id) AS assessment, t.n(e.company_id) AS enhancement
  FROM cm_quality_assessments a JOIN cm_enhancement_sessions e USING (content_id) ORDER BY 1;
SELECT what, count(*), string_agg(company, ' ' ORDER BY company NULLS LAST) AS companies FROM (
  SELECT 'narrations', t.n(company_id) FROM mm_audio_narrations WHERE content_id IS NOT NULL UNION ALL
  SELECT 'presentations', t.n(company_id) FROM mm_slide_presentations WHERE content_id IS NOT NULL UNION ALL
  SELECT 'scripts', t.n(company_id) FROM mm_script_generations WHERE content_id IS NOT NULL UNION ALL
  SELECT 'renderings', t.n(company_id) FROM mm_rendering_queue WHERE content_id IS NOT NULL UNION ALL
  SELECT 'analytics', t.n(company_id) FROM mm_video_analytics WHERE content_id IS NOT NULL) x (what, company)
 GROUP BY what ORDER BY what;

--
-- Tables
--

CREATE FUNCTION pg_temp.tables() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
     AND (c.relname ~ '^(cm|mm)_' OR c.relname IN ('companies', 'employees')) ORDER BY c.relname $$;
CREATE FUNCTION pg_temp.seen(p_table text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_rows bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM public.%I', p_table) INTO v_rows;
  RETURN v_rows;
EXCEPTION WHEN insufficient_privilege THEN
  RETURN 'refused';
END
$$;
CREATE TEMP TABLE seen (who text, tbl text, rows text);
GRANT ALL ON seen TO PUBLIC;
CALL t.as_user(t.id(1)); INSERT INTO seen SELECT 'user of A', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_user(t.id(2)); INSERT INTO seen SELECT 'user of B', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_user(t.id(3)); INSERT INTO seen SELECT 'of both', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_user(t.id(4)); INSERT INTO seen SELECT 'of none', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_user(t.id(99)); INSERT INTO seen SELECT 'unknown', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_role('authenticated'); INSERT INTO seen SELECT 'no uid', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_role('anon'); INSERT INTO seen SELECT 'anon', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_role('service_role'); INSERT INTO seen SELECT 'service', t, pg_temp.seen(t) FROM pg_temp.tables() t;
CALL t.as_admin();
SELECT tbl, max(rows) FILTER (WHERE who = 'user of A') AS "user of A", max(rows) FILTER (WHERE who = 'user of B') AS "user of B",
       max(rows) FILTER (WHERE who = 'of both') AS "of both", max(rows) FILTER (WHERE who = 'of none') AS "of none",
       max(rows) FILTER (WHERE who = 'unknown') AS unknown, max(rows) FILTER (WHERE who = 'no uid') AS "no uid",
       max(rows) FILTER (WHERE who = 'anon') AS anon, max(rows) FILTER (WHERE who = 'service') AS service
  FROM seen GROUP BY tbl ORDER BY tbl;
-- what is seen is one's own
CALL t.as_user(t.id(1));
SELECT t.n(content_id) AS content FROM cm_module_content;
SELECT t.n(content_id) AS assessed FROM cm_quality_assessments;
SELECT t.n(plan_id) AS researched FROM cm_research_results ORDER BY 1;
SELECT t.n(asset_id) AS asset FROM mm_multimedia_assets ORDER BY 1;
SELECT name FROM employees;
-- and cannot be written
SELECT tbl, t.try(format('DELETE FROM public.%I', tbl)) AS deleting, t.try(format('INSERT INTO public.%I DEFAULT VALUES', tbl)) AS inserting FROM pg_temp.tables() tbl;
SELECT t.try('UPDATE cm_module_content SET company_id = t.id(11)'), t.try('UPDATE employees SET company_id = t.id(12)'), t.try('TRUNCATE mm_multimedia_assets');

--
-- Functions
--

CREATE FUNCTION pg_temp.calls() RETURNS TABLE (call text) LANGUAGE sql AS $$ VALUES
  ('get_module_content(t.id(%s)) ->> ''module_name'''), ('get_content_sections(t.id(%s)) ->> ''introduction'''),
  ('get_latest_quality_assessment(t.id(%s)) ->> ''overall_score''') $$;
CALL t.as_user(t.id(1));
SELECT call, t.ask('SELECT ' || format(call, 31)) AS own, t.ask('SELECT ' || format(call, 32)) AS foreign, t.ask('SELECT ' || format(call, 33)) AS nobodys, t.ask('SELECT ' || format(call, 99)) AS unknown FROM pg_temp.calls();
SELECT t.ask(format('SELECT get_session_statistics(t.id(%s)) ->> ''assets''', n)) AS of_session FROM unnest('{61,62,63,99}'::integer[]) n;
SELECT t.ask(format('SELECT get_content_statistics(t.id(%s)) #>> ''{content,total}''', n)) AS of_company FROM unnest('{11,12,99}'::integer[]) n;
SELECT get_content_statistics() #>> '{content,total}' AS content, get_content_statistics() #>> '{sessions,total}' AS sessions,
       get_content_statistics() #>> '{assets,total}' AS assets, get_content_statistics() #>> '{assessments,total}' AS assessments,
       get_content_statistics() #>> '{content,words}' AS words;
SELECT t.n(content_id) AS found FROM search_module_content('secret');
SELECT t.ask(format('SELECT string_agg(t.n(content_id), '' '') FROM search_module_content(''secret'', t.id(%s))', n)) AS of_company FROM unnest('{11,12,99}'::integer[]) n;
CALL t.as_user(t.id(3));
SELECT call, t.ask('SELECT ' || format(call, 31)) AS in_a, t.ask('SELECT ' || format(call, 32)) AS in_b, t.ask('SELECT ' || format(call, 33)) AS nobodys FROM pg_temp.calls();
SELECT t.n(content_id) AS found FROM search_module_content('secret') ORDER BY 1;
SELECT t.n(content_id) AS found_in_b FROM search_module_content('secret', t.id(12));
SELECT get_content_statistics() #>> '{content,total}' AS of_both, get_content_statistics(t.id(12)) #>> '{content,total}' AS of_b;
CALL t.as_user(t.id(4));
SELECT call, t.ask('SELECT ' || format(call, 31)) AS stranger FROM pg_temp.calls();
SELECT count(*) AS found FROM search_module_content('secret');
SELECT get_content_statistics() #>> '{content,total}' AS content;
CALL t.as_role('service_role');
SELECT call, t.ask('SELECT ' || format(call, 31)) AS a, t.ask('SELECT ' || format(call, 33)) AS nobodys, t.ask('SELECT ' || format(call, 99)) AS unknown FROM pg_temp.calls();
SELECT t.n(content_id) AS found FROM search_module_content('secret') ORDER BY 1;
SELECT t.ask('SELECT search_module_content(''secret'', t.id(99))') AS search, t.ask('SELECT get_content_statistics(t.id(99))') AS statistics,
       t.ask('SELECT create_module_content(''m'', p_company_id => t.id(99))') AS creating, t.ask('SELECT get_session_statistics(t.id(99))') AS session;
CALL t.as_admin();

-- an employee who leaves sees nothing any more; one who gets a user sees everything
UPDATE employees SET user_id = NULL WHERE id = t.id(21);
UPDATE employees SET user_id = t.id(4) WHERE id = t.id(25);
CALL t.as_user(t.id(1));
SELECT count(*) AS nothing FROM cm_module_content;
CALL t.as_user(t.id(4));
SELECT count(*) AS own FROM cm_module_content;
CALL t.as_admin();
UPDATE employees SET user_id = t.id(1) WHERE id = t.id(21);

--
-- The company comes from the parent
--

-- a contradiction is refused, for every way to say it
SELECT t.try($$INSERT INTO mm_multimedia_sessions (content_id, company_id) VALUES (t.id(31), t.id(12))$$) AS session,
       t.try($$INSERT INTO mm_multimedia_sessions (content_id, company_id) VALUES (t.id(33), t.id(12))$$) AS of_nobodys;
SELECT t.try($$INSERT INTO mm_multimedia_assets (session_id, company_id, asset_type) VALUES (t.id(61), t.id(12), 'audio')$$) AS asset,
       t.try($$INSERT INTO mm_multimedia_assets (session_id, content_id, asset_type) VALUES (t.id(61), t.id(32), 'audio')$$) AS other_content,
       t.try($$INSERT INTO mm_multimedia_assets (content_id, company_id, asset_type) VALUES (t.id(31), t.id(12), 'audio')$$) AS without_session;
SELECT t.try($$INSERT INTO cm_research_results (plan_id, company_id) VALUES (t.id(41), t.id(12))$$) AS results,
       t.try($$INSERT INTO cm_quality_assessments (content_id, company_id) VALUES (t.id(31), t.id(12))$$) AS assessment,
       t.try($$INSERT INTO cm_enhancement_sessions (content_id, company_id) VALUES (t.id(31), t.id(12))$$) AS enhancement;
SELECT t.try($$INSERT INTO cm_course_plans (employee_id, company_id) VALUES (t.id(21), t.id(12))$$) AS plan,
       t.try($$INSERT INTO mm_video_analytics (asset_id, company_id, view_date) VALUES (t.id(71), t.id(12), '2026-01-02')$$) AS analytics;
SELECT t.try(format('INSERT INTO %I (session_id, company_id) VALUES (t.id(61), t.id(12))', n)) AS answer
  FROM unnest('{mm_audio_narrations,mm_slide_presentations,mm_script_generations,mm_rendering_queue}'::text[]) n;
SELECT t.try('UPDATE mm_multimedia_sessions SET company_id = t.id(12) WHERE session_id = t.id(61)') AS session,
       t.try('UPDATE mm_multimedia_assets SET company_id = t.id(12) WHERE asset_id = t.id(71)') AS asset,
       t.try('UPDATE mm_multimedia_assets SET content_id = t.id(32) WHERE asset_id = t.id(71)') AS content;
-- the same said twice is none; an unknown parent is the foreign key's business; without a parent anything goes
SELECT t.try($$INSERT INTO mm_multimedia_assets (session_id, content_id, company_id, asset_type) VALUES (t.id(61), t.id(31), t.id(11), 'audio')$$) AS agreeing,
       t.try($$INSERT INTO mm_multimedia_assets (session_id, asset_type) VALUES (t.id(99), 'audio')$$) AS unknown,
       t.try($$INSERT INTO mm_multimedia_assets (company_id, asset_type) VALUES (t.id(12), 'audio')$$) AS without_parent;
-- NULL is filled in again
UPDATE mm_multimedia_assets SET company_id = NULL, content_id = NULL WHERE asset_id = t.id(71);
SELECT t.n(content_id) AS content, t.n(company_id) AS company FROM mm_multimedia_assets WHERE asset_id = t.id(71);
-- an asset that moves to another session follows it
UPDATE mm_multimedia_assets SET session_id = t.id(62) WHERE asset_id = t.id(71);
SELECT t.n(content_id) AS content, t.n(company_id) AS company FROM mm_multimedia_assets WHERE asset_id = t.id(71);
SELECT t.n(company_id) AS company FROM mm_video_analytics WHERE asset_id = t.id(71);
UPDATE mm_multimedia_assets SET session_id = t.id(61) WHERE asset_id = t.id(71);

-- content that changes hands takes all of it along
CREATE FUNCTION pg_temp.owners() RETURNS TABLE (what text, companies text) LANGUAGE sql AS $$
  SELECT what, string_agg(DISTINCT coalesce(t.n(company), 'none'), ' ') FROM (
    SELECT 'session', company_id FROM public.mm_multimedia_sessions WHERE content_id = t.id(33) UNION ALL
    SELECT 'asset', company_id FROM public.mm_multimedia_assets WHERE content_id = t.id(33) UNION ALL
    SELECT 'narration', company_id FROM public.mm_audio_narrations WHERE content_id = t.id(33) UNION ALL
    SELECT 'presentation', company_id FROM public.mm_slide_presentations WHERE content_id = t.id(33) UNION ALL
    SELECT 'script', company_id FROM public.mm_script_generations WHERE content_id = t.id(33) UNION ALL
    SELECT 'rendering', company_id FROM public.mm_rendering_queue WHERE content_id = t.id(33) UNION ALL
    SELECT 'assessment', company_id FROM public.cm_quality_assessments WHERE content_id = t.id(33) UNION ALL
    SELECT 'enhancement', company_id FROM public.cm_enhancement_sessions WHERE content_id = t.id(33) UNION ALL
    SELECT 'analytics', company_id FROM public.mm_video_analytics WHERE content_id = t.id(33)) x (what, company) GROUP BY what ORDER BY what $$;
UPDATE cm_module_content SET company_id = t.id(12) WHERE content_id = t.id(33);
SELECT * FROM pg_temp.owners();
UPDATE cm_module_content SET company_id = t.id(11) WHERE content_id = t.id(33);
SELECT * FROM pg_temp.owners();
UPDATE cm_module_content SET company_id = NULL WHERE content_id = t.id(33);
SELECT * FROM pg_temp.owners();
-- so does a session that gets another content
UPDATE mm_multimedia_sessions SET content_id = t.id(31) WHERE session_id = t.id(63);
SELECT t.n(content_id) AS content, t.n(company_id) AS company FROM mm_multimedia_assets WHERE session_id = t.id(63);
SELECT t.n(content_id) AS content, t.n(company_id) AS company FROM mm_audio_narrations WHERE session_id = t.id(63);
-- an employee who changes company leaves his plans behind
UPDATE employees SET company_id = t.id(12) WHERE id = t.id(21);
SELECT t.n(company_id) AS company FROM cm_course_plans WHERE plan_id = t.id(41);
UPDATE cm_course_plans SET course_title = 'x' WHERE plan_id = t.id(41);
SELECT t.n(company_id) AS company FROM cm_course_plans WHERE plan_id = t.id(41);
-- a plan that gets another employee takes its results along
UPDATE cm_course_plans SET employee_id = t.id(22) WHERE plan_id = t.id(45);
SELECT t.n(p.company_id) AS plan, t.n(r.company_id) AS results FROM cm_course_plans p JOIN cm_research_results r USING (plan_id) WHERE plan_id = t.id(45);
UPDATE cm_course_plans SET employee_id = t.id(25) WHERE plan_id = t.id(45);
SELECT t.n(p.company_id) AS plan, t.n(r.company_id) AS results FROM cm_course_plans p JOIN cm_research_results r USING (plan_id) WHERE plan_id = t.id(45);

--
-- A user's few rows among many are found by the index of companies
--

BEGIN;
SET LOCAL studio_engine.maintenance = on;
INSERT INTO companies (id, name) SELECT t.id(1000 + n), 'Other' FROM generate_series(1, 100) n;
INSERT INTO employees (company_id, name) SELECT t.id(1001 + n % 100), 'Other' FROM generate_series(1, 2000) n;
INSERT INTO cm_module_content (company_id, module_name) SELECT t.id(1001 + n % 100), 'Other' FROM generate_series(1, 2000) n;
INSERT INTO cm_course_plans (company_id) SELECT company_id FROM cm_module_content;
INSERT INTO cm_research_results (company_id) SELECT company_id FROM cm_module_content;
INSERT INTO cm_quality_assessments (company_id, content_id) SELECT company_id, content_id FROM cm_module_content;
INSERT INTO cm_enhancement_sessions (company_id, content_id) SELECT company_id, content_id FROM cm_module_content;
INSERT INTO mm_multimedia_sessions (company_id) SELECT company_id FROM cm_module_content;
INSERT INTO mm_multimedia_assets (company_id, asset_type) SELECT company_id, 'video' FROM cm_module_content;
INSERT INTO mm_audio_narrations (company_id) SELECT company_id FROM cm_module_content;
INSERT INTO mm_slide_presentations (company_id) SELECT company_id FROM cm_module_content;
INSERT INTO mm_script_generations (company_id) SELECT company_id FROM cm_module_content;
INSERT INTO mm_rendering_queue (company_id) SELECT company_id FROM cm_module_content;
INSERT INTO mm_video_analytics (company_id, asset_id, view_date) SELECT company_id, asset_id, '2026-01-01' FROM mm_multimedia_assets WHERE session_id IS NULL AND content_id IS NULL;
ANALYZE companies, employees, cm_module_content, cm_course_plans, cm_research_results, cm_quality_assessments, cm_enhancement_sessions, mm_multimedia_sessions,
        mm_multimedia_assets, mm_audio_narrations, mm_slide_presentations, mm_script_generations, mm_rendering_queue, mm_video_analytics;
CREATE FUNCTION pg_temp.plan(p_table text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_line text;
  v_plan text := '';
BEGIN
  FOR v_line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT * FROM public.%I', p_table) LOOP
    v_plan := v_plan || v_line || E'\n';
  END LOOP;
  RETURN v_plan;
END
$$;
CALL t.as_user(t.id(1));
-- companies are few enough in any installation
SELECT tbl, plan ~ CASE tbl WHEN 'employees' THEN 'idx_employees_user' ELSE format('idx_%s_company', tbl) END AS by_index, plan ~ 'Seq Scan' AS reads_all
  FROM pg_temp.tables() tbl, pg_temp.plan(tbl) plan WHERE tbl <> 'companies';
CALL t.as_admin();
ROLLBACK;

-- the end: an employee, content, a session, a company
DELETE FROM employees WHERE id = t.id(22);
SELECT count(*) AS plans, (SELECT count(*) FROM cm_research_results) AS results FROM cm_course_plans;
DELETE FROM mm_multimedia_sessions WHERE session_id = t.id(61);
SELECT t.n(asset_id) AS asset FROM mm_multimedia_assets WHERE content_id = t.id(31) ORDER BY 1;
DELETE FROM companies WHERE id = t.id(12);
SELECT tbl, pg_temp.seen(tbl) AS rows_of_others FROM pg_temp.tables() tbl;
DELETE FROM auth.users WHERE id = t.id(3);
SELECT name, t.n(user_id) AS "user" FROM employees ORDER BY name;
DELETE FROM cm_course_plans;
SELECT * FROM t.clean();
