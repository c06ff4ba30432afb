-- 810_broadcast.sql
--
-- enable_broadcast(): what clients are told of changes, once a transaction, to whom,
-- and that nothing which goes wrong with it stops a job.
-- Pitfall: messages are sent at the commit, so most of this is committed, and undone
-- at the end.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- Realtime is not there
SELECT t.try('SELECT * FROM enable_broadcast()') AS refused;
SELECT bool_or(removed) AS any_removed FROM disable_broadcast();
SELECT studio_engine.broadcast_obstacle();

\set ECHO none
\i test/sql/include/realtime_stub.sql
\set ECHO all
SELECT studio_engine.broadcast_obstacle();
SELECT * FROM enable_broadcast();
SELECT count(*) AS tables, bool_or(added) AS any_added FROM enable_broadcast();
SELECT polname, polpermissive, polcmd, polroles::regrole[] FROM pg_policy WHERE polrelid = 'realtime.messages'::regclass ORDER BY polname;
-- the fast path goes on
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;

ALTER TABLE jobs DISABLE TRIGGER tr_jobs_broadcast;
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
ALTER TABLE jobs ENABLE TRIGGER tr_jobs_broadcast;

CREATE VIEW t.told AS
SELECT t.masked(topic) AS topic, event, payload ->> 'op' AS op, t.masked((payload -> 'changed')::text) AS changed
  FROM realtime.messages ORDER BY ctid;
CREATE PROCEDURE t.forget() LANGUAGE sql AS $$ TRUNCATE realtime.messages $$;

-- one video job: what its user is told, in how many bytes
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.forget();
CALL t.as_role('service_role');
SELECT create_job(t.id(11), 3) AS job \gset
CALL t.as_admin();
SELECT * FROM t.told;
CALL t.forget();
CALL t.as_role('service_role');
SELECT lease_token AS token FROM claim_jobs('jobs', 'w', 1) \gset
SELECT advance_job(:'job', 'SCRIPTING', p_lease_token => :'token') ->> 'status' AS status;
SELECT update_job_step(:'job', 'scripting', 'started', p_lease_token => :'token') ->> 'state' AS state;
SELECT update_job_step(:'job', 'scripting', 'succeeded', p_lease_token => :'token') ->> 'state' AS state;
-- heartbeats show progress as often as the setting says, not each
SELECT count(heartbeat_job(:'job', :'token', p_progress => n)) AS heartbeats FROM generate_series(6, 14) n;
SELECT count(log_job(:'job', 'info', 'line', p_lease_token => :'token')) AS lines FROM generate_series(1, 5);
SELECT count(advance_job(:'job', s, p_lease_token => :'token')) AS stages
  FROM unnest('{VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
SELECT record_asset(:'job', 'video', 'https://example.com/secret?token=x', 'path', p_lease_token => :'token') IS NOT NULL AS recorded;
SELECT complete_job(:'job', 'https://example.com/v', p_lease_token => :'token') ->> 'status' AS status;
CALL t.as_admin();
SELECT * FROM t.told;
SELECT count(*) AS messages, max(length(payload::text)) < 300 AS small,
       bool_and(topic = 'user:' || t.id(1) AND private AND extension = 'broadcast' AND payload ->> 'version' = '1'
                AND payload ->> 'table' = event AND payload ? 'id') AS formed,
       bool_or(payload::text LIKE '%secret%') AS secrets
  FROM realtime.messages;

-- once a row and transaction, with what it is in the end
CALL t.forget();
CALL t.studio_job(1, 31);
CALL t.studio_job(1, 32);
CALL t.forget();
BEGIN;
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(31);
UPDATE studio_jobs SET status = 'ENRICHING' WHERE job_id = t.id(31);
UPDATE studio_jobs SET model_version = 'not told' WHERE job_id = t.id(32);
UPDATE studio_jobs SET status = 'FAILED', processing_time_ms = 5 WHERE job_id = t.id(31);
UPDATE studio_jobs SET processing_time_ms = NULL WHERE job_id = t.id(31);
COMMIT;
SELECT * FROM t.told;

-- what is rolled back is not told, however deep
CALL t.forget();
BEGIN;
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(32);
ROLLBACK;
BEGIN;
SAVEPOINT a;
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(32);
ROLLBACK TO a;
COMMIT;
SELECT count(*) AS told FROM t.told;
BEGIN;
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(32);
SAVEPOINT a;
UPDATE studio_jobs SET status = 'ENRICHING' WHERE job_id = t.id(32);
SAVEPOINT b;
UPDATE studio_jobs SET status = 'REFINING' WHERE job_id = t.id(32);
CALL t.studio_job(1, 33);
SAVEPOINT c;
CALL t.studio_job(1, 34);
RELEASE c;
ROLLBACK TO b;
SAVEPOINT d;
CALL t.studio_job(1, 35);
RELEASE d;
RELEASE a;
COMMIT;
SELECT * FROM t.told;
CALL t.forget();
DO $$
BEGIN
  FOR n IN 41..46 LOOP
    BEGIN
      CALL t.studio_job(1, n);
      UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(n);
      BEGIN
        UPDATE studio_jobs SET status = 'ENRICHING' WHERE job_id = t.id(n);
        ASSERT n % 3 <> 0;
      EXCEPTION WHEN assert_failure THEN
        ASSERT n % 2 = 0;
      END;
    EXCEPTION WHEN assert_failure THEN NULL;
    END;
  END LOOP;
END
$$;
SELECT * FROM t.told;
-- a procedure that commits tells at each commit
CALL t.forget();
DO $$
BEGIN
  UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(41);
  COMMIT;
  ASSERT (SELECT count(*) = 1 FROM realtime.messages);
  UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(42);
  ROLLBACK;
  UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(44);
END
$$;
SELECT count(*) AS told FROM t.told;
-- so does a transaction that is prepared, when it commits
CALL t.forget();
BEGIN;
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(35);
PREPARE TRANSACTION 'broadcast';
SELECT count(*) AS told FROM t.told;
COMMIT PREPARED 'broadcast';
SELECT count(*) AS told FROM t.told;
-- and whatever the isolation
CALL t.forget();
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM studio_jobs WHERE status = 'NEW';
SELECT count(retry_studio_job(t.id(35))) AS retried;
COMMIT;
SELECT * FROM t.told;
-- not while triggers are skipped
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(35);
COMMIT;
SELECT count(*) AS told FROM t.told;

-- every table, insert and update; texts are cut
CALL t.forget();
INSERT INTO companies (id, name) VALUES (t.id(61), 'A'), (t.id(62), 'B');
INSERT INTO employees (id, company_id, user_id, name) VALUES (t.id(63), t.id(61), t.id(1), 'One'), (t.id(64), t.id(62), t.id(2), 'Two');
INSERT INTO cm_module_content (content_id, company_id, module_name, introduction) VALUES (t.id(65), t.id(61), 'M', repeat('words ', 1000));
INSERT INTO cm_module_content (content_id, company_id, module_name) VALUES (t.id(66), NULL, 'of nobody');
UPDATE cm_module_content SET introduction = 'others';
UPDATE cm_module_content SET status = 'quality_check' WHERE content_id = t.id(65);
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(67), t.id(65));
UPDATE mm_multimedia_sessions SET current_stage = repeat(U&'"\00e4', 300), progress_percentage = 33.33333333 WHERE session_id = t.id(67);
INSERT INTO mm_multimedia_assets (session_id, asset_type) VALUES (t.id(67), 'image');
INSERT INTO mm_rendering_queue (render_id, session_id, user_id) VALUES (t.id(68), t.id(67), t.id(1));
UPDATE mm_rendering_queue SET status = 'failed', error_code = E'E\n1', error_message = 'not told' WHERE render_id = t.id(68);
SELECT count(pipeline.create_job('run 1', '{}', t.id(1))) AS runs;
SELECT count(pipeline.register_artifact('run 1', 'video', 'https://example.com/secret')) AS artifacts;
SELECT count(pipeline.create_job('run 2', '{}', NULL)) AS of_nobody;
SELECT topic, event, op, changed, octet_length(changed) AS bytes FROM t.told;

-- a row that goes to another user is told to him, whole
CALL t.forget();
UPDATE studio_jobs SET user_id = t.id(2) WHERE job_id = t.id(32);
SELECT * FROM t.told;
-- ... and has what it has for him alone, even where the former user was to be told more of it
CALL t.forget();
UPDATE studio_jobs SET processing_time_ms = 77 WHERE job_id = t.id(32);
CALL t.forget();
BEGIN;
UPDATE studio_jobs SET processing_time_ms = 78 WHERE job_id = t.id(32);
UPDATE studio_jobs SET processing_time_ms = NULL, user_id = t.id(1) WHERE job_id = t.id(32);
COMMIT;
SELECT * FROM t.told;
UPDATE studio_jobs SET user_id = t.id(2) WHERE job_id = t.id(32);

-- what is deleted in the transaction is not told, unless that is undone, or the row comes again
CALL t.forget();
BEGIN;
CALL t.studio_job(1, 75);
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(32);
DELETE FROM studio_jobs WHERE job_id IN (t.id(75), t.id(32));
SAVEPOINT a;
CALL t.studio_job(1, 76);
SAVEPOINT b;
DELETE FROM studio_jobs WHERE job_id = t.id(76);
ROLLBACK TO b;
CALL t.studio_job(1, 77);
DELETE FROM studio_jobs WHERE job_id = t.id(77);
CALL t.studio_job(1, 77);
SAVEPOINT c;
CALL t.studio_job(1, 78);
SAVEPOINT d;
DELETE FROM studio_jobs WHERE job_id = t.id(78);
RELEASE c;
COMMIT;
SELECT t.n((payload ->> 'id')::uuid) AS job, payload ->> 'op' AS op FROM realtime.messages ORDER BY 1;
CALL t.studio_job(2, 32);
DELETE FROM studio_jobs WHERE job_id IN (t.id(76), t.id(77));

-- a row without a key, which the owner of the table may allow, is not told
CALL t.forget();
BEGIN;
ALTER TABLE assets DROP CONSTRAINT assets_pkey CASCADE;
ALTER TABLE assets ALTER COLUMN id DROP NOT NULL;
UPDATE assets SET id = NULL, size_bytes = 7;
SELECT count(*) AS keyless FROM assets WHERE id IS NULL;
DELETE FROM assets WHERE id IS NULL;
ROLLBACK;

-- Who hears a topic: what Realtime asks when a client joins. The rows of the probe are
-- rolled back.
CREATE FUNCTION t.hears(p_user uuid, p_topic text, p_role text DEFAULT 'authenticated') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_read text;
  v_write text;
BEGIN
  BEGIN
    INSERT INTO realtime.messages (topic, extension) VALUES (p_topic, 'broadcast');
    PERFORM set_config('request.jwt.claims', json_build_object('sub', p_user, 'role', p_role)::text, true),
            set_config('realtime.topic', p_topic, true), set_config('role', p_role, true);
    v_read := (SELECT count(*) FROM realtime.messages WHERE topic = p_topic)::text;
    BEGIN
      INSERT INTO realtime.messages (topic, extension) VALUES (p_topic, 'broadcast');
      v_write := 'speaks';
    EXCEPTION WHEN insufficient_privilege THEN
      v_write := 'silent';
    END;
    RAISE EXCEPTION 'enough' USING ERRCODE = 'ZZ001';
  EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
    RETURN CASE v_read WHEN '1' THEN 'hears' WHEN '0' THEN 'deaf' ELSE v_read END || ', ' || v_write;
  END;
END
$$;
-- a role of the project that is neither of the platform nor reads any table of ours
CREATE ROLE regress_listener;
GRANT USAGE ON SCHEMA realtime TO regress_listener;
GRANT SELECT, INSERT ON realtime.messages TO regress_listener;
CREATE FUNCTION t.audience() RETURNS TABLE (topic text, user_1 text, user_2 text, nobody text, anon text, another text)
LANGUAGE sql AS $$
  SELECT t.masked(p), t.hears(t.id(1), p), t.hears(t.id(2), p), t.hears(NULL, p), t.hears(NULL, p, 'anon'), t.hears(NULL, p, 'regress_listener')
    FROM unnest(ARRAY['user:' || t.id(1), 'user:' || t.id(99), 'company:' || t.id(61), 'company:' || t.id(62), 'run:run 1', 'run:run 2',
                      'run:run 3', 'run:', 'user:', 'room:1', 'user:7']) WITH ORDINALITY u (p, n) ORDER BY n
$$;
CALL t.forget();
SELECT * FROM t.audience();
-- a project that lets everybody hear and say everything: our topics stay as they are
CREATE POLICY everybody_hears ON realtime.messages FOR SELECT TO PUBLIC USING (true);
CREATE POLICY everybody_speaks ON realtime.messages FOR INSERT TO PUBLIC WITH CHECK (true);
SELECT * FROM t.audience();
-- topics of others work with a token whose user has no uuid
BEGIN;
INSERT INTO realtime.messages (topic, extension) VALUES ('room:1', 'broadcast');
SET LOCAL request.jwt.claims = '{"sub": "user_2x", "role": "authenticated"}';
SET LOCAL realtime.topic = 'room:1';
SET LOCAL ROLE authenticated;
SELECT count(*) AS heard FROM realtime.messages WHERE topic = 'room:1';
ROLLBACK;
DROP POLICY everybody_hears ON realtime.messages;
DROP POLICY everybody_speaks ON realtime.messages;
-- a topic that somebody claims to have joined shows no messages of others
CALL t.studio_job(1, 34);
CALL t.studio_job(2, 36);
BEGIN;
CALL t.as_user(t.id(1));
SET LOCAL realtime.topic = 'user:00000000-0000-4000-8000-000000000002';
SELECT count(*) AS of_others FROM realtime.messages;
ROLLBACK;
CALL t.as_admin();

-- the function runs as the owner of the table of messages, and as nobody else
CALL t.forget();
ALTER FUNCTION realtime.send(jsonb, text, text, boolean) RENAME TO send_of_stub;
CREATE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO realtime.messages (topic, extension, event, payload)
  VALUES (topic, 'broadcast', event, jsonb_build_object('user', current_user, 'path', current_setting('search_path')));
  SELECT set_config('search_path', 'left_behind', false);
$$;
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(43);
CALL t.studio_job(2, 37);
SELECT event, payload FROM realtime.messages;
SHOW search_path;
-- of a superuser's table it runs as the owner of the data
CALL t.forget();
ALTER TABLE realtime.messages OWNER TO CURRENT_USER;
CALL t.studio_job(2, 38);
SELECT payload ->> 'user' = current_user AS as_owner_of_data FROM realtime.messages;
-- what others wrote is not called: the function, a trigger, a partition
CREATE ROLE regress_stranger;
GRANT USAGE, CREATE ON SCHEMA realtime TO regress_stranger;
CALL t.forget();
ALTER FUNCTION realtime.send(jsonb, text, text, boolean) OWNER TO regress_stranger;
SELECT studio_engine.broadcast_obstacle();
CALL t.studio_job(2, 39);
CALL t.studio_job(2, 40);
SELECT count(*) AS told FROM t.told;
SELECT t.try('SELECT * FROM enable_broadcast()');
ALTER TABLE realtime.messages OWNER TO regress_stranger;
SELECT studio_engine.broadcast_obstacle() AS same_owner;
ALTER TABLE realtime.messages OWNER TO supabase_realtime_admin;
SELECT studio_engine.broadcast_obstacle() AS another_owner;
GRANT supabase_realtime_admin TO regress_stranger;
SELECT studio_engine.broadcast_obstacle() AS with_his_rights;
REVOKE supabase_realtime_admin FROM regress_stranger;
ALTER FUNCTION realtime.send(jsonb, text, text, boolean) SECURITY DEFINER;
SELECT studio_engine.broadcast_obstacle() AS with_its_own_rights;
DROP FUNCTION realtime.send(jsonb, text, text, boolean);
ALTER FUNCTION realtime.send_of_stub(jsonb, text, text, boolean) RENAME TO send;
SELECT studio_engine.broadcast_obstacle() AS restored;
CREATE FUNCTION realtime.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$;
ALTER FUNCTION realtime.trap() OWNER TO regress_stranger;
CREATE TRIGGER trap BEFORE INSERT ON realtime.messages FOR EACH ROW EXECUTE FUNCTION realtime.trap();
SELECT studio_engine.broadcast_obstacle() AS trigger;
CALL t.studio_job(2, 50);
DROP TRIGGER trap ON realtime.messages;
CREATE TRIGGER trap BEFORE INSERT ON realtime.messages_of_today FOR EACH ROW EXECUTE FUNCTION realtime.trap();
SELECT studio_engine.broadcast_obstacle() AS trigger_of_partition;
DROP TRIGGER trap ON realtime.messages_of_today;
-- the condition of a trigger runs before its function
ALTER FUNCTION realtime.trap() OWNER TO CURRENT_USER;
CREATE TRIGGER trap BEFORE INSERT ON realtime.messages FOR EACH ROW WHEN (length(NEW.topic) < 0) EXECUTE FUNCTION realtime.trap();
SELECT studio_engine.broadcast_obstacle() AS condition;
DROP TRIGGER trap ON realtime.messages;
-- without a guard of our topics nothing is sent
ALTER POLICY studio_engine_no_other ON realtime.messages RENAME TO elsewhere;
SELECT studio_engine.broadcast_obstacle() AS policy;
CALL t.studio_job(2, 59);
ALTER POLICY elsewhere ON realtime.messages RENAME TO studio_engine_no_other;
ALTER TABLE realtime.messages DISABLE ROW LEVEL SECURITY;
SELECT studio_engine.broadcast_obstacle() AS row_security;
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE realtime.messages_of_today OWNER TO regress_stranger;
SELECT studio_engine.broadcast_obstacle() AS partition;
ALTER TABLE realtime.messages_of_today OWNER TO supabase_realtime_admin;
SELECT studio_engine.broadcast_obstacle() AS restored;
SELECT count(*) AS told FROM t.told;

-- whatever fails there, the job goes on: the table, the function, all of it
CREATE TRIGGER trap BEFORE INSERT ON realtime.messages FOR EACH ROW EXECUTE FUNCTION realtime.trap();
ALTER FUNCTION realtime.trap() OWNER TO CURRENT_USER;
CALL t.studio_job(2, 51);
DROP TRIGGER trap ON realtime.messages;
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql AS $$ BEGIN RAISE 'no luck'; END $$;
CALL t.as_role('service_role');
SELECT create_job(t.id(12), 3) AS job \gset
SELECT t.ask(format('SELECT cancel_job(%L) ->> ''status''', :'job'));
CALL t.as_admin();
-- it cannot leave anything behind that runs later, as somebody else
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql AS $$ BEGIN SET ROLE postgres; END $$;
CALL t.studio_job(2, 52);
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE left_behind (a integer); END $$;
CALL t.studio_job(2, 53);
-- it may be slow, but not for each of many rows
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE sql AS $$
  SELECT pg_sleep(1.1);
  INSERT INTO realtime.messages (topic, extension, event, payload) VALUES (topic, 'broadcast', event, payload);
$$;
BEGIN;
CALL t.studio_job(2, 72);
CALL t.studio_job(2, 73);
CALL t.studio_job(2, 74);
COMMIT;
SELECT count(*) IN (1, 2) AS some_told FROM t.told;
CALL t.forget();
-- what it writes into our tables is not told
GRANT SELECT, UPDATE ON studio_jobs TO supabase_realtime_admin;
CREATE POLICY of_realtime ON studio_jobs TO supabase_realtime_admin USING (true);
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE public.studio_jobs SET status = 'FAILED' WHERE job_id = '00000000-0000-4000-8000-000000000053';
  INSERT INTO realtime.messages (topic, extension, event, payload) VALUES (topic, 'broadcast', event, payload);
END
$$;
CALL t.studio_job(2, 54);
SELECT * FROM t.told;
SELECT status FROM studio_jobs WHERE job_id = t.id(53);
DROP POLICY of_realtime ON studio_jobs;
REVOKE ALL ON studio_jobs FROM supabase_realtime_admin;
-- a right is missing, then the function, then the table, then the schema
REVOKE USAGE ON SCHEMA realtime FROM supabase_realtime_admin;
SELECT studio_engine.broadcast_obstacle();
CALL t.studio_job(2, 55);
DROP FUNCTION realtime.send(jsonb, text, text, boolean);
SELECT studio_engine.broadcast_obstacle();
CALL t.studio_job(2, 56);
ALTER TABLE realtime.messages RENAME TO messages_of_before;
CREATE VIEW realtime.messages AS SELECT * FROM realtime.messages_of_before;
CREATE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE sql AS $$ SELECT $$;
SELECT studio_engine.broadcast_obstacle();
CALL t.studio_job(2, 57);
ALTER SCHEMA realtime RENAME TO realtime_of_before;
CALL t.studio_job(2, 58);
SELECT t.books() AS unsound;

-- very many rows in one transaction: what is kept of them is bounded
ALTER SCHEMA realtime_of_before RENAME TO realtime;
DROP VIEW realtime.messages;
DROP FUNCTION realtime.send(jsonb, text, text, boolean);
ALTER TABLE realtime.messages_of_before RENAME TO messages;
GRANT USAGE ON SCHEMA realtime TO supabase_realtime_admin;
CREATE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE sql AS $$ INSERT INTO realtime.messages (topic, extension, event, payload) VALUES (topic, 'broadcast', event, payload) $$;
CALL t.forget();
SELECT bool_or(added) AS any_added FROM enable_broadcast();
BEGIN;
INSERT INTO studio_jobs (user_id, raw_audio_url, system_prompt_used)
SELECT t.id(1 + n % 2), 'u', 'p' FROM generate_series(1, 10500) n;
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE status = 'NEW';
SELECT sum(total_bytes) < 16 * 1024 * 1024 AS bounded FROM pg_backend_memory_contexts WHERE name LIKE 'studio_engine messages%';
COMMIT;
SELECT event, count(*), count(DISTINCT topic) AS topics, max(payload ->> 'op') AS op FROM realtime.messages GROUP BY event ORDER BY event;
DELETE FROM studio_jobs;

-- an end, and a beginning anew
SELECT * FROM disable_broadcast();
SELECT count(*) AS policies FROM pg_policy WHERE polrelid = 'realtime.messages'::regclass;
CALL t.forget();
CALL t.studio_job(1, 70);
SELECT count(*) AS told FROM t.told;
SELECT bool_and(added) AS all_added FROM enable_broadcast();
CALL t.studio_job(1, 71);
SELECT * FROM t.told;

-- what the policies look up users must be able to read
BEGIN;
REVOKE SELECT ON employees FROM authenticated;
REVOKE USAGE ON SCHEMA pipeline FROM authenticated;
SELECT t.try('SELECT * FROM enable_broadcast()');
\set VERBOSITY default
SELECT * FROM enable_broadcast();
\set VERBOSITY terse
ROLLBACK;

-- users and services may not; who owns the data must be let by the owner of the messages
CALL t.as_user(t.id(1));
SELECT t.try('SELECT * FROM enable_broadcast()'), t.try('SELECT * FROM disable_broadcast()'), t.try('SELECT studio_engine.broadcast_obstacle()');
CALL t.as_role('service_role');
SELECT t.try('SELECT * FROM enable_broadcast()'), t.try('SELECT * FROM disable_broadcast()'), t.try('SELECT studio_engine.broadcast_obstacle()');
CALL t.as_admin();
BEGIN;
SELECT count(*) FROM disable_broadcast();
ALTER SCHEMA studio_engine OWNER TO regress_stranger;
ALTER SCHEMA pipeline OWNER TO regress_stranger;
GRANT EXECUTE ON FUNCTION enable_broadcast(), disable_broadcast(), studio_engine.enable_broadcast_as_owner(), studio_engine.disable_broadcast_as_owner(),
  studio_engine.broadcast_obstacle(), studio_engine.broadcast_change(), studio_engine.realtime_tables() TO regress_stranger;
DO $$
DECLARE
  v_table text;
BEGIN
  FOR v_table IN SELECT * FROM studio_engine.realtime_tables() LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO regress_stranger', v_table);
  END LOOP;
END $$;
SET LOCAL ROLE regress_stranger;
SELECT t.try('SELECT * FROM enable_broadcast()');
RESET ROLE;
GRANT INSERT ON realtime.messages TO regress_stranger;
GRANT USAGE ON SCHEMA realtime TO regress_stranger;
SET LOCAL ROLE regress_stranger;
SELECT left(t.try('SELECT * FROM enable_broadcast()'), 180);
RESET ROLE;
GRANT supabase_realtime_admin TO regress_stranger;
GRANT SELECT ON employees TO regress_stranger;
GRANT USAGE ON SCHEMA auth TO regress_stranger;
ALTER TABLE realtime.messages DISABLE ROW LEVEL SECURITY;
SET LOCAL ROLE regress_stranger;
SELECT t.try('SELECT * FROM enable_broadcast()');
RESET ROLE;
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE regress_stranger;
SELECT bool_and(added) AS all_added FROM enable_broadcast();
SELECT bool_and(removed) AS all_removed FROM disable_broadcast();
RESET ROLE;
SELECT t.try('SELECT * FROM studio_engine.enable_broadcast_as_owner()'), t.try('SELECT * FROM studio_engine.disable_broadcast_as_owner()');
ROLLBACK;

SELECT count(*) FILTER (WHERE removed) AS removed FROM disable_broadcast();
DROP VIEW t.told;
DROP SCHEMA realtime CASCADE;
DROP ROLE supabase_realtime_admin;
REVOKE ALL ON SCHEMA public FROM regress_stranger;
DROP ROLE regress_stranger, regress_listener;
DROP PROCEDURE t.forget();
DROP FUNCTION t.audience(), t.hears(uuid, text, text);
DELETE FROM cm_module_content;
DELETE FROM companies;
DELETE FROM pipeline.jobs WHERE owner_id IS NULL;
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT * FROM t.books();
SELECT * FROM t.clean();
