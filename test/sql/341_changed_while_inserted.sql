-- 341_changed_while_inserted.sql
--
-- A statement that inserts jobs and calls functions that change or delete them
-- before it ends: queue and holds are those of the rows as they are in the end.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1);
CALL t.project(1, 11);
SELECT grant_credits(t.id(1), 1000, 'Test') IS NOT NULL AS granted;
INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(50), 'M');
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(51), t.id(50));
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
CREATE FUNCTION t.cancel_and_retry(p_system text, p_job uuid) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  IF p_system = 'rendering' THEN
    PERFORM public.fail_rendering(p_job, 'E', 'm', false), public.retry_failed_jobs('mm_rendering_queue');
    RETURN 'retried';
  END IF;
  EXECUTE format('SELECT public.cancel_%s($1)', p_system) USING p_job;
  EXECUTE format('SELECT public.retry_%s($1)', p_system) USING p_job;
  RETURN 'retried';
END
$$;
CREATE FUNCTION t.delete_job(p_table regclass, p_id text, p_job uuid) RETURNS text
LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('DELETE FROM %s WHERE %I = $1', p_table, p_id) USING p_job; RETURN 'deleted'; END $$;
CREATE FUNCTION t.set_job(p_table regclass, p_id text, p_job uuid, p_set text) RETURNS text
LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('UPDATE %s SET %s WHERE %I = $1', p_table, p_set, p_id) USING p_job; RETURN 'set'; END $$;
CREATE FUNCTION t.fail_in_vain(p_job uuid) RETURNS text
LANGUAGE plpgsql AS $$ BEGIN PERFORM public.cancel_studio_job(p_job); RAISE EXCEPTION 'no'; EXCEPTION WHEN raise_exception THEN RETURN 'open'; END $$;

-- Each call runs in one statement with the INSERT of three jobs; what it leaves, and what then works.
CREATE FUNCTION t.changed_while_inserted(p_insert text, p_call text)
RETURNS TABLE (call text, answers text, jobs text, queue text, leased bigint, holds bigint, held integer, wrong text)
LANGUAGE plpgsql AS $$
BEGIN
  call := p_call;
  EXECUTE format('WITH n AS (%s) SELECT string_agg(DISTINCT (%s)::text, '', '') FROM n', p_insert, p_call) INTO answers;
  SELECT string_agg(DISTINCT s.status || CASE WHEN s.priority <> 0 THEN ' ' || s.priority ELSE '' END, ', ')
    INTO jobs FROM (SELECT status, priority FROM public.studio_jobs UNION ALL SELECT status::text, priority FROM public.jobs
                     UNION ALL SELECT status, priority FROM public.mm_rendering_queue) s;
  SELECT string_agg(x.n || ' ' || x.state, ', ')
    INTO queue FROM (SELECT q.state, count(*) AS n FROM studio_engine.queue q GROUP BY 1) x;
  SELECT count(*) INTO leased FROM studio_engine.attempts a WHERE a.ended_at IS NULL;
  SELECT count(*) INTO holds FROM public.credit_ledger l WHERE l.type = 'reserve' AND l.amount < 0
     AND NOT EXISTS (SELECT FROM public.credit_ledger c WHERE c.reverses = l.id);
  SELECT reserved INTO held FROM public.credit_accounts;
  SELECT string_agg(w, ', ') INTO wrong
    FROM (SELECT t.queue() UNION ALL SELECT t.books() UNION ALL SELECT v::text FROM public.verify_credit_ledger() v) x (w);
  RETURN NEXT;
  DELETE FROM public.studio_jobs;
  DELETE FROM public.jobs;
  DELETE FROM public.mm_rendering_queue;
  -- nothing is held for jobs that are gone
  call := '';
  SELECT string_agg(x.n || ' ' || x.state, ', ')
    INTO queue FROM (SELECT q.state, count(*) AS n FROM studio_engine.queue q GROUP BY 1) x;
  SELECT reserved INTO held FROM public.credit_accounts;
  IF held <> 0 OR queue IS NOT NULL THEN
    RETURN NEXT;
  END IF;
END
$$;
CREATE VIEW t.changes AS
SELECT c.*
  FROM (VALUES
    (1, 'INSERT INTO public.studio_jobs (user_id, raw_audio_url) SELECT t.id(1), ''u'' FROM generate_series(1, 3) RETURNING job_id AS id',
     'studio_job', 'studio_jobs', 'job_id'),
    (2, 'INSERT INTO public.jobs (project_id, user_id, status) SELECT t.id(11), t.id(1), ''QUEUED'' FROM generate_series(1, 3) RETURNING id',
     'job', 'jobs', 'id'),
    (3, 'INSERT INTO public.mm_rendering_queue (user_id, session_id) SELECT t.id(1), t.id(51) FROM generate_series(1, 3) RETURNING render_id AS id',
     'rendering', 'mm_rendering_queue', 'render_id')) s (no, text, word, name, id)
 CROSS JOIN LATERAL unnest(ARRAY[
    '1',
    format('public.cancel_%s(n.id) ->> ''status''', word),
    format('t.cancel_and_retry(%L, n.id)', word),
    format('t.set_job(%L, %L, n.id, ''priority = 5'') || t.set_job(%L, %L, n.id, ''priority = 6'')', name, id, name, id),
    format('t.set_job(%L, %L, n.id, ''%I = gen_random_uuid()'')', name, id, id),
    format('t.delete_job(%L, %L, n.id)', name, id),
    CASE no WHEN 1 THEN 't.fail_in_vain(n.id)' END,
    format('t.cancel_and_retry(%L, n.id) || (SELECT count(*) FROM public.claim_jobs(%L, ''w'', 1))', word, name)
  ]) AS x (said)
 CROSS JOIN LATERAL t.changed_while_inserted(text, said) c
 WHERE said IS NOT NULL;

SELECT * FROM t.changes;
UPDATE studio_engine.settings SET value = '1' WHERE name LIKE 'price_%';
SELECT * FROM t.changes;
-- a user who cannot pay changes nothing
SELECT t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT t.id(1), 'u' FROM generate_series(1, 1011)$$);
SELECT * FROM t.queue();
SELECT count(*) FROM studio_jobs;

DROP VIEW t.changes;
DROP FUNCTION t.changed_while_inserted, t.cancel_and_retry, t.delete_job, t.set_job, t.fail_in_vain;
SELECT count(set_setting(name, NULL)) AS reset FROM get_settings() WHERE name ~ '^price_|^max_active_jobs$';
SELECT * FROM t.clean();
