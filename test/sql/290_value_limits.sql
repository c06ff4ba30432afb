-- 290_value_limits.sql
--
-- How large values may be: every column of every table at its limit and one
-- beyond it, by INSERT, UPDATE and COPY; what functions write past the
-- triggers; old rows that are beyond the limits.
-- Pitfall: texts are such that nothing compresses them, since what a btree
-- takes depends on that.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- the list, as README.md has it in short
SELECT max_bytes, max_depth, max_digits, max_elements, string_agg(table_name || '.' || column_name, ', ' ORDER BY table_name, column_name) AS columns
  FROM studio_engine.value_limits() GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
-- tables that have long values and no limits: only our functions write them
SELECT DISTINCT a.attrelid::regclass AS only_by_functions
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relkind = 'r' AND a.attnum > 0 AND a.attlen = -1 AND NOT a.attisdropped
   AND (c.relnamespace IN ('studio_engine'::regnamespace, 'pipeline'::regnamespace)
        OR c.relnamespace = 'public'::regnamespace AND c.relname = ANY (studio_engine.table_names()))
   AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgfoid = 'studio_engine.limit_values'::regproc)
 ORDER BY 1;
-- the trigger is the first to fire, and there is one of the right name per table
SELECT g.tgrelid::regclass AS not_first FROM pg_trigger g
 WHERE g.tgfoid = 'studio_engine.limit_values'::regproc
   AND (g.tgname <> '00_' || (SELECT c.relname FROM pg_class c WHERE c.oid = g.tgrelid) || '_limits' OR g.tgtype <> 23
        OR EXISTS (SELECT FROM pg_trigger o WHERE o.tgrelid = g.tgrelid AND NOT o.tgisinternal
                      AND o.tgtype & 2 = 2 AND o.tgtype & 1 = 1 AND o.tgtype & 20 <> 0 AND o.tgname < g.tgname));

-- one row of each table
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
CALL t.studio_job(1, 31);
INSERT INTO job_steps (job_id, step_name, step_order) VALUES (t.id(21), 'step', 1);
INSERT INTO assets (job_id, type, url, storage_path) VALUES (t.id(21), 'video', 'u', 'p');
INSERT INTO logs (job_id, message) VALUES (t.id(21), 'm');
INSERT INTO draft_prompts (session_token, prompt_text) VALUES ('token', 'p');
INSERT INTO companies (id, name) VALUES (t.id(51), 'c');
INSERT INTO employees (id, company_id, name) VALUES (t.id(52), t.id(51), 'e');
INSERT INTO cm_module_content (content_id, company_id, module_name) VALUES (t.id(53), t.id(51), 'm');
INSERT INTO cm_course_plans (plan_id, employee_id) VALUES (t.id(54), t.id(52));
INSERT INTO cm_research_results (plan_id) VALUES (t.id(54));
INSERT INTO cm_quality_assessments (content_id, overall_score, passed) VALUES (t.id(53), 5, false);
INSERT INTO cm_enhancement_sessions (content_id) VALUES (t.id(53));
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(55), t.id(53));
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type) VALUES (t.id(56), t.id(55), 'video');
INSERT INTO mm_audio_narrations (session_id) VALUES (t.id(55));
INSERT INTO mm_slide_presentations (session_id) VALUES (t.id(55));
INSERT INTO mm_script_generations (session_id) VALUES (t.id(55));
INSERT INTO mm_video_analytics (asset_id, view_date) VALUES (t.id(56), '2026-01-01');
INSERT INTO mm_rendering_queue (render_id, session_id) VALUES (t.id(57), t.id(55));
INSERT INTO pipeline.jobs (run_id, project_spec) VALUES ('run', '{}');
INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('run', 'b', 'e');
INSERT INTO pipeline.artifacts (run_id, kind) VALUES ('run', 'k');
INSERT INTO pipeline.prompts (id, category, context, prompt_text) VALUES ('p', 'c', 'c', 'p');
DELETE FROM profiles WHERE id = t.id(2);

CREATE TABLE t.long (hex text);
ALTER TABLE t.long ALTER hex SET STORAGE EXTERNAL;
INSERT INTO t.long SELECT string_agg(md5(i::text), '') FROM generate_series(1, 125001) i;
-- a value of this type that has as much as is allowed, or one more
CREATE FUNCTION t.value_at(p_type text, p_bytes integer, p_beyond integer) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT CASE p_type
    WHEN 'text' THEN substr(l.hex, 1, p_bytes + p_beyond)
    WHEN 'jsonb' THEN '"' || substr(l.hex, 1, p_bytes - 8 + p_beyond) || '"'
    WHEN 'text[]' THEN '{' || substr(l.hex, 1, p_bytes - 24 + 4 * p_beyond) || '}'
    WHEN 'uuid[]' THEN '{' || (SELECT string_agg(t.id(i)::text, ',') FROM generate_series(1, 10000 + p_beyond) i) || '}'
    WHEN 'numeric' THEN '0.' || repeat('1', 399 + p_beyond) END
    FROM t.long l
$$;
-- the result of a command, which is rolled back
CREATE FUNCTION t.by_command(p_command text, p_table text, p_column text, p_type text, p_value text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_key text := (SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                  WHERE i.indrelid = p_table::regclass AND i.indisprimary);
  v_file text := current_setting('data_directory') || '/value_limits.copy';
  v_new jsonb;
BEGIN
  EXECUTE format('SELECT jsonb_build_object(%L, t.id(2), ''step_name'', ''other'', ''view_date'', ''2026-01-02'') || jsonb_build_object(%L, $1::%s)',
                 v_key, p_column, p_type) INTO v_new USING p_value;
  IF p_command = 'UPDATE' THEN
    EXECUTE format('UPDATE %s SET %I = $1::%s', p_table, p_column, p_type) USING p_value;
  ELSIF p_command = 'INSERT' THEN
    EXECUTE format('INSERT INTO %1$s SELECT (jsonb_populate_record(NULL::%1$s, to_jsonb(r) || $1)).* FROM (SELECT * FROM %1$s LIMIT 1) r', p_table) USING v_new;
  ELSE
    EXECUTE format('COPY (SELECT (jsonb_populate_record(NULL::%2$s, to_jsonb(r) || %1$L)).* FROM (SELECT * FROM %2$s LIMIT 1) r) TO %3$L', v_new, p_table, v_file);
    EXECUTE format('COPY %s FROM %L', p_table, v_file);
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'P0001';
EXCEPTION WHEN raise_exception THEN
  RETURN 'ok';
WHEN OTHERS THEN
  RETURN SQLSTATE || CASE WHEN SQLSTATE IN ('23514', '23505', '42501') THEN '' ELSE ' ' || SQLERRM END;
END
$$;
-- what settings accept beside that is tested by 060_settings.sql
ALTER TABLE studio_engine.settings DISABLE TRIGGER tr_settings_check;
-- words that are too long to be indexed are no news
SET client_min_messages = warning;
CREATE TABLE t.answers AS
SELECT r.verb, l.table_name, l.column_name, f.type, b.beyond,
       t.by_command(r.verb, f.name, l.column_name, f.type, t.value_at(f.type, l.max_bytes, b.beyond)) AS answer
  FROM studio_engine.value_limits() l,
       LATERAL (SELECT c.oid::regclass::text AS name, format_type(a.atttypid, NULL) AS type
                  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_attribute a ON a.attrelid = c.oid
                 WHERE g.tgfoid = 'studio_engine.limit_values'::regproc AND encode(g.tgargs, 'escape') = l.table_name || '\000'
                   AND a.attname = l.column_name) f,
       unnest('{INSERT,UPDATE,COPY}'::text[]) r (verb), generate_series(0, 1) b (beyond)
 -- what is long and allowed is stored by one command only, for the time that takes
 WHERE b.beyond = 1 OR r.verb = 'UPDATE' OR l.max_bytes IS NULL OR l.max_bytes < 100000;
RESET client_min_messages;
ALTER TABLE studio_engine.settings ENABLE TRIGGER tr_settings_check;
-- 23514 are words of a list, 42501 is the ledger, which is append-only, others are keys
SELECT verb, beyond, answer, count(*) FROM t.answers GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM t.answers WHERE beyond = 1 AND answer <> '22023 value is too large' OR beyond = 0 AND answer ~ '^(22|54|XX)';
SELECT table_name, column_name AS not_tried FROM studio_engine.value_limits()
EXCEPT SELECT table_name, column_name FROM t.answers GROUP BY 1, 2 HAVING count(*) FILTER (WHERE beyond = 1) = 3 AND count(*) FILTER (WHERE beyond = 0) > 0;

-- what the error says
SELECT t.try($$UPDATE studio_jobs SET raw_transcript = repeat('x', 1048577)$$) AS text,
       t.try($$UPDATE studio_jobs SET enrichment_entities = to_jsonb(repeat('x', 1048577))$$) AS stored;
SELECT t.try($$UPDATE studio_jobs SET enrichment_entities = to_jsonb(repeat(E'\x01', 1000000))$$) AS shown;
SELECT t.try($$UPDATE studio_jobs SET enrichment_entities = (repeat('[', 64) || repeat(']', 64))::jsonb$$) AS "64",
       t.try($$UPDATE studio_jobs SET enrichment_entities = (repeat('[', 65) || repeat(']', 65))::jsonb$$) AS "65";
SELECT t.try($$UPDATE studio_jobs SET enrichment_entities = (repeat('{"a":', 64) || '1' || repeat('}', 64))::jsonb$$) AS "64",
       t.try($$UPDATE studio_jobs SET enrichment_entities = (repeat('{"a":', 65) || '1' || repeat('}', 65))::jsonb$$) AS "65";
SELECT n, t.try(format('UPDATE studio_jobs SET enrichment_entities = ''{"n": [0, %s]}''', n))
  FROM unnest('{1e131071,-1e131071,1e-16000,1e399,1e400,-1e399,1e-399,1e-400,1.7976931348623157e308,-5e-324}'::text[]) n;
SELECT t.try(format('UPDATE mm_audio_narrations SET total_duration_seconds = ''%s''', n)) FROM unnest('{1e399,1e400,1e131071,NaN}'::text[]) n;
SELECT t.try($$UPDATE cm_research_results SET search_queries = array_fill(''::text, '{10000}')$$) AS "10,000",
       t.try($$UPDATE cm_research_results SET search_queries = array_fill(''::text, '{10001}')$$) AS "10,001",
       t.try($$UPDATE cm_research_results SET search_queries = array_fill(NULL::text, '{101,100}')$$) AS of_nulls;
-- bytes of text are counted as jsonb writes them
CREATE TABLE t.json (j jsonb);
INSERT INTO t.json VALUES ('null'), ('true'), ('false'), ('0'), ('-1.50'), ('""'), ('[]'), ('{}'), ('[[], {}, "a", 1]'), ('{"a": {"b": [1, 2, {"c": null}]}, "d": []}'),
  (jsonb_build_object(E'k\n"\\\t', (SELECT string_agg(chr(i), '') FROM generate_series(1, 300) i), 'x', ARRAY['', E'\x7f', '漢字'], 'n', 1e50));
INSERT INTO t.json SELECT (SELECT jsonb_agg(j) FROM t.json) || (SELECT jsonb_object_agg(j::text, j) FROM t.json);
CREATE FUNCTION t.text_size(p_json jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  -- so deep below that only the bytes of the text can be too many
  v_filler text := repeat(E'\x01', 43000);
  v_whole jsonb := jsonb_build_array(p_json, v_filler);
BEGIN
  UPDATE studio_jobs SET error_details = v_whole || to_jsonb(repeat('x', 262144 - octet_length(v_whole::text) - 4));
  BEGIN
    UPDATE studio_jobs SET error_details = v_whole || to_jsonb(repeat('x', 262144 - octet_length(v_whole::text) - 3));
  EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'exact';
  END;
  RETURN 'too large';
EXCEPTION WHEN invalid_parameter_value THEN
  RETURN 'too small: ' || SQLERRM;
END
$$;
SELECT t.text_size(j), count(*) FROM t.json GROUP BY 1;

-- a column of the owner's has the largest limit, of any type
CREATE DOMAIN t.amount AS numeric;
CREATE DOMAIN t.choices AS jsonb;
ALTER TABLE studio_jobs ADD COLUMN theirs text, ADD COLUMN parts json[], ADD COLUMN number t.amount, ADD COLUMN choices t.choices, ADD COLUMN raw bytea;
SELECT table_name, column_name, max_bytes, max_depth, max_digits, max_elements FROM studio_engine.value_limits() WHERE column_name IN ('theirs', 'parts', 'number', 'choices', 'raw');
SELECT v, t.try(format('UPDATE studio_jobs SET %s', v)) FROM unnest(ARRAY['theirs = repeat(''x'', 1048576)', 'theirs = repeat(''x'', 1048577)',
  'parts = array_fill(''1''::json, ''{10001}'')', 'number = 1e400', 'choices = ''[1e400]''', 'raw = decode(repeat(''00'', 1048577), ''hex'')']) v;
ALTER TABLE studio_jobs DROP COLUMN theirs, DROP COLUMN parts, DROP COLUMN number, DROP COLUMN choices, DROP COLUMN raw;

-- the attack: a signed-in user, by every statement that he may run
CALL t.as_user(t.id(1));
SELECT t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url, raw_transcript, priority) VALUES (auth.uid(), 'x', repeat('x', 270000000), 100)$$) AS by_insert;
SELECT t.try($$UPDATE studio_jobs SET raw_transcript = repeat('x', 270000000)$$) AS by_update;
SELECT t.try($$INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(31), auth.uid(), 'x') ON CONFLICT (job_id) DO UPDATE SET raw_transcript = repeat('x', 270000000)$$) AS by_upsert;
SELECT t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (auth.uid(), 'x', repeat('x', 2000000))$$) AS as_status;
SELECT t.try($$SELECT create_studio_job(auth.uid(), repeat('x', 8193))$$) AS by_function;
SELECT t.try($$UPDATE profiles SET notification_prefs = '{"n": 1e131071}'$$) AS preferences,
       t.try($$UPDATE projects SET transcript_text = repeat('ü', 524289)$$) AS transcript,
       t.try($$UPDATE projects SET settings = (repeat('[', 5000) || repeat(']', 5000))::jsonb$$) AS settings;
CALL t.as_admin();

-- what is written past the triggers: every text of every function for workers
-- and money, by the fast path and by statements, twice as long as the largest limit
CREATE FUNCTION t.past_triggers(p_direct boolean) RETURNS TABLE (nr bigint, call text, answer text)
LANGUAGE plpgsql AS $$
DECLARE
  v_call text;
BEGIN
  PERFORM set_config('studio_engine.direct_rows', p_direct::text, true);
  FOR nr, v_call IN SELECT c.nr, c.call FROM t.calls c ORDER BY c.nr LOOP
    -- cancels and failures end the job that others are tried on
    BEGIN
      call := v_call;
      v_call := replace(v_call, '@lease', '(SELECT a.lease_token FROM studio_engine.attempts a WHERE a.ended_at IS NULL AND a.job_id = ' || coalesce(substring(v_call FROM 't\.id\([0-9]+\)'), 'NULL') || ')');
      answer := left(t.try('SELECT ' || replace(v_call, '@text', 'repeat(''x'', 8000000)')), 5);
      IF answer = 'ok' THEN
        answer := coalesce((SELECT 'cut to ' || max(octet_length(a.error ->> 'message')) FROM studio_engine.attempts a), answer);
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'P0001';
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
    RETURN NEXT;
  END LOOP;
END
$$;
CREATE TABLE t.calls (nr bigint GENERATED ALWAYS AS IDENTITY, call text);
INSERT INTO t.calls (call) SELECT unnest(ARRAY[
  'claim_jobs(''studio_jobs'', @text)', 'heartbeat_job(t.id(21), @lease, NULL, @text)', 'release_leases(@text)',
  'advance_job(t.id(21), ''SCRIPTING'', 1, @text, @lease)',
  'create_job_steps(t.id(21), jsonb_build_array(@text), @lease)',
  'update_job_step(t.id(21), ''step'', ''started'', 1, @text, NULL, @lease)', 'update_job_step(t.id(21), ''step'', ''started'', 1, NULL, @text, @lease)',
  'complete_job(t.id(21), @text, NULL, NULL, @lease)', 'complete_job(t.id(21), NULL, to_jsonb(@text), NULL, @lease)',
  'record_asset(t.id(21), ''video'', @text, ''p'', p_lease_token => @lease)', 'record_asset(t.id(21), ''video'', ''u'', @text, p_lease_token => @lease)',
  'record_asset(t.id(21), ''video'', ''u'', ''p'', 1, @text, p_lease_token => @lease)', 'record_asset(t.id(21), ''video'', ''u'', ''p'', 1, ''m'', to_jsonb(@text), @lease)',
  'log_job(t.id(21), ''info'', @text)', 'log_job(t.id(21), ''info'', ''m'', @text)', 'log_job(t.id(21), ''info'', ''m'', ''s'', to_jsonb(@text))',
  'store_transcript(t.id(31), @text, @lease)', 'store_enrichment(t.id(32), to_jsonb(@text), @lease)', 'store_enrichment(t.id(32), ''[1e131071]'', @lease)',
  'store_refined_text(t.id(33), @text, NULL, @lease)', 'store_refined_text(t.id(33), ''x'', @text, @lease)',
  'cancel_job(t.id(21), @text)', 'cancel_studio_job(t.id(31), @text)', 'cancel_rendering(t.id(57), @text)',
  'fail_job(t.id(21), @text, NULL, NULL, true, @lease)', 'fail_job(t.id(21), NULL, NULL, @text, true, @lease)', 'fail_job(t.id(21), ''c'', @text, NULL, true, @lease)',
  'fail_job(t.id(21), ''c'', @text, NULL, false, @lease)',
  'fail_rendering(t.id(57), @text, NULL, true, @lease)', 'fail_rendering(t.id(57), ''c'', @text, true, @lease)', 'fail_rendering(t.id(57), ''c'', @text, false, @lease)',
  'fail_studio_job(t.id(31), to_jsonb(@text), true, @lease)', 'fail_studio_job(t.id(31), ''[1e131071]'', true, @lease)', 'fail_studio_job(t.id(31), to_jsonb(@text), false, @lease)',
  'grant_credits(t.id(1), 1, @text)', 'grant_credits(t.id(1), 1, NULL, @text)', 'purchase_credits(t.id(1), 1, @text)', 'subscription_credits(t.id(1), 1, @text)',
  'release_credits(t.id(21), @text)', 'refund_credits(t.id(21), 1, @text)', 'reverse_purchase(@text)', 'reinstate_purchase(@text)', 'reinstate_purchase(''pi'', @text)', 'reinstate_purchase(''pi'', NULL, @text)']);
DELETE FROM studio_jobs;
CALL t.studio_job(1, 31, 'TRANSCRIBING');
CALL t.studio_job(1, 32, 'ENRICHING');
CALL t.studio_job(1, 33, 'REFINING');
UPDATE jobs SET status = 'QUEUED';
SELECT count(*) FROM unnest('{studio_jobs,jobs,mm_rendering_queue}'::text[]) s, claim_jobs(s, 'w', 3);
SELECT d.call, d.answer, nullif(s.answer, d.answer) AS by_statement FROM t.past_triggers(true) d JOIN t.past_triggers(false) s USING (nr) ORDER BY d.nr;

-- rows that are beyond the limits already stay usable
SET session_replication_role = replica;
UPDATE studio_jobs SET raw_transcript = repeat('x', 2000000), enrichment_entities = '{"n": 1e131071}', model_version = (SELECT hex FROM t.long);
RESET session_replication_role;
SELECT t.try('UPDATE studio_jobs SET priority = 3, model_version = model_version') AS others,
       t.try('UPDATE studio_jobs SET raw_transcript = repeat(''x'', 2000000), model_version = (SELECT hex FROM t.long), enrichment_entities = ''{"n": 1e131071}''') AS the_same,
       t.try('UPDATE studio_jobs SET raw_transcript = repeat(''y'', 2000000)') AS another,
       t.try('UPDATE studio_jobs SET raw_transcript = repeat(''x'', 1999999)') AS shorter;
SELECT t.try('UPDATE studio_jobs SET raw_transcript = repeat(''y'', 1000000)') AS allowed;
-- and a value that is left alone is not read from where it is stored aside
SET session_replication_role = replica;
UPDATE studio_jobs SET raw_transcript = (SELECT repeat(hex, 10) FROM t.long) WHERE job_id = t.id(31);
RESET session_replication_role;
CREATE FUNCTION t.toast_reads() RETURNS bigint
LANGUAGE sql AS $$ SELECT pg_stat_clear_snapshot(); SELECT pg_stat_get_xact_blocks_fetched(reltoastrelid) + pg_stat_get_xact_blocks_fetched((SELECT indexrelid FROM pg_index WHERE indrelid = reltoastrelid)) FROM pg_class WHERE oid = 'studio_jobs'::regclass $$;
BEGIN;
-- what the session read before counts too, until that is reported
SELECT t.toast_reads() AS before \gset
UPDATE studio_jobs SET priority = 4, retry_count = 1 WHERE job_id = t.id(31);
SELECT t.toast_reads() - :before AS read;
UPDATE studio_jobs SET raw_transcript = raw_transcript WHERE job_id = t.id(31);
SELECT t.toast_reads() - :before AS read;
SELECT md5(raw_transcript) IS NOT NULL AS read FROM studio_jobs WHERE job_id = t.id(31);
SELECT t.toast_reads() > :before AS read;
ROLLBACK;

-- maintenance: the triggers are skipped
BEGIN;
SET LOCAL studio_engine.maintenance = on;
SELECT t.try('UPDATE studio_jobs SET raw_transcript = repeat(''y'', 2000000)');
ROLLBACK;

DROP TABLE t.long, t.answers, t.json, t.calls;
DROP FUNCTION t.value_at, t.by_command, t.text_size, t.past_triggers, t.toast_reads;
DROP DOMAIN t.amount, t.choices;
SELECT * FROM t.clean();
