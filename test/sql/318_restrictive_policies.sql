-- 318_restrictive_policies.sql
--
-- Restrictive policies of the owner hold for the rows that functions write for
-- users, as they do for the user's own statements; services are not asked.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
UPDATE studio_engine.settings SET value = '0' WHERE name IN ('max_active_jobs', 'max_active_runs');
SELECT job_id AS failed_studio FROM create_studio_job(t.id(1), 'old') j, LATERAL (SELECT (j ->> 'job_id')::uuid AS job_id) x \gset
SELECT fail_studio_job(:'failed_studio', '{"code": "E"}', false) IS NOT NULL AS failed;
SELECT create_job(t.id(11), 1) AS failed_job \gset
SELECT fail_job(:'failed_job', 'E', 'm', NULL, false) IS NOT NULL AS failed;
SELECT pipeline.create_job('a run', '{}', t.id(1)) IS NOT NULL AS made, pipeline.create_job('failed run', '{}', t.id(1)) IS NOT NULL AS made;
SELECT pipeline.set_job_status('failed run', 'failed') IS NOT NULL AS failed;
SELECT save_draft_prompt('a token of sixteen letters', 'A draft') IS NOT NULL AS saved;

-- the calls of a user, each rolled back; p_set says what his token is like
CREATE FUNCTION t.calls(p_claims jsonb DEFAULT '{}') RETURNS TABLE (call text, answer text)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('request.jwt.claims', (jsonb_build_object('sub', t.id(1), 'role', 'authenticated') || p_claims)::text, true);
  FOREACH call IN ARRAY ARRAY[
    'INSERT INTO public.studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), ''u'') RETURNING 1',
    'SELECT public.create_studio_job(auth.uid(), ''u'') ->> ''status''',
    format('SELECT public.retry_studio_job(%L) ->> ''status''', (SELECT job_id FROM public.studio_jobs WHERE status = 'FAILED')),
    format('SELECT public.cancel_studio_job(%L) ->> ''status''', (SELECT job_id FROM public.studio_jobs WHERE status = 'FAILED')),
    format('SELECT public.retry_job(%L) ->> ''status''', (SELECT id FROM public.jobs WHERE status = 'FAILED')),
    format('SELECT public.cancel_job(%L) ->> ''status''', (SELECT id FROM public.jobs WHERE status = 'FAILED')),
    'SELECT pipeline.create_job(''mine'', ''{}'') ->> ''status''',
    'SELECT pipeline.cancel_job(''a run'') ->> ''status''',
    'SELECT pipeline.retry_job(''failed run'') ->> ''status''',
    'SELECT public.claim_draft_prompt(''a token of sixteen letters'', auth.uid()) IS NOT NULL',
    'SELECT public.save_draft_prompt(''another token of sixteen'', ''A draft'') IS NOT NULL',
    'SELECT public.save_draft_prompt(''a token of sixteen letters'', ''A draft'') IS NOT NULL',
    'SELECT public.ensure_profile(auth.uid()) IS NOT NULL'] LOOP
    BEGIN
      -- so that ensure_profile() has something to write
      IF call LIKE '%ensure%' THEN
        DELETE FROM public.profiles WHERE id = t.id(1);
      END IF;
      SET LOCAL ROLE authenticated;
      EXECUTE call INTO answer;
      RAISE EXCEPTION USING ERRCODE = 'P0001', MESSAGE = answer;
    EXCEPTION WHEN raise_exception THEN
      NULL;
    WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
      answer := t.masked(concat_ws(' | ', SQLSTATE, SQLERRM, answer));
    END;
    call := t.masked(regexp_replace(call, '^SELECT |public\.', '', 'g'));
    RETURN NEXT;
  END LOOP;
END
$$;

BEGIN;
SELECT * FROM t.calls();
ROLLBACK;

-- no anonymous users: one policy for all commands, without WITH CHECK
BEGIN;
DO $$
BEGIN
  FOR i IN 1..5 LOOP
    EXECUTE format('CREATE POLICY no_anonymous ON %s AS RESTRICTIVE TO authenticated USING (((auth.jwt() ->> ''is_anonymous'')::boolean) IS NOT TRUE)',
      ('{public.studio_jobs,public.jobs,pipeline.jobs,public.draft_prompts,public.profiles}'::text[])[i]);
  END LOOP;
END $$;
SELECT * FROM t.calls('{"is_anonymous": true}');
SELECT * FROM t.calls('{"is_anonymous": false}') WHERE answer ~ '^[0-9]{5}';
-- a service acts for any user
SELECT create_studio_job(t.id(1), 'by a service') ->> 'status' AS service, retry_job(:'failed_job') ->> 'status' AS retried;
ROLLBACK;

-- by command, with a condition before and after
BEGIN;
CREATE POLICY by_insert ON studio_jobs AS RESTRICTIVE FOR INSERT TO authenticated WITH CHECK (raw_audio_url LIKE 'https://%');
CREATE POLICY before ON studio_jobs AS RESTRICTIVE FOR UPDATE TO authenticated USING (raw_audio_url <> 'old') WITH CHECK (true);
CREATE POLICY after ON jobs AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (true) WITH CHECK (status <> 'QUEUED');
CREATE POLICY not_deleted ON jobs AS RESTRICTIVE FOR DELETE TO authenticated USING (false);
CREATE POLICY not_seen ON jobs AS RESTRICTIVE FOR SELECT TO authenticated USING (false);
CREATE POLICY for_others ON pipeline.jobs AS RESTRICTIVE TO service_role USING (false);
CREATE POLICY permissive ON pipeline.jobs TO authenticated USING (false);
SELECT * FROM t.calls() WHERE call ~ 'studio|job';
ROLLBACK;

-- expressions of all kinds: subqueries with the rights of the caller, the table by name, whole rows, NULL, errors
BEGIN;
CREATE FUNCTION t.looks(p_job studio_jobs) RETURNS boolean LANGUAGE sql AS $$ SELECT p_job.raw_audio_url = 'u' AND current_user = 'authenticated' $$;
CREATE TABLE t.secret (user_id uuid);
GRANT USAGE ON SCHEMA t TO authenticated;
CREATE POLICY whole_row ON studio_jobs AS RESTRICTIVE FOR INSERT TO authenticated WITH CHECK (t.looks(studio_jobs));
CREATE POLICY three_at_most ON studio_jobs AS RESTRICTIVE FOR INSERT TO authenticated
  WITH CHECK ((SELECT count(*) FROM studio_jobs j WHERE j.user_id = studio_jobs.user_id AND j.raw_audio_url = 'u') < 2);
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001", "role": "authenticated"}';
SET LOCAL ROLE authenticated;
SELECT create_studio_job(auth.uid(), 'u') ->> 'status' AS first;
SELECT create_studio_job(auth.uid(), 'u') ->> 'status' AS second;
SAVEPOINT s;
SELECT create_studio_job(auth.uid(), 'u') ->> 'status' AS third;
ROLLBACK TO s;
SELECT create_studio_job(auth.uid(), 'other') ->> 'status' AS other;
ROLLBACK;
BEGIN;
CREATE TABLE t.secret (user_id uuid);
GRANT USAGE ON SCHEMA t TO authenticated;
CREATE POLICY listed ON studio_jobs AS RESTRICTIVE FOR INSERT TO authenticated WITH CHECK (user_id IN (SELECT s.user_id FROM t.secret s));
SELECT * FROM t.calls() WHERE call LIKE '%create_studio_job%';
GRANT SELECT ON t.secret TO authenticated;
SELECT * FROM t.calls() WHERE call LIKE '%create_studio_job%';
INSERT INTO t.secret VALUES (t.id(1));
SELECT * FROM t.calls() WHERE call LIKE '%create_studio_job%';
ALTER TABLE t.secret ENABLE ROW LEVEL SECURITY;
SELECT * FROM t.calls() WHERE call LIKE '%create_studio_job%';
CREATE POLICY unknown ON studio_jobs AS RESTRICTIVE FOR INSERT TO authenticated WITH CHECK (NULL);
SELECT * FROM t.calls() WHERE call LIKE '%create_studio_job%';
ROLLBACK;

-- a key that was used before: nothing is written, nothing is checked
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001", "role": "authenticated"}';
SELECT create_studio_job(t.id(1), 'u', p_idempotency_key => 'k') ->> 'status' AS made;
CREATE POLICY never ON studio_jobs AS RESTRICTIVE TO authenticated USING (false);
SET LOCAL ROLE authenticated;
SELECT create_studio_job(auth.uid(), 'u', p_idempotency_key => 'k') ->> 'status' AS found;
-- another user's job, and one that is not there: the same answer, with or without such a policy
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002", "role": "authenticated"}';
SELECT t.try(format('SELECT cancel_studio_job(%L)', :'failed_studio')) AS foreign, t.try($$SELECT cancel_studio_job(t.id(99))$$) AS unknown;
ROLLBACK;

-- a profile that ensure_profile() fills in: as it was, and as it is
BEGIN;
UPDATE auth.users SET raw_user_meta_data = '{"name": "Ann", "picture": "https://example.com/ann.png"}' WHERE id = t.id(1);
UPDATE profiles SET display_name = 'Ann', avatar_url = NULL WHERE id = t.id(1);
CREATE FUNCTION t.ensure(p_policy text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_answer text;
BEGIN
  EXECUTE 'CREATE POLICY p ON public.profiles AS RESTRICTIVE ' || p_policy;
  SET LOCAL ROLE authenticated;
  v_answer := t.try('SELECT public.ensure_profile(auth.uid()) ->> ''avatar_url''');
  RESET ROLE;
  DROP POLICY p ON public.profiles;
  RETURN v_answer || coalesce(' ' || (SELECT avatar_url FROM public.profiles WHERE id = t.id(1)), '');
END
$$;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001", "role": "authenticated"}';
SELECT p, t.ensure(p) AS answer
  FROM unnest(ARRAY['FOR UPDATE USING (avatar_url IS NOT NULL) WITH CHECK (true)', 'FOR UPDATE USING (true) WITH CHECK (avatar_url IS NULL)',
                    'FOR INSERT WITH CHECK (false)', 'FOR UPDATE USING (false)']) p;
ROLLBACK;

-- drafts: as they were before, each draft of a token, and what a policy for SELECT demands, as of UPDATE .. WHERE
BEGIN;
CREATE POLICY before ON draft_prompts AS RESTRICTIVE FOR UPDATE USING (prompt_text <> 'A draft') WITH CHECK (true);
SELECT * FROM t.calls() WHERE call ~ 'draft';
ROLLBACK;
BEGIN;
INSERT INTO draft_prompts (session_token, prompt_text, created_at) VALUES ('a token of sixteen letters', 'Older', now() - interval '1 hour');
SAVEPOINT s;
CREATE POLICY before ON draft_prompts AS RESTRICTIVE FOR UPDATE USING (prompt_text <> 'Older') WITH CHECK (true);
SELECT * FROM t.calls() WHERE call ~ 'claim';
ROLLBACK TO s;
CREATE POLICY after ON draft_prompts AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK (user_id IS NULL OR prompt_text <> 'Older');
SELECT * FROM t.calls() WHERE call ~ 'claim';
ROLLBACK TO s;
CREATE POLICY other_row ON draft_prompts AS RESTRICTIVE FOR UPDATE USING (prompt_text IN ('A draft', 'Older'));
SELECT * FROM t.calls() WHERE call ~ 'claim';
SELECT claim_draft_prompt('a token of sixteen letters', t.id(1)) = (SELECT id FROM draft_prompts WHERE prompt_text = 'A draft') AS newest;
SELECT prompt_text, t.n(user_id) AS user FROM draft_prompts ORDER BY 1;
ROLLBACK;
BEGIN;
CREATE POLICY seen ON draft_prompts AS RESTRICTIVE FOR SELECT USING (prompt_text <> 'A draft');
CREATE POLICY seen ON studio_jobs AS RESTRICTIVE FOR SELECT USING (status <> 'FAILED');
SELECT * FROM t.calls() WHERE call ~ 'draft|studio';
ROLLBACK;

-- operators that the text of a policy does not show, and system columns: refused, and not taken for others
BEGIN;
CREATE FUNCTION t.same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT lower($1) OPERATOR(pg_catalog.=) lower($2) $$;
CREATE OPERATOR t.= (LEFTARG = text, RIGHTARG = text, FUNCTION = t.same, COMMUTATOR = OPERATOR(t.=));
GRANT USAGE ON SCHEMA t TO authenticated;
CREATE FUNCTION t.policed(p_condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_answer text;
BEGIN
  SET LOCAL search_path = t, pg_catalog, public;
  EXECUTE format('CREATE POLICY p ON public.studio_jobs AS RESTRICTIVE FOR INSERT WITH CHECK (%s)', p_condition);
  RESET search_path;
  SET LOCAL ROLE authenticated;
  v_answer := t.try('SELECT public.create_studio_job(auth.uid(), ''BAD'') ->> ''status''');
  RESET ROLE;
  DROP POLICY p ON public.studio_jobs;
  RETURN v_answer;
END
$$;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001", "role": "authenticated"}';
SELECT c AS condition, t.policed(c) AS answer
  FROM unnest(ARRAY['raw_audio_url IS DISTINCT FROM ''bad''', 'nullif(raw_audio_url, ''bad'') IS NOT NULL',
    'CASE raw_audio_url WHEN ''bad'' THEN false ELSE true END', 'raw_audio_url NOT IN (SELECT ''bad''::text)',
    'NOT EXISTS (SELECT FROM (SELECT raw_audio_url AS u) a JOIN (SELECT ''bad''::text AS u) b USING (u))',
    'NOT EXISTS (SELECT FROM (SELECT 1) x WHERE studio_jobs.raw_audio_url IS NOT DISTINCT FROM ''bad'')',
    'tableoid <> 0', 'EXISTS (SELECT FROM pg_class c WHERE c.oid = studio_jobs.tableoid)', 'studio_jobs.ctid IS NOT NULL',
    -- these can be checked
    'NOT raw_audio_url = ''bad''', 'CASE WHEN raw_audio_url = ''bad'' THEN false ELSE true END', 'raw_audio_url <> ALL (''{bad}'')',
    'user_id IS DISTINCT FROM NULL', 'CASE priority WHEN 0 THEN true ELSE false END', 'priority IN (SELECT 0)',
    '(priority, priority) <= (0, 1)', 'EXISTS (SELECT FROM pg_class c WHERE c.tableoid <> 0)']) c;
ROLLBACK;

DROP FUNCTION t.calls(jsonb);
SELECT count(set_setting(name, NULL)) AS reset FROM get_settings() WHERE name IN ('max_active_jobs', 'max_active_runs');
SELECT * FROM t.clean();
