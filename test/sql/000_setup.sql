-- 000_setup.sql
--
-- Prepares the database that all the tests here share: the Supabase stand-in,
-- the extension, and schema t with what the tests are written in.
-- Pitfall: identifiers are random where the product makes them, so tests give
-- fixed ones, t.id(1), t.id(2) and so on, and t.n() turns them back into
-- numbers; whatever else looks like a uuid is printed as <id>.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\set stub `pg_config --sharedir` /extension/studio_engine_supabase_stub.sql
\set ECHO none
\i :stub
\set ECHO all
CREATE EXTENSION studio_engine;
SELECT * FROM studio_engine.lint();

CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO PUBLIC;

CREATE FUNCTION t.id(p_number integer) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
  SELECT ('00000000-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid
$$;

CREATE FUNCTION t.n(p_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_id IS NULL THEN NULL
              WHEN p_id::text LIKE '00000000-0000-4000-8000-%' THEN ltrim(right(p_id::text, 12), '0')
              ELSE '<id>' END
$$;

-- A value that the setting does not accept, as a dump may bring it.
CREATE FUNCTION t.force_setting(p_name text, p_value text) RETURNS void
LANGUAGE sql SET studio_engine.maintenance = on AS $$
  WITH found AS (UPDATE studio_engine.settings SET value = p_value WHERE name = p_name RETURNING name)
  INSERT INTO studio_engine.settings (name, value) SELECT p_name, p_value WHERE NOT EXISTS (SELECT FROM found)
$$;

CREATE FUNCTION t.masked(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT regexp_replace(regexp_replace(p_text,
    '00000000-0000-4000-8000-0*([1-9][0-9]*)', '#\1', 'g'),
    '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g')
$$;

-- Who is asking, until the next call.  Not for the middle of a plpgsql block
-- that has an exception handler: an error would undo it.
CREATE PROCEDURE t.as_user(p_user_id uuid)
LANGUAGE sql AS $$
  SELECT set_config('request.jwt.claims',
                    json_build_object('sub', p_user_id, 'role', 'authenticated')::text, false),
         set_config('role', 'authenticated', false);
$$;
CREATE PROCEDURE t.as_role(p_role text)
LANGUAGE sql AS $$
  SELECT set_config('request.jwt.claims', '', false), set_config('role', p_role, false);
$$;
CREATE PROCEDURE t.as_admin()
LANGUAGE sql AS $$ CALL t.as_role('none') $$;

-- What a statement says: its first value, or its error as
-- SQLSTATE message [constraint] | detail.  An error undoes the statement only.
CREATE FUNCTION t.run(p_sql text, p_value boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_value text := 'ok';
  v_state text; v_message text; v_detail text; v_constraint text;
BEGIN
  IF p_value THEN
    EXECUTE p_sql INTO v_value;
    RETURN t.masked(coalesce(v_value, 'NULL'));
  END IF;
  EXECUTE p_sql;
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS v_state = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT,
    v_detail = PG_EXCEPTION_DETAIL, v_constraint = CONSTRAINT_NAME;
  RETURN t.masked(concat(v_state, ' ', v_message, ' [' || nullif(v_constraint, '') || ']',
                         ' | ' || nullif(regexp_replace(v_detail, '^Failing row contains.*', ''), '')));
END
$$;
-- The list of legal transitions in a DETAIL is left to 100_workflow_transitions.
CREATE FUNCTION t.try(p_sql text) RETURNS text
LANGUAGE sql AS $$ SELECT regexp_replace(t.run(p_sql, false), '; allowed: .*', '') $$;
CREATE FUNCTION t.ask(p_sql text) RETURNS text
LANGUAGE sql AS $$ SELECT regexp_replace(t.run(p_sql, true), '; allowed: .*', '') $$;

-- Every version of every row of the books, of the jobs and of the queue.  xmin
-- tells an UPDATE that writes what was there already.
CREATE FUNCTION t.fingerprint() RETURNS text
LANGUAGE sql SECURITY DEFINER AS $$
  SELECT md5(concat(
    (SELECT string_agg(l.xmin::text || l::text, ';' ORDER BY l.user_id, l.entry_no) FROM public.credit_ledger l),
    (SELECT string_agg(a.xmin::text || a::text, ';' ORDER BY a.user_id) FROM public.credit_accounts a),
    (SELECT string_agg(k.xmin::text || k::text, ';' ORDER BY k.user_id, k.idempotency_key) FROM studio_engine.credit_keys k),
    (SELECT string_agg(h.xmin::text || h::text, ';' ORDER BY h.hold_id) FROM studio_engine.expiring_holds h),
    (SELECT string_agg(f.xmin::text || f::text, ';' ORDER BY f.id) FROM studio_engine.transfers f),
    (SELECT string_agg(o.xmin::text || o::text, ';' ORDER BY o.object_id) FROM studio_engine.stripe_objects o),
    (SELECT string_agg(f.xmin::text || f::text, ';' ORDER BY f.fact_id) FROM studio_engine.stripe_facts f),
    (SELECT string_agg(e.xmin::text || e::text, ';' ORDER BY e.event_id) FROM studio_engine.stripe_events e),
    (SELECT string_agg(j.xmin::text || j::text, ';' ORDER BY j.id) FROM public.jobs j),
    (SELECT string_agg(s.xmin::text || s::text, ';' ORDER BY s.job_id) FROM public.studio_jobs s),
    (SELECT string_agg(r.xmin::text || r::text, ';' ORDER BY r.render_id) FROM public.mm_rendering_queue r),
    (SELECT string_agg(q.xmin::text || q::text, ';' ORDER BY q.job_id) FROM studio_engine.queue q),
    (SELECT string_agg(a.xmin::text || a::text, ';' ORDER BY a.job_id, a.lease_token) FROM studio_engine.attempts a),
    (SELECT string_agg(j.xmin::text || j::text, ';' ORDER BY j.run_id) FROM pipeline.jobs j),
    (SELECT string_agg(e.xmin::text || e::text, ';' ORDER BY e.run_id, e.seq) FROM pipeline.job_events e),
    (SELECT string_agg(a.xmin::text || a::text, ';' ORDER BY a.id) FROM pipeline.artifacts a),
    (SELECT string_agg(p.xmin::text || p::text, ';' ORDER BY p.id) FROM pipeline.prompts p)))
$$;

-- The value or the error of a query, and whether it wrote anything.
CREATE FUNCTION t.quiet(p_sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_before text := t.fingerprint();
  v_answer text := t.ask(p_sql);
BEGIN
  RETURN v_answer || CASE WHEN t.fingerprint() = v_before THEN ' -- nothing written' ELSE ' -- WRITTEN' END;
END
$$;

-- The invariants of the credit books that do not hold; empty when sound.
CREATE FUNCTION t.books() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  WITH entries AS (
    SELECT l.*,
           sum(amount) OVER (PARTITION BY user_id ORDER BY entry_no) AS running,
           row_number() OVER (PARTITION BY user_id ORDER BY entry_no) AS position
      FROM public.credit_ledger l
  ), holds AS (
    SELECT l.job_id, l.user_id, l.amount,
           lag(l.amount) OVER (PARTITION BY l.job_id, l.user_id ORDER BY l.entry_no) AS before
      FROM public.credit_ledger l
     WHERE l.type = 'reserve' AND l.job_id IS NOT NULL
  )
  SELECT 'the sum is not the balance: user ' || t.n(a.user_id)
    FROM public.credit_accounts a
   WHERE a.balance <> (SELECT coalesce(sum(amount), 0) FROM entries e WHERE e.user_id = a.user_id)
  UNION ALL
  SELECT format('balance_after is not the sum so far: user %s, entry %s', t.n(e.user_id), e.entry_no)
    FROM entries e WHERE e.balance_after IS DISTINCT FROM e.running
  UNION ALL
  SELECT format('a gap before entry %s of user %s', e.entry_no, t.n(e.user_id))
    FROM entries e WHERE e.entry_no <> e.position
  UNION ALL
  SELECT 'the account counts other entries: user ' || t.n(a.user_id)
    FROM public.credit_accounts a
   WHERE a.entries <> (SELECT count(*) FROM entries e WHERE e.user_id = a.user_id)
  UNION ALL
  SELECT 'reserved is not what is held: user ' || t.n(a.user_id)
    FROM public.credit_accounts a
   WHERE a.reserved <> (SELECT coalesce(-sum(amount), 0) FROM entries e
                         WHERE e.user_id = a.user_id AND e.type = 'reserve')
  UNION ALL
  SELECT 'negative balance: user ' || t.n(a.user_id)
    FROM public.credit_accounts a
   WHERE a.balance < 0 AND NOT EXISTS (SELECT FROM entries e WHERE e.user_id = a.user_id AND e.reverses IS NOT NULL)
  UNION ALL
  SELECT 'entries without an account: user ' || t.n(e.user_id)
    FROM entries e WHERE NOT EXISTS (SELECT FROM public.credit_accounts a WHERE a.user_id = e.user_id)
  UNION ALL
  SELECT format('holds do not open and close in turn: job %s, amount %s', t.n(h.job_id), h.amount)
    FROM holds h
   WHERE CASE WHEN h.amount < 0 THEN coalesce(h.before, 1) < 0
              ELSE h.before IS DISTINCT FROM -h.amount END
  UNION ALL
  SELECT format('%s job %s holds credits', j.status, t.n(j.id))
    FROM public.jobs j
   WHERE j.status IN ('READY', 'FAILED')
     AND EXISTS (SELECT FROM holds h WHERE h.job_id = j.id GROUP BY h.user_id HAVING sum(h.amount) <> 0)
  UNION ALL
  SELECT 'an entry of one user for the job of another: job ' || t.n(j.id)
    FROM public.jobs j JOIN entries e ON e.job_id = j.id
   WHERE e.user_id <> j.user_id
  UNION ALL
  -- a second opinion, and the one that users can ask for
  SELECT format('verify_credit_ledger: %s: user %s, expected %s, actual %s', v.problem, t.n(v.user_id), v.expected, v.actual)
    FROM public.verify_credit_ledger() v
$$;

-- The jobs that have not ended, one row each: those in the queue, and those that a worker has.
-- By a function, so that nothing depends on the tables.
CREATE FUNCTION t.select_open_jobs()
RETURNS TABLE (system studio_engine.job_system, state text, rank integer, turn bigint, due_at timestamptz, job_id uuid, user_id uuid, stage text,
               attempt integer, first_attempt integer, lease_token uuid, claimed_at timestamptz, expires_at timestamptz,
               cancel_requested_at timestamptz, since timestamptz, shown_at timestamptz, worker text, cancel_reason text, process_id text)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT system, state::text, rank, turn, due_at, job_id, user_id, stage, attempt, first_attempt, NULL::uuid, NULL::timestamptz,
         NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL, NULL, NULL
    FROM studio_engine.queue
  UNION ALL
  SELECT system, 'leased', NULL, coalesce(turn, 0), due_at, job_id, user_id, stage, attempt, first_attempt, lease_token, started_at,
         expires_at, cancel_requested_at, since, shown_at, worker, cancel_reason, process_id
    FROM studio_engine.attempts WHERE ended_at IS NULL
$$;
CREATE VIEW t.open_jobs AS SELECT * FROM t.select_open_jobs();
GRANT SELECT ON t.open_jobs TO PUBLIC;
-- What the queue of the workers gets wrong; empty when it says what the jobs say.
CREATE FUNCTION t.queue() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  WITH jobs AS (
    SELECT 'studio_jobs' AS system, job_id, user_id, priority, status, status NOT IN ('COMPLETE', 'FAILED') AS open
      FROM public.studio_jobs
    UNION ALL
    SELECT 'jobs', id, user_id, priority, status::text, status NOT IN ('PENDING', 'READY', 'FAILED')
      FROM public.jobs
    UNION ALL
    SELECT 'mm_rendering_queue', render_id, user_id, priority, status, status NOT IN ('completed', 'failed', 'cancelled')
      FROM public.mm_rendering_queue
  ), entries AS (
    SELECT q.*, q.system::text AS of, q.state = 'leased' AS leased,
           (SELECT count(*) FROM studio_engine.attempts a
             WHERE a.job_id = q.job_id AND a.system = q.system AND a.outcome NOT IN ('snoozed', 'released')) AS ended
      FROM t.open_jobs q
  )
  SELECT format('not in the queue: %s %s', j.system, t.n(j.job_id))
    FROM jobs j
   WHERE j.open AND NOT EXISTS (SELECT FROM entries e WHERE (e.of, e.job_id) = (j.system, j.job_id))
  UNION ALL
  SELECT format('in the queue without work to do: %s %s', e.of, t.n(e.job_id))
    FROM entries e
   WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.open AND (e.of, e.job_id) = (j.system, j.job_id))
  UNION ALL
  SELECT format('another user or priority: %s %s', e.of, t.n(e.job_id))
    FROM entries e JOIN jobs j ON (e.of, e.job_id) = (j.system, j.job_id)
   WHERE e.user_id IS DISTINCT FROM j.user_id OR e.rank <> -1 - j.priority::bigint
  UNION ALL
  SELECT format('another stage: %s %s', e.of, t.n(e.job_id))
    FROM entries e JOIN jobs j ON (e.of, e.job_id) = (j.system, j.job_id)
   WHERE NOT e.leased AND e.stage <> j.status
  UNION ALL
  SELECT format('twice: %s %s', e.of, t.n(e.job_id)) FROM entries e GROUP BY e.of, e.job_id HAVING count(*) > 1
  UNION ALL
  SELECT format('the reaper comes too late: %s %s', e.of, t.n(e.job_id))
    FROM entries e WHERE e.leased AND e.due_at > e.expires_at
  UNION ALL
  SELECT format('the number of the attempt is %s after %s ended ones: %s %s', e.attempt, e.ended, e.of, t.n(e.job_id))
    FROM entries e
   WHERE (e.attempt <> e.ended + e.leased::integer OR e.first_attempt NOT BETWEEN 1 AND e.ended + 1)
     -- each stage that is handed over to counts anew
     AND NOT EXISTS (SELECT FROM studio_engine.attempts a WHERE a.job_id = e.job_id AND a.outcome = 'handed_over')
  UNION ALL
  SELECT format('an attempt at no job: %s %s', a.system, t.n(a.job_id))
    FROM studio_engine.attempts a
   WHERE NOT EXISTS (SELECT FROM jobs j WHERE (j.system, j.job_id) = (a.system::text, a.job_id))
$$;

CREATE VIEW t.ledger AS
SELECT t.n(user_id) AS "user", entry_no AS no, type, amount, balance_after AS balance,
       t.n(job_id) AS job, note
  FROM public.credit_ledger ORDER BY t.n(user_id), entry_no;
-- the same without numbers: rows of one UPDATE or DELETE come in no sure order
CREATE VIEW t.moved AS
SELECT t.n(user_id) AS "user", t.n(job_id) AS job, type, amount, note
  FROM public.credit_ledger 
 ORDER BY user_id, job_id NULLS FIRST, CASE WHEN job_id IS NULL THEN amount END, entry_no;
CREATE VIEW t.accounts AS
SELECT t.n(user_id) AS "user", balance, reserved, entries
  FROM public.credit_accounts ORDER BY t.n(user_id);

-- Users, projects and jobs with numbers for names.
CREATE PROCEDURE t.sign_up(VARIADIC p_users integer[])
LANGUAGE sql AS $$
  INSERT INTO auth.users (id, email, raw_user_meta_data)
  SELECT t.id(u), 'user' || u || '@example.com', jsonb_build_object('name', 'User ' || u)
    FROM unnest(p_users) u;
$$;
CREATE PROCEDURE t.project(p_user integer, p_project integer, p_mode text DEFAULT 'auto')
LANGUAGE sql AS $$
  INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset, transcript_mode)
  VALUES (t.id(p_project), t.id(p_user), 'Project ' || p_project, 'A prompt', 'facts', p_mode);
$$;
CREATE PROCEDURE t.job(p_project integer, p_job integer, p_status text DEFAULT 'PENDING')
LANGUAGE sql AS $$
  INSERT INTO public.jobs (id, project_id, user_id, status)
  SELECT t.id(p_job), p.id, p.user_id, p_status::public.job_status FROM public.projects p WHERE p.id = t.id(p_project);
$$;
CREATE PROCEDURE t.rendering(p_user integer, p_job integer, p_status text DEFAULT 'queued', p_session integer DEFAULT NULL)
LANGUAGE sql AS $$
  INSERT INTO public.mm_rendering_queue (render_id, user_id, session_id, status)
  VALUES (t.id(p_job), t.id(p_user), t.id(p_session), p_status);
$$;
CREATE PROCEDURE t.studio_job(p_user integer, p_job integer, p_status text DEFAULT 'NEW')
LANGUAGE sql AS $$
  INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, status)
  VALUES (t.id(p_job), t.id(p_user), 'audio/' || p_job || '.mp3', p_status);
$$;

-- Time passes: the credit of a user that is to expire has expired.
CREATE PROCEDURE t.expire(p_user integer)
LANGUAGE sql SET studio_engine.maintenance = on AS $$
  UPDATE public.credit_ledger SET expires_at = now() WHERE user_id = t.id(p_user) AND expires_at > now();
  UPDATE studio_engine.expiring_credits SET expires_at = now() WHERE user_id = t.id(p_user) AND expires_at > now();
$$;

-- Every test ends with this: rows of ours that deleting the users left behind.
CREATE FUNCTION t.clean() RETURNS TABLE (what text, rows bigint)
LANGUAGE sql AS $$
  DELETE FROM auth.users;
  DELETE FROM public.draft_prompts;
  DELETE FROM pipeline.jobs;
  DELETE FROM pipeline.prompts;
  DELETE FROM public.companies;
  DELETE FROM public.cm_module_content;
  DELETE FROM public.mm_rendering_queue WHERE session_id IS NULL;
  DELETE FROM studio_engine.removed_files;
  -- of the users who are gone
  DELETE FROM studio_engine.welcomed;
  DELETE FROM studio_engine.payment_digests;
  -- payments of nobody
  DELETE FROM studio_engine.stripe_objects WHERE user_id IS NULL;
  SELECT * FROM (
    SELECT 'profiles', count(*) FROM public.profiles UNION ALL
    SELECT 'draft_prompts', count(*) FROM public.draft_prompts UNION ALL
    SELECT 'projects', count(*) FROM public.projects UNION ALL
    SELECT 'jobs', count(*) FROM public.jobs UNION ALL
    SELECT 'studio_jobs', count(*) FROM public.studio_jobs UNION ALL
    SELECT 'queue', count(*) FROM studio_engine.queue UNION ALL
    SELECT 'attempts', count(*) FROM studio_engine.attempts UNION ALL
    SELECT 'job_steps', count(*) FROM public.job_steps UNION ALL
    SELECT 'assets', count(*) FROM public.assets UNION ALL
    SELECT 'logs', count(*) FROM public.logs UNION ALL
    SELECT 'credit_accounts', count(*) FROM public.credit_accounts UNION ALL
    SELECT 'credit_ledger', count(*) FROM public.credit_ledger UNION ALL
    SELECT 'employees', count(*) FROM public.employees UNION ALL
    SELECT 'cm_course_plans', count(*) FROM public.cm_course_plans UNION ALL
    SELECT 'cm_research_results', count(*) FROM public.cm_research_results UNION ALL
    SELECT 'cm_quality_assessments', count(*) FROM public.cm_quality_assessments UNION ALL
    SELECT 'cm_enhancement_sessions', count(*) FROM public.cm_enhancement_sessions UNION ALL
    SELECT 'mm_multimedia_sessions', count(*) FROM public.mm_multimedia_sessions UNION ALL
    SELECT 'mm_multimedia_assets', count(*) FROM public.mm_multimedia_assets UNION ALL
    SELECT 'mm_audio_narrations', count(*) FROM public.mm_audio_narrations UNION ALL
    SELECT 'mm_slide_presentations', count(*) FROM public.mm_slide_presentations UNION ALL
    SELECT 'mm_script_generations', count(*) FROM public.mm_script_generations UNION ALL
    SELECT 'mm_video_analytics', count(*) FROM public.mm_video_analytics UNION ALL
    SELECT 'mm_rendering_queue', count(*) FROM public.mm_rendering_queue UNION ALL
    SELECT 'content_search', count(*) FROM studio_engine.content_search UNION ALL
    SELECT 'expiring_credits', count(*) FROM studio_engine.expiring_credits UNION ALL
    SELECT 'ledger_hashes', count(*) FROM studio_engine.ledger_hashes UNION ALL
    SELECT 'credit_keys', count(*) FROM studio_engine.credit_keys UNION ALL
    SELECT 'expiring_holds', count(*) FROM studio_engine.expiring_holds UNION ALL
    SELECT 'lot_checkpoints', count(*) FROM studio_engine.lot_checkpoints UNION ALL
    SELECT 'transfers', count(*) FROM studio_engine.transfers WHERE from_user_id IS NOT NULL OR to_user_id IS NOT NULL UNION ALL
    SELECT 'stripe_objects', count(*) FROM studio_engine.stripe_objects UNION ALL
    SELECT 'stripe_facts', count(*) FROM studio_engine.stripe_facts UNION ALL
    SELECT 'stripe_events', count(*) FROM studio_engine.stripe_events UNION ALL
    SELECT 'pipeline.job_events', count(*) FROM pipeline.job_events UNION ALL
    SELECT 'pipeline.artifacts', count(*) FROM pipeline.artifacts) AS left_behind (what, rows)
   WHERE rows > 0;
$$;

-- The helpers at work: sound books and a queue that is right, then both wrong
-- in every way.
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT reserve_credits(t.id(1), t.id(21), 4);
SELECT * FROM t.ledger;
SELECT * FROM t.accounts;
SELECT * FROM t.books();
CALL t.studio_job(1, 31);
CALL t.studio_job(1, 32);
CALL t.studio_job(2, 33);
CALL t.studio_job(2, 34);
CALL t.studio_job(2, 35, 'FAILED');
CALL t.job(11, 22, 'QUEUED');
SELECT count(*) FROM claim_jobs('studio_jobs', 'w', 2);
CALL t.rendering(1, 51);
CALL t.rendering(NULL, 52, 'rendering');
CALL t.rendering(1, 53, 'cancelled');
SELECT * FROM t.queue();
SELECT t.try('SELECT 1/0');
SELECT t.try('UPDATE jobs SET progress = 101');
SELECT t.quiet('SELECT count(*) FROM jobs');
SELECT t.quiet('UPDATE jobs SET progress = progress RETURNING 0');
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET amount = amount - 1 WHERE user_id = t.id(1) AND type = 'reserve';
UPDATE credit_accounts SET balance = -5, entries = 7 WHERE user_id = t.id(2);
UPDATE credit_ledger SET entry_no = 3 WHERE user_id = t.id(2);
INSERT INTO credit_ledger (user_id, type, amount, balance_after, job_id, entry_no)
VALUES (t.id(2), 'reserve', 1, 9, t.id(21), 5);
UPDATE jobs SET status = 'READY';
SELECT * FROM t.books() AS problem ORDER BY problem COLLATE "C";
INSERT INTO studio_engine.attempts (system, job_id, attempt, first_attempt, lease_token, worker, stage, started_at, due_at, expires_at, since, lease_ms)
VALUES ('jobs', t.id(41), 1, 1, t.id(42), 'w', 'QUEUED', now(), now(), now(), now(), 1);
INSERT INTO studio_engine.queue (system, job_id, user_id, stage)
SELECT system, job_id, user_id, stage FROM studio_engine.attempts WHERE job_id = t.id(31);
UPDATE studio_engine.attempts SET due_at = 'infinity' WHERE job_id = t.id(32);
UPDATE studio_engine.queue SET stage = 'REFINING' WHERE job_id = t.id(33);
UPDATE studio_engine.queue SET rank = 7 WHERE job_id = t.id(33);
UPDATE studio_engine.queue SET user_id = t.id(1) WHERE job_id IN (t.id(34), t.id(52));
DELETE FROM studio_engine.queue WHERE job_id = t.id(51);
INSERT INTO studio_engine.queue (system, job_id, user_id, stage) VALUES ('studio_jobs', t.id(35), t.id(2), 'NEW'), ('studio_jobs', t.id(43), t.id(2), 'NEW');
SET LOCAL session_replication_role = replica;
UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(21);
SET LOCAL session_replication_role = origin;
SELECT * FROM t.queue() AS problem ORDER BY problem COLLATE "C";
ROLLBACK;
SELECT * FROM t.books();
SELECT * FROM t.queue();
SELECT * FROM t.clean();
