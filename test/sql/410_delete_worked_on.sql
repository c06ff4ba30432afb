-- 410_delete_worked_on.sql
--
-- Who deletes what a worker works on: a user is refused, in every way in which a
-- job can go; services and superusers are not, and deleting a user always works.
-- Pitfall: users have no right to delete most of this; an owner may grant it, so
-- here they have it. What is tried is undone each time.

\set VERBOSITY default
\set SHOW_CONTEXT never

-- tables from which a deletion cascades to a job, and who looks before it: each of them is a row of t.ways below
WITH RECURSIVE doomed (id) AS (
  SELECT t.id::regclass::oid FROM unnest(enum_range(NULL::studio_engine.job_system)::text[]) t (id)
  UNION
  SELECT c.confrelid FROM doomed d JOIN pg_constraint c ON c.conrelid = d.id AND c.contype = 'f' AND c.confdeltype = 'c'
)
SELECT d.id::regclass AS "table", string_agg(g.tgfoid::regproc::text, ', ' ORDER BY g.tgname) AS look
  FROM doomed d
  LEFT JOIN pg_trigger g ON g.tgrelid = d.id AND NOT g.tgisinternal AND g.tgtype & 11 = 11
 GROUP BY d.id ORDER BY d.id::regclass::text COLLATE "C";

BEGIN;
-- what an owner may do
DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY '{projects,jobs,studio_jobs,mm_rendering_queue,mm_multimedia_sessions,cm_module_content,companies}'::text[] LOOP
    EXECUTE format('GRANT SELECT, DELETE ON %I TO authenticated', v_table);
    EXECUTE format('CREATE POLICY t_any ON %I TO authenticated USING (true)', v_table);
  END LOOP;
END
$$;
CREATE VIEW t.my_projects AS SELECT * FROM projects;
GRANT SELECT, DELETE ON t.my_projects TO authenticated, service_role;

-- one job of each system, in a situation
CREATE PROCEDURE t.scene(p_situation text)
LANGUAGE plpgsql AS $$
DECLARE
  v_system text;
  v_claim record;
  v_start text[] := CASE p_situation WHEN 'completed' THEN '{READY,COMPLETE,completed}' WHEN 'failed' THEN '{FAILED,FAILED,failed}'
                                     WHEN 'pending' THEN '{PENDING,NEW,queued}' ELSE '{QUEUED,NEW,queued}' END;
BEGIN
  CALL t.sign_up(1);
  CALL t.project(1, 11);
  INSERT INTO companies (id, name) VALUES (t.id(21), 'A');
  INSERT INTO employees (id, name, company_id, user_id) VALUES (t.id(22), 'E', t.id(21), t.id(1));
  INSERT INTO cm_module_content (content_id, module_name, employee_name, session_id, company_id) VALUES (t.id(23), 'M', 'E', 'S', t.id(21));
  INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(24), t.id(23));
  INSERT INTO jobs (id, project_id, user_id, status) VALUES (t.id(31), t.id(11), t.id(1), v_start[1]::job_status);
  CALL t.studio_job(1, 32, v_start[2]);
  CALL t.rendering(1, 33, v_start[3], 24);
  IF p_situation NOT IN ('completed', 'failed') THEN
    PERFORM reserve_credits(t.id(1), t.id(31), 4);
  END IF;
  IF p_situation = 'a stage' THEN
    UPDATE jobs SET status = 'SCRIPTING';
    UPDATE studio_jobs SET status = 'TRANSCRIBING';
    UPDATE mm_rendering_queue SET status = 'rendering';
  ELSIF p_situation IN ('leased', 'cancelling', 'expired', 'snoozed') THEN
    FOREACH v_system IN ARRAY '{jobs,studio_jobs,mm_rendering_queue}'::text[] LOOP
      SELECT * INTO STRICT v_claim FROM claim_jobs(v_system, 'w');
      IF p_situation = 'snoozed' THEN
        PERFORM snooze_job(v_claim.job_id, v_claim.lease_token, '1 hour');
      END IF;
    END LOOP;
  END IF;
  IF p_situation = 'cancelling' THEN
    PERFORM cancel_job(t.id(31)), cancel_studio_job(t.id(32)), cancel_rendering(t.id(33));
  ELSIF p_situation = 'expired' THEN
    UPDATE studio_engine.attempts SET expires_at = '2000-01-01', due_at = '2000-01-01';
  END IF;
END
$$;

-- What comes of it: deleted, with the credits then; or the error.
CREATE FUNCTION t.delete_as(p_asker text, p_sql text, p_situation text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_rows integer;
BEGIN
  CALL t.scene(p_situation);
  CASE p_asker
    WHEN 'user' THEN CALL t.as_user(t.id(1));
    WHEN 'service' THEN CALL t.as_role('service_role');
    WHEN 'auth' THEN CALL t.as_role('supabase_auth_admin');
    WHEN 'admin' THEN CALL t.as_admin();
  END CASE;
  EXECUTE p_sql;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  CALL t.as_admin();
  RAISE SQLSTATE 'T0001' USING MESSAGE = CASE v_rows WHEN 1 THEN 'gone' ELSE v_rows || ' rows' END
    || coalesce((SELECT format(', %s of %s', a.balance, a.balance + a.reserved) FROM credit_accounts a), '')
    || coalesce((SELECT string_agg(b, '; ') FROM t.books() b), '') || coalesce((SELECT string_agg(q, '; ') FROM t.queue() q), '');
EXCEPTION
  WHEN SQLSTATE 'T0001' THEN RETURN SQLERRM;
  WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

CREATE TABLE t.ways (no integer, way text, sql text);
INSERT INTO t.ways VALUES
  (1, 'project', 'DELETE FROM projects'),
  (2, 'project by a view', 'DELETE FROM t.my_projects'),
  (3, 'job', 'DELETE FROM jobs'),
  (4, 'studio job', 'DELETE FROM studio_jobs'),
  (6, 'rendering', 'DELETE FROM mm_rendering_queue'),
  (7, 'session', 'DELETE FROM mm_multimedia_sessions'),
  (8, 'content', 'DELETE FROM cm_module_content'),
  (9, 'company', 'DELETE FROM companies');
GRANT USAGE ON SCHEMA t TO PUBLIC;
SELECT way, situation, t.delete_as('user', sql, situation) AS "a user", t.delete_as('service', sql, situation) AS "a service",
       t.delete_as('admin', sql, situation) AS "a superuser"
  FROM t.ways, unnest('{pending,waiting,leased,expired,cancelling,snoozed,a stage,failed,completed}'::text[]) WITH ORDINALITY s (situation, position)
 ORDER BY no, position;
SELECT situation, t.delete_as('auth', 'DELETE FROM auth.users', situation) AS "the user, by the auth server"
  FROM unnest('{pending,waiting,leased,expired,cancelling,snoozed,a stage,failed,completed}'::text[]) WITH ORDINALITY s (situation, position)
 ORDER BY position;
ROLLBACK;

-- as it is installed: refused, and said what to do; the worker goes on and is paid
CALL t.sign_up(1);
CALL t.project(1, 11);
CALL t.job(11, 31, 'PACKAGING');
SELECT reserve_credits(t.id(1), t.id(31), 4);
SELECT lease_token AS token FROM claim_jobs('jobs', 'w') \gset
SELECT FROM record_asset(t.id(31), 'video', 'https://example.com/v.mp4', 'v.mp4', p_lease_token => :'token');
SELECT t.fingerprint() AS before \gset
CALL t.as_user(t.id(1));
SELECT url FROM assets;
DELETE FROM projects;
SELECT t.try('DELETE FROM jobs');
CALL t.as_admin();
SELECT t.fingerprint() = :'before' AS as_before;
SELECT complete_job(t.id(31), 'https://example.com/v.mp4', NULL, 3, :'token') ->> 'status' AS status;
CALL t.as_user(t.id(1));
DELETE FROM projects;
SELECT get_credit_balance(t.id(1)) AS charged_3;
-- cancelled: when the worker has stopped
CALL t.as_admin();
CALL t.project(1, 12);
CALL t.job(12, 32, 'QUEUED');
SELECT reserve_credits(t.id(1), t.id(32), 4);
SELECT lease_token AS token FROM claim_jobs('jobs', 'w') \gset
CALL t.as_user(t.id(1));
SELECT cancel_job(t.id(32)) ->> 'cancel_requested' AS asked;
SELECT t.try('DELETE FROM projects') AS not_yet;
CALL t.as_role('service_role');
SELECT fail_job(t.id(32), p_lease_token => :'token') ->> 'error_code' AS error;
CALL t.as_user(t.id(1));
DELETE FROM projects;
SELECT get_credit_balance(t.id(1)) AS all_back;
CALL t.as_admin();
-- one of three has begun, under an orchestrator without leases; several projects at once
CALL t.project(1, 13);
CALL t.project(1, 14);
CALL t.job(13, 33, 'QUEUED');
CALL t.job(13, 34, 'QUEUED');
CALL t.job(14, 35, 'QUEUED');
UPDATE jobs SET status = 'SCRIPTING' WHERE id = t.id(34);
CALL t.as_user(t.id(1));
SELECT t.try('DELETE FROM projects');
DELETE FROM projects WHERE id = t.id(14);
SELECT cancel_job(t.id(34)) ->> 'status' AS status;
DELETE FROM projects;
CALL t.as_admin();
SELECT * FROM t.books();
SELECT * FROM t.queue();
SELECT * FROM t.clean();
