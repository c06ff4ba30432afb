-- 120_studio_transitions.sql
--
-- Every change of status that a studio job could make, by UPDATE, by INSERT and
-- by function, as a service and as its owner, against a matrix that is written
-- out here; and what the changes write into the row.
-- Pitfall: what is expected comes from the specification.  Taken from
-- workflow_transitions() it would agree with the code whatever the code says.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- A row per state, a column per new state in the same order:
-- x legal, = the same, r by retry_studio_job() only.
CREATE TABLE t.flow (position integer, state text, moves text);
INSERT INTO t.flow VALUES
  (1, 'NEW',          '= x . . . x'),
  (2, 'TRANSCRIBING', '. = x . . x'),
  (3, 'ENRICHING',    '. . = x x x'),
  (4, 'REFINING',     '. . . = x x'),
  (5, 'COMPLETE',     '. . . . = .'),
  (6, 'FAILED',       'r . . . . =');

CREATE VIEW t.moves AS
SELECT f.position AS from_position, f.state AS from_state, g.position AS to_position, g.state AS to_state,
       split_part(f.moves, ' ', g.position) AS move
  FROM t.flow f CROSS JOIN t.flow g;
CREATE TABLE t.attempts (how text, from_position integer, to_position integer, answer text, state_after text);
GRANT ALL ON t.flow, t.moves, t.attempts TO PUBLIC;

-- Puts job 30 of user 1 into a state, as a service may; and looks at it.
CREATE FUNCTION t.put(p_state text) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  DELETE FROM public.studio_jobs WHERE job_id = t.id(30);
  CALL t.studio_job(1, 30, p_state);
$$;
CREATE FUNCTION t.state() RETURNS text
LANGUAGE sql SECURITY DEFINER AS $$ SELECT status FROM public.studio_jobs WHERE job_id = t.id(30) $$;

-- Tries every change from every state.  p_sql has %1$s for the new state.
CREATE FUNCTION t.try_all(p_how text, p_sql text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_move record;
  v_answer text;
BEGIN
  FOR v_move IN SELECT * FROM t.moves ORDER BY from_position, to_position LOOP
    PERFORM t.put(v_move.from_state);
    v_answer := t.run(format(p_sql, v_move.to_state), false);
    INSERT INTO t.attempts VALUES (p_how, v_move.from_position, v_move.to_position, v_answer, t.state());
  END LOOP;
END
$$;

CALL t.sign_up(1, 2);

-- 6 x 6 changes, as a superuser, as the role of the orchestrator, as the owner
-- of the job, and by function
SELECT t.try_all('superuser', $$UPDATE public.studio_jobs SET status = '%1$s' WHERE job_id = t.id(30)$$) \g /dev/null
CALL t.as_role('service_role');
SELECT t.try_all('service', $$UPDATE public.studio_jobs SET status = '%1$s' WHERE job_id = t.id(30)$$) \g /dev/null
SELECT t.try_all('function', $$SELECT public.update_studio_job_status(t.id(30), '%1$s')$$) \g /dev/null
CALL t.as_user(t.id(1));
SELECT t.try_all('owner', $$UPDATE public.studio_jobs SET status = '%1$s' WHERE job_id = t.id(30)$$) \g /dev/null
CALL t.as_admin();

-- what happened, as a matrix: x passed, = the same passed, . refused with 23514
-- and the row left as it was, ! anything else
CREATE VIEW t.seen AS
SELECT a.*, m.from_state, m.to_state, m.move,
       CASE WHEN a.answer = 'ok' AND a.state_after = m.to_state
              THEN CASE WHEN m.from_state = m.to_state THEN '=' ELSE 'x' END
            WHEN a.answer LIKE '23514 illegal status transition [studio_jobs_status_transition] | %'
             AND a.state_after = m.from_state
              THEN '.'
            ELSE '!' END AS seen
  FROM t.attempts a JOIN t.moves m USING (from_position, to_position);
SELECT how, from_state, string_agg(seen, ' ' ORDER BY to_position) AS to_the_states
  FROM t.seen GROUP BY how, from_position, from_state ORDER BY how, from_position;
SELECT how, count(*) AS tried, count(*) FILTER (WHERE seen IN ('x', '=')) AS passed,
       count(*) FILTER (WHERE (seen IN ('x', '=')) IS DISTINCT FROM (move IN ('x', '='))) AS wrong
  FROM t.seen GROUP BY how ORDER BY how;
SELECT * FROM t.seen WHERE seen = '!' OR (seen IN ('x', '=')) IS DISTINCT FROM (move IN ('x', '='));
-- DETAIL says from, to and what is allowed
SELECT DISTINCT from_position, substring(answer FROM ' \| (.*)$') AS detail FROM t.seen
 WHERE seen = '.' AND to_state IN ('TRANSCRIBING', 'COMPLETE') ORDER BY from_position, detail;
SELECT t.state() IS NOT NULL AS there, (SELECT count(*) FROM t.queue()) AS queue_problems;

-- another user moves nothing, whatever the change
CALL t.as_user(t.id(2));
SELECT t.put('NEW') \g /dev/null
UPDATE studio_jobs SET status = 'TRANSCRIBING';
SELECT t.state();
SELECT t.try('SELECT cancel_studio_job(t.id(30))') AS of_another, t.try('SELECT cancel_studio_job(t.id(99))') AS unknown;
SELECT t.try('SELECT retry_studio_job(t.id(30))') AS of_another, t.try('SELECT retry_studio_job(t.id(99))') AS unknown;
-- and the functions of workers are not for users, the owner included
CALL t.as_user(t.id(1));
SELECT left(t.try(format('SELECT %s', call)), 60) AS refused
  FROM unnest(ARRAY['update_studio_job_status(t.id(30), ''TRANSCRIBING'')', 'store_transcript(t.id(30), ''x'')',
                    'store_enrichment(t.id(30), ''{}'')', 'store_refined_text(t.id(30), ''x'')', 'fail_studio_job(t.id(30), ''{}'')']) call;
CALL t.as_admin();
SELECT t.state();

-- The functions with a state of their own, from each of the states:
-- store_transcript() goes to ENRICHING, store_enrichment() to REFINING,
-- store_refined_text() to COMPLETE, where another text is PT409; fail and
-- cancel from all but COMPLETE; retry from FAILED, NEW stays.
CREATE FUNCTION t.from_each_state(p_call text)
RETURNS TABLE (from_state text, answer text, state_after text)
LANGUAGE plpgsql AS $$
BEGIN
  FOR from_state IN SELECT f.state FROM t.flow f ORDER BY f.position LOOP
    PERFORM t.put(from_state);
    answer := left(t.try('SELECT public.' || p_call), 5);
    state_after := t.state();
    RETURN NEXT;
  END LOOP;
END
$$;
CALL t.as_role('service_role');
SELECT * FROM t.from_each_state('store_transcript(t.id(30), ''said'')');
SELECT * FROM t.from_each_state('store_enrichment(t.id(30), ''{}'')');
SELECT * FROM t.from_each_state('store_refined_text(t.id(30), ''text'')');
SELECT * FROM t.from_each_state('fail_studio_job(t.id(30), ''{}'')');
SELECT * FROM t.from_each_state('cancel_studio_job(t.id(30))');
SELECT * FROM t.from_each_state('retry_studio_job(t.id(30))');
CALL t.as_user(t.id(1));
SELECT * FROM t.from_each_state('cancel_studio_job(t.id(30))');
SELECT * FROM t.from_each_state('retry_studio_job(t.id(30))');
CALL t.as_admin();
SELECT * FROM t.queue();

-- INSERT: a service may start anywhere, as imports do
DELETE FROM studio_jobs;
SELECT state, t.try(format($$INSERT INTO public.studio_jobs (user_id, raw_audio_url, status) VALUES (t.id(1), 'a', '%s')$$, state)) AS as_superuser
  FROM t.flow ORDER BY position;
CALL t.as_role('service_role');
SELECT state, t.try(format($$INSERT INTO public.studio_jobs (user_id, raw_audio_url, status) VALUES (t.id(1), 'a', '%s')$$, state)) AS as_service_role
  FROM t.flow ORDER BY position;
CALL t.as_admin();
SELECT status, count(*) FROM studio_jobs GROUP BY status ORDER BY status;
SELECT * FROM t.queue();
DELETE FROM studio_jobs;
-- a user starts with NEW
CALL t.as_user(t.id(1));
SELECT state, t.try(format($$INSERT INTO public.studio_jobs (user_id, raw_audio_url, status) VALUES (t.id(1), 'a', '%s')$$, state)) AS as_user
  FROM t.flow ORDER BY position;
SELECT t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(1), 'a')$$) AS without_a_status;
SELECT left(t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (t.id(1), 'a', NULL)$$), 5) AS null_status;
SELECT status, count(*) FROM studio_jobs GROUP BY status;
SELECT left(t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(2), 'a')$$), 5) AS for_another;
CALL t.as_role('anon');
SELECT left(t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(1), 'a')$$), 5) AS as_anon;
CALL t.as_admin();
DELETE FROM studio_jobs;

-- words that are no state, and none at all
SELECT t.put('NEW') \g /dev/null
SELECT left(t.try(sql), 5) AS refused
  FROM unnest(ARRAY[$$UPDATE studio_jobs SET status = 'DONE'$$, $$UPDATE studio_jobs SET status = 'new'$$,
                    $$UPDATE studio_jobs SET status = ''$$, $$UPDATE studio_jobs SET status = NULL$$,
                    $$INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (t.id(1), 'a', 'DONE')$$,
                    $$SELECT update_studio_job_status(t.id(30), 'DONE')$$,
                    $$SELECT update_studio_job_status(t.id(30), 'transcribing')$$,
                    $$SELECT update_studio_job_status(t.id(30), NULL)$$,
                    $$SELECT update_studio_job_status(NULL, 'NEW')$$,
                    $$SELECT update_studio_job_status(t.id(99), 'NEW')$$]) sql;
SELECT t.state();

-- an UPDATE of many rows of which one may not: none
CALL t.studio_job(1, 31, 'COMPLETE');
SELECT left(t.try($$UPDATE studio_jobs SET status = 'TRANSCRIBING'$$), 5) AS refused;
SELECT t.n(job_id) AS job, status FROM studio_jobs ORDER BY job_id;
-- INSERT ... ON CONFLICT DO UPDATE is an UPDATE
SELECT t.try($$INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(31), t.id(1), 'a')
               ON CONFLICT (job_id) DO UPDATE SET status = 'NEW'$$);
-- the retry of one job opens nothing for another one, nor for later, and an
-- error in the middle of it closes what it had opened
CALL t.studio_job(1, 32, 'FAILED');
CALL t.studio_job(1, 33, 'FAILED');
SELECT retry_studio_job(t.id(32)) ->> 'status' AS status;
SELECT left(t.try($$UPDATE studio_jobs SET status = 'NEW' WHERE job_id = t.id(33)$$), 5) AS another_one;
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(32);
SELECT left(t.try($$UPDATE studio_jobs SET status = 'NEW' WHERE job_id = t.id(32)$$), 5) AS later;
UPDATE studio_engine.settings SET value = '1' WHERE name = 'max_active_jobs';
SELECT t.quiet('SELECT retry_studio_job(t.id(33))') AS one_too_many;
SELECT left(t.try($$UPDATE studio_jobs SET status = 'NEW' WHERE job_id = t.id(33)$$), 5) AS after_an_error;
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- Stamps.  processing_time_ms: whole milliseconds from created_at to COMPLETE,
-- between 0 and 2147483647; what the statement says about it does not count.
CREATE PROCEDURE t.made(p_job integer, p_at timestamptz)
LANGUAGE sql AS $$
  INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, status, created_at)
  VALUES (t.id(p_job), t.id(1), 'a', 'REFINING', p_at);
$$;
CALL t.made(40, clock_timestamp());
CALL t.made(41, clock_timestamp() - INTERVAL '90 seconds');
CALL t.made(42, clock_timestamp() - INTERVAL '24 hours');
CALL t.made(43, clock_timestamp() - INTERVAL '2147483.000 seconds');
CALL t.made(44, clock_timestamp() - INTERVAL '720 hours');
CALL t.made(45, clock_timestamp() - INTERVAL '100 years');
CALL t.made(46, clock_timestamp() + INTERVAL '1 hour');
CALL t.made(47, clock_timestamp() + INTERVAL '300 years');
CALL t.made(48, '-infinity');
CALL t.made(49, 'infinity');
CALL t.made(50, '4714-11-24 00:00:00+00 BC');
CALL t.made(51, '294276-12-31 23:59:59+00');
SELECT * FROM t.queue();
UPDATE studio_jobs SET status = 'COMPLETE', refined_text = 'text', processing_time_ms = -5;
SELECT t.n(job_id) AS job, expected,
       CASE WHEN processing_time_ms BETWEEN expected AND expected + slack THEN 'as expected' ELSE processing_time_ms::text END AS processing_time_ms
  FROM studio_jobs JOIN (VALUES (40, 0, 60000), (41, 90000, 60000), (42, 86400000, 60000), (43, 2147483000, 647), (44, 2147483647, 0),
                                (45, 2147483647, 0), (46, 0, 0), (47, 0, 0), (48, 2147483647, 0), (49, 0, 0),
                                (50, 2147483647, 0), (51, 0, 0)) e (job, expected, slack) ON job_id = t.id(e.job)
 ORDER BY job_id;
-- wall clock: the transaction's own time is in it
BEGIN;
CALL t.studio_job(1, 52, 'REFINING');
SELECT pg_sleep(0.02);
UPDATE studio_jobs SET status = 'COMPLETE' WHERE job_id = t.id(52);
SELECT processing_time_ms >= 20 AS wall_clock FROM studio_jobs WHERE job_id = t.id(52);
COMMIT;
-- a created_at that the same statement sets is the one that counts
CALL t.studio_job(1, 53, 'ENRICHING');
UPDATE studio_jobs SET status = 'COMPLETE', created_at = clock_timestamp() - INTERVAL '10 seconds' WHERE job_id = t.id(53);
SELECT processing_time_ms BETWEEN 10000 AND 70000 AS from_the_new_created_at FROM studio_jobs WHERE job_id = t.id(53);
-- COMPLETE again writes nothing anew; an import keeps its figure; other ends
-- have none
UPDATE studio_jobs SET status = 'COMPLETE', created_at = clock_timestamp() WHERE job_id = t.id(45);
SELECT processing_time_ms AS still FROM studio_jobs WHERE job_id = t.id(45);
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, status, processing_time_ms) VALUES (t.id(54), t.id(1), 'a', 'COMPLETE', 1234);
SELECT processing_time_ms AS imported FROM studio_jobs WHERE job_id = t.id(54);
CALL t.studio_job(1, 55, 'REFINING');
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(55);
SELECT status, processing_time_ms FROM studio_jobs WHERE job_id = t.id(55);
-- for users and functions alike
CALL t.as_user(t.id(1));
INSERT INTO studio_jobs (user_id, raw_audio_url, model_version) VALUES (t.id(1), 'a', 'users own');
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE model_version = 'users own';
UPDATE studio_jobs SET status = 'ENRICHING' WHERE model_version = 'users own';
UPDATE studio_jobs SET status = 'COMPLETE' WHERE model_version = 'users own';
SELECT status, processing_time_ms BETWEEN 0 AND 60000 AS stamped FROM studio_jobs WHERE model_version = 'users own';
SELECT left(t.try(format('UPDATE studio_jobs SET %s', change)), 5) AS refused, change
  FROM unnest(ARRAY['processing_time_ms = 1', 'created_at = now()', 'user_id = t.id(2)', 'job_id = t.id(9)', 'retry_count = 9']) change;
SELECT left(t.try(format('INSERT INTO studio_jobs (user_id, raw_audio_url, %s) VALUES (t.id(1), ''a'', DEFAULT)', columns)), 5) AS refused, columns
  FROM unnest(ARRAY['processing_time_ms', 'retry_count', 'cost_credits_reserved']) columns;
CALL t.as_admin();

-- a retry clears what the last attempt left, and COMPLETE stamps anew
CALL t.studio_job(1, 60, 'REFINING');
UPDATE studio_jobs SET raw_transcript = 'said', enrichment_entities = '{"a": 1}' WHERE job_id = t.id(60);
SELECT fail_studio_job(t.id(60), '{"code": "LLM", "message": "no answer"}') -> 'error_details' AS error;
SELECT j ->> 'status' AS status, j -> 'error_details' AS error, j -> 'processing_time_ms' AS ms, j -> 'retry_count' AS retries,
       j ->> 'raw_transcript' AS transcript
  FROM retry_studio_job(t.id(60)) j;
SELECT update_studio_job_status(t.id(60), 'TRANSCRIBING') ->> 'status' AS status, store_transcript(t.id(60), 'said again') ->> 'status' AS status;
SELECT (store_refined_text(t.id(60), 'text') ->> 'processing_time_ms')::integer BETWEEN 0 AND 60000 AS stamped;
-- COMPLETE is final
SELECT DISTINCT left(t.try(sql), 5) AS refused
  FROM unnest(ARRAY['SELECT fail_studio_job(t.id(60), NULL)', 'SELECT cancel_studio_job(t.id(60))', 'SELECT retry_studio_job(t.id(60))',
                    'SELECT store_transcript(t.id(60), ''x'')', 'SELECT store_enrichment(t.id(60), ''{}'')',
                    'UPDATE studio_jobs SET status = ''NEW'' WHERE job_id = t.id(60)',
                    'UPDATE studio_jobs SET status = ''FAILED'' WHERE job_id = t.id(60)']) sql;
SELECT status, refined_text FROM studio_jobs WHERE job_id = t.id(60);

-- The flow as a table and as a diagram
SELECT * FROM workflow_transitions() WHERE workflow = 'studio_jobs';
SELECT m.from_state, m.to_state, m.move, w.via, w.condition
  FROM (SELECT * FROM t.moves WHERE move IN ('x', 'r')) m
  FULL JOIN (SELECT * FROM workflow_transitions() WHERE workflow = 'studio_jobs') w
    ON (w.from_status, w.to_status) = (m.from_state, m.to_state)
 WHERE m.move IS NULL OR w.workflow IS NULL
    OR (m.move = 'r') IS DISTINCT FROM (w.via = 'retry_studio_job' IS TRUE) OR w.condition IS NOT NULL;
\pset format unaligned
SELECT workflow_diagram('studio_jobs');
\pset format aligned

DROP PROCEDURE t.made;
DROP FUNCTION t.try_all, t.put, t.state, t.from_each_state;
DROP VIEW t.seen, t.moves;
DROP TABLE t.attempts, t.flow;
SELECT * FROM t.queue();
SELECT * FROM t.clean();
