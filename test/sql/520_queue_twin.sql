-- 520_queue_twin.sql
--
-- 2,000 random operations of users and of 4 workers on studio jobs, done by the
-- PL/pgSQL twin and by ours: after each of them both gave the same answer, the
-- jobs and the queue are equal, and the jobs wait in the same order; at the end
-- the attempts are equal.  Tokens, and times aside.
-- Pitfall: nobody can shift our clock, and the delay before a retry is random.
-- So no lease and no delay of an operation ends by itself while the test runs:
-- each delay is measured and then made long, and the operations 'expire' and
-- 'due' write into both queues that the time is over.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\getenv tests PG_ABS_SRCDIR
\set twin :tests /twin/queue.sql
\set ECHO none
\i :twin
\set ECHO all

CREATE TABLE t.operations (
  nr integer PRIMARY KEY, operation text, call text, twin_call text, answer text, twin_answer text, differences bigint);
-- the tokens that an operation gave, of ours and of the twin
CREATE TABLE t.tokens (nr integer, whose text, job_id uuid, token uuid, PRIMARY KEY (nr, job_id, whose));
CREATE TABLE t.delays (whose text, tries integer, seconds double precision);

CREATE FUNCTION t.below(p_limit bigint) RETURNS integer
LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * p_limit)::integer $$;
CREATE FUNCTION t.one_of(VARIADIC p_values text[]) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT p_values[1 + t.below(cardinality(p_values))] $$;

-- A job without what the clock says.
CREATE FUNCTION t.timeless(p_job jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_job - 'lease_expires_at' || CASE WHEN p_job ? 'processing_time_ms'
         THEN jsonb_build_object('processing_time_ms', p_job ->> 'processing_time_ms' IS NOT NULL,
                                 'cancel_requested_at', p_job ->> 'cancel_requested_at' IS NOT NULL) ELSE '{}' END
$$;

-- Claims, keeps the tokens, and tells the rest.  p_call has a %I for the schema.
CREATE FUNCTION t.claim(p_schema text, p_nr integer, p_call text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_given record;
  v_answer text := 'no job';
BEGIN
  FOR v_given IN EXECUTE format('SELECT * FROM %I.' || p_call, p_schema) LOOP
    INSERT INTO t.tokens VALUES (p_nr, p_schema, v_given.job_id, v_given.lease_token);
    v_answer := concat(nullif(v_answer, 'no job'), 'job ', t.n(v_given.job_id), ' attempt ', v_given.attempt, ' ',
      v_given.lease_expires_at - clock_timestamp() BETWEEN INTERVAL '55 minutes' AND INTERVAL '1 hour', ' ',
      t.timeless(v_given.job), E'\n');
  END LOOP;
  RETURN v_answer;
END
$$;

-- The answer of a call: its value, or its SQLSTATE.
CREATE FUNCTION t.answer(p_call text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_answer text;
BEGIN
  EXECUTE p_call INTO v_answer;
  IF v_answer LIKE '{%' THEN
    v_answer := t.timeless(v_answer::jsonb);
  ELSIF p_call ~ 'snooze_job' THEN
    v_answer := CASE WHEN v_answer::timestamptz >= '2100-01-01' THEN 'later' ELSE
      'in ' || round(extract(epoch FROM v_answer::timestamptz - clock_timestamp()) / 60) || ' minutes' END;
  END IF;
  RETURN coalesce(v_answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END
$$;

-- Both tables of jobs, both queues, both sides' leases that go on.
CREATE VIEW t.both_jobs AS
  SELECT 'public' AS whose, job_id, t.timeless(to_jsonb(o)) AS job FROM public.studio_jobs o
  UNION ALL SELECT 'twin', job_id, t.timeless(to_jsonb(o)) FROM twin.studio_jobs o;
CREATE VIEW t.both_queues AS
  SELECT whose, job_id,
         to_jsonb(q) - '{whose,due_at}'::text[] || jsonb_build_object('place', CASE WHEN state = 'waiting' THEN
                  rank() OVER (PARTITION BY whose, state ORDER BY rank, turn, due_at, job_id) END) AS entry
    FROM (SELECT 'public' AS whose, * FROM studio_engine.queue
          UNION ALL SELECT 'twin', * FROM twin.queue) q;
CREATE VIEW t.both_leases AS
  SELECT whose, job_id,
         to_jsonb(a) - '{whose,started_at,due_at,expires_at,since,lease_token,shown_at,cancel_requested_at}'::text[]
           || jsonb_build_object('cancel', cancel_requested_at IS NOT NULL, 'shown', shown_at IS NOT NULL, 'due', due_at < expires_at,
                'length', round(extract(epoch FROM expires_at - clock_timestamp()) / 600)) AS entry
    FROM (SELECT 'public' AS whose, * FROM studio_engine.attempts WHERE ended_at IS NULL
          UNION ALL SELECT 'twin', * FROM twin.attempts WHERE ended_at IS NULL) a;
CREATE FUNCTION t.differences() RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT (SELECT count(*) FROM (SELECT FROM t.both_jobs GROUP BY job_id, job HAVING count(*) <> 2) d)
       + (SELECT count(*) FROM (SELECT FROM t.both_queues GROUP BY job_id, entry HAVING count(*) <> 2) d)
       + (SELECT count(*) FROM (SELECT FROM t.both_leases GROUP BY job_id, entry HAVING count(*) <> 2) d)
$$;

-- What waits for a retry was delayed at random: note how long, then for both
-- beyond the end of the test.
CREATE PROCEDURE t.settle_delays()
LANGUAGE sql AS $$
  INSERT INTO t.delays
  SELECT 'public', attempt - first_attempt + 1, extract(epoch FROM due_at - clock_timestamp())
    FROM studio_engine.queue WHERE state = 'delayed' AND due_at < '2100-01-01' AND due_at > clock_timestamp() - INTERVAL '1 second'
  UNION ALL
  SELECT 'twin', attempt - first_attempt + 1, extract(epoch FROM due_at - clock_timestamp())
    FROM twin.queue WHERE state = 'delayed' AND due_at < '2100-01-01' AND due_at > clock_timestamp() - INTERVAL '1 second';
  UPDATE studio_engine.queue SET due_at = '2100-01-01' WHERE state = 'delayed' AND due_at < '2100-01-01' AND due_at > '2000-01-02';
  UPDATE twin.queue SET due_at = '2100-01-01' WHERE state = 'delayed' AND due_at < '2100-01-01' AND due_at > '2000-01-02';
$$;

-- A call with arguments at random.  In it %1$I stands for the schema of the
-- functions and of the jobs, %2$s for that of the queue, %3$L for the token.
CREATE FUNCTION t.compose(p_nr integer, p_operation text, OUT call text, OUT twin_call text)
LANGUAGE plpgsql AS $$
DECLARE
  v_some integer := t.below(4);
  v_job uuid;
  v_status text;
  v_nr integer;
  v_tokens uuid[] := '{NULL,NULL}';
  v_worker text := 'worker ' || t.below(4);
  v_error text := t.one_of('{"code": "TIMEOUT", "message": "zu spät", "step": "x"}', '{"note": ["no code"]}', NULL);
BEGIN
  -- mostly a lease that goes on; else one of before; sometimes none
  SELECT k.job_id, k.nr INTO v_job, v_nr
    FROM t.tokens k LEFT JOIN twin.attempts a ON a.job_id = k.job_id AND a.lease_token = k.token AND a.ended_at IS NULL
    LEFT JOIN twin.studio_jobs j ON j.job_id = a.job_id
   WHERE k.whose = 'twin' AND k.nr > p_nr - 200
   ORDER BY v_some > 0 AND a.job_id IS NULL,
            v_some > 0 AND NOT CASE p_operation WHEN 'transcript' THEN j.status = 'TRANSCRIBING'
                                    WHEN 'enrich' THEN j.status = 'ENRICHING'
                                    WHEN 'complete' THEN j.status IN ('ENRICHING', 'REFINING') ELSE true END,
            md5(k.job_id::text || k.nr || p_nr), k.nr, k.job_id LIMIT 1;
  IF v_job IS NOT NULL AND t.below(12) > 0 THEN
    v_tokens := ARRAY[(SELECT token FROM t.tokens WHERE nr = v_nr AND job_id = v_job AND whose = 'public'),
                      (SELECT token FROM t.tokens WHERE nr = v_nr AND job_id = v_job AND whose = 'twin')];
  ELSE
    SELECT j.job_id INTO v_job FROM twin.studio_jobs j ORDER BY md5(j.job_id::text || p_nr), j.job_id LIMIT 1;
  END IF;
  -- users and administrators look for jobs of another kind
  IF p_operation IN ('cancel', 'retry', 'priority', 'plain', 'delete', 'give') THEN
    SELECT j.job_id INTO v_job FROM twin.studio_jobs j
     ORDER BY v_some > 0 AND (p_operation = 'retry') <> (j.status = 'FAILED'), v_some > 0 AND j.status = 'COMPLETE',
              md5(j.job_id::text || p_nr), j.job_id LIMIT 1;
  END IF;
  v_status := (SELECT j.status FROM twin.studio_jobs j WHERE j.job_id = v_job);

  call := CASE p_operation
  WHEN 'insert' THEN
    format('INSERT INTO %%1$I.studio_jobs (job_id, user_id, raw_audio_url, priority, status, created_at)
            SELECT t.id(%s + n), t.id(%s), ''audio/'' || n, %s, %L, now() - %L::interval FROM generate_series(1, %s) n RETURNING 1',
           1000 + 10 * p_nr, 1 + t.below(6), t.one_of('0', '0', '0', '5', '-3'),
           t.one_of('NEW', 'NEW', 'NEW', 'NEW', 'ENRICHING', 'FAILED'), t.one_of('0', '0', p_nr || ' minutes'), 1 + v_some / 2)
  WHEN 'claim' THEN
    format('SELECT t.claim(%%1$L, %s, %L)', p_nr, format('claim_jobs(''studio_jobs'', %L, %s, %L, %L, %L)',
           v_worker, t.one_of('1', '1', '1', '4'), t.one_of('1 hour', NULL),
           t.one_of('{NEW}', '{NEW,TRANSCRIBING}', '{REFINING,ENRICHING}', NULL, NULL, NULL, NULL), t.one_of('p1', 'p2', NULL)))
  WHEN 'finish' THEN
    format('SELECT t.claim(%%1$L, %s, replace(%L, ''TOKEN'', coalesce(''%%3$s'', '''')))', p_nr,
           format('finish_and_claim(''studio_jobs'', %L, %L, nullif(''TOKEN'', '''')::uuid, %s, p_limit => %s, p_lease => ''1 hour'', p_stages => %L)',
                  v_worker, v_job, t.one_of('''{"refined_text": "text", "model_version": "m1"}''', '''{"refined_text": "text"}''',
                  '''{"refined_text": "other"}''', '''{"raw_transcript": "Wörter"}''', '''{"raw_transcript": "Wörter"}''', '''{"enrichment_entities": {"a": 1}}''',
                  '''{"enrichment_entities": {"a": 1}}''', '''{}''', 'NULL, ' || quote_literal('{"code": "TIMEOUT"}'),
                  'NULL, ' || quote_literal('{"code": "TIMEOUT"}') || ', true', 'NULL, NULL, true, ''50 minutes'''),
                  t.one_of('0', '1', '1', '2'), t.one_of('{NEW,ENRICHING}', NULL, NULL)))
  WHEN 'heartbeat' THEN
    format('SELECT %%1$I.heartbeat_job(%L, %%3$L, p_lease => %L)', v_job, t.one_of('1 hour', NULL))
  WHEN 'advance' THEN
    format('SELECT %%1$I.update_studio_job_status(%L, %L, %%3$L, p_hand_over => %s)', v_job,
           CASE WHEN v_some > 0 THEN CASE v_status WHEN 'NEW' THEN 'TRANSCRIBING' WHEN 'TRANSCRIBING' THEN 'ENRICHING' ELSE 'REFINING' END
                ELSE t.one_of('NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING', 'COMPLETE', 'FAILED') END,
           t.one_of('false', 'false', 'false', 'true', 'NULL'))
  WHEN 'transcript' THEN
    format('SELECT %%1$I.store_transcript(%L, %L, %%3$L, %s)', v_job, t.one_of('Wörter', 'Wörter', 'Words'), t.one_of('false', 'true'))
  WHEN 'enrich' THEN
    format('SELECT %%1$I.store_enrichment(%L, %L, %%3$L, %s)', v_job, t.one_of('{"a": 1}', '{"a": 1}', '{"a": 2}'), t.one_of('false', 'true'))
  WHEN 'complete' THEN
    format('SELECT %%1$I.store_refined_text(%L, %L, %L, %%3$L)', v_job, t.one_of('text', 'text', 'text', 'other'), t.one_of('m1', 'm1', NULL))
  WHEN 'fail' THEN
    format('SELECT %%1$I.fail_studio_job(%L, %L, %L, %%3$L, %L)', v_job, v_error, v_some > 1, t.one_of('50 minutes', NULL, NULL, NULL))
  WHEN 'snooze' THEN
    format('SELECT %%1$I.snooze_job(%L, %%3$L, ''45 minutes'')', v_job)
  WHEN 'release' THEN
    format('SELECT %%1$I.release_leases(%L, %L, %s)', v_worker, t.one_of('p1', NULL), t.one_of('NULL', 'NULL', 'ARRAY[%3$L]::uuid[]'))
  WHEN 'recover' THEN
    format('SELECT %%1$I.recover_leases(%L, %L)', v_worker, t.one_of('p1', 'p2', NULL))
  WHEN 'reap' THEN
    format('SELECT %%1$I.reap_expired_leases(%s)', t.one_of('1', '3', '1000'))
  WHEN 'cancel' THEN
    format('SELECT %%1$I.cancel_studio_job(%L, %L)', v_job, t.one_of('no longer wanted', NULL))
  WHEN 'retry' THEN
    format('SELECT %%1$I.retry_studio_job(%L)', v_job)
  WHEN 'priority' THEN
    format('UPDATE %%1$I.studio_jobs SET priority = %s WHERE job_id = %L RETURNING priority', t.one_of('0', '5', '-3', '2147483647', '-2147483648'), v_job)
  WHEN 'give' THEN
    format('UPDATE %%1$I.studio_jobs SET user_id = t.id(%s) WHERE job_id = %L RETURNING 1', 1 + t.below(6), v_job)
  WHEN 'plain' THEN
    format('UPDATE %%1$I.studio_jobs SET status = %L WHERE job_id = %L RETURNING status',
           t.one_of('NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING', 'COMPLETE', 'FAILED'), v_job)
  WHEN 'delete' THEN
    format('DELETE FROM %%1$I.studio_jobs WHERE job_id = %L RETURNING 1', v_job)
  WHEN 'expire' THEN
    -- a lease is over, or was prolonged after it should have been looked at
    format('UPDATE %%2$s.attempts SET due_at = now() - INTERVAL ''1 minute'', expires_at = %s
             WHERE ended_at IS NULL AND job_id = %L RETURNING 1',
           CASE WHEN v_some = 0 THEN 'expires_at' ELSE 'now() - INTERVAL ''1 second''' END, v_job)
  WHEN 'due' THEN
    -- no two at the same time: which of them a limit lets wait would be chance
    format('WITH due AS (UPDATE %%2$s.queue SET due_at = %L::timestamptz + right(job_id::text, 6)::integer * INTERVAL ''1 us''
             WHERE state = ''delayed'' AND %s IN (0, mod(right(job_id::text, 1)::integer, 4)) RETURNING 1) SELECT count(*) FROM due',
           '2000-01-01'::timestamptz + p_nr * INTERVAL '1 second', v_some)
  WHEN 'wrong' THEN
    t.one_of('SELECT %1$I.claim_jobs(''studio_jobs'', NULL)', 'SELECT %1$I.claim_jobs(''studio_jobs'', '''')',
      'SELECT %1$I.claim_jobs(''studio_jobs'', repeat(''x'', 201))', 'SELECT %1$I.claim_jobs(''profiles'', ''w'')',
      'SELECT %1$I.claim_jobs(''studio_jobs'', ''w'', 0)', 'SELECT %1$I.claim_jobs(''studio_jobs'', ''w'', 1001)',
      'SELECT %1$I.claim_jobs(''studio_jobs'', ''w'', 1, ''0 seconds'')', 'SELECT %1$I.claim_jobs(''studio_jobs'', ''w'', 1, ''2 days'')',
      'SELECT %1$I.claim_jobs(''studio_jobs'', ''w'', NULL)', 'SELECT %1$I.claim_jobs(NULL, ''w'')',
      'SELECT %1$I.heartbeat_job(NULL, t.id(1))', 'SELECT %1$I.heartbeat_job(t.id(1), NULL)',
      'SELECT %1$I.heartbeat_job(t.id(1), t.id(1), 101)', 'SELECT %1$I.heartbeat_job(t.id(1), t.id(1))',
      'SELECT %1$I.snooze_job(t.id(1), t.id(1), ''-1 seconds'')', 'SELECT %1$I.snooze_job(t.id(1), t.id(1), ''400 days'')',
      'SELECT %1$I.snooze_job(t.id(1), t.id(1), ''1 day'')', 'SELECT %1$I.release_leases(NULL)',
      'SELECT %1$I.reap_expired_leases(0)', 'SELECT %1$I.reap_expired_leases(NULL)', 'SELECT %1$I.reap_expired_leases(10001)',
      'SELECT %1$I.update_studio_job_status(t.id(1), ''NEW'')', 'SELECT %1$I.update_studio_job_status(t.id(1), ''new'')',
      'SELECT %1$I.store_refined_text(t.id(1), NULL)', 'SELECT %1$I.store_refined_text(NULL, ''x'')',
      'SELECT %1$I.fail_studio_job(t.id(1), NULL, NULL)', 'SELECT %1$I.cancel_studio_job(t.id(1), repeat(''x'', 1001))',
      'SELECT %1$I.cancel_studio_job(NULL)', 'SELECT %1$I.retry_studio_job(t.id(1))')
  END;
  IF p_operation = 'again' THEN
    -- what was called before, most of it lately
    SELECT o.call, o.twin_call INTO call, twin_call FROM t.operations o
     WHERE o.operation NOT IN ('insert', 'claim', 'finish') ORDER BY o.nr DESC OFFSET t.below(15) LIMIT 1;
    RETURN;
  END IF;
  twin_call := format(call, 'twin', 'twin', v_tokens[2]);
  call := format(call, 'public', 'studio_engine', v_tokens[1]);
END
$$;

CREATE PROCEDURE t.play(p_operations integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_operations CONSTANT text[] := ARRAY[
    'insert', 'insert', 'claim', 'claim', 'claim', 'claim', 'claim', 'claim', 'claim', 'heartbeat', 'heartbeat',
    'finish', 'finish', 'finish', 'finish', 'finish', 'finish', 'recover', 'enrich', 'enrich',
    'advance', 'advance', 'advance', 'advance', 'transcript', 'transcript', 'complete', 'complete', 'complete', 'complete', 'complete',
    'fail', 'fail', 'fail', 'fail', 'fail', 'snooze', 'snooze', 'release', 'reap', 'reap', 'cancel', 'cancel', 'cancel', 'retry', 'retry', 'retry',
    'priority', 'give', 'plain', 'plain', 'delete', 'delete', 'expire', 'expire', 'expire', 'due', 'due', 'due', 'wrong', 'again', 'again', 'again'];
  v_operation text;
  v_calls record;
BEGIN
  FOR v_nr IN 1..p_operations LOOP
    -- fair from one third on, without a limit of attempts in the last
    IF v_nr = p_operations / 3 THEN
      UPDATE studio_engine.settings SET value = '1' WHERE name = 'fair_queue';
      UPDATE twin.queue_settings SET fair_queue = true;
    ELSIF v_nr = p_operations * 2 / 3 THEN
      UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_attempts';
      UPDATE twin.queue_settings SET max_attempts = 0;
    END IF;
    v_operation := CASE WHEN v_nr <= 10 THEN 'insert' ELSE v_operations[1 + t.below(cardinality(v_operations))] END;
    SELECT * INTO v_calls FROM t.compose(v_nr, v_operation);
    INSERT INTO t.operations (nr, operation, call, twin_call, answer, twin_answer)
    VALUES (v_nr, v_operation, v_calls.call, v_calls.twin_call, t.answer(v_calls.call), t.answer(v_calls.twin_call));
    CALL t.settle_delays();
    UPDATE t.operations SET differences = t.differences() WHERE nr = v_nr;
    COMMIT;
  END LOOP;
END
$$;

-- settings that both have; a user may have any number of jobs
CREATE TABLE t.settings_before AS SELECT * FROM studio_engine.settings;
UPDATE studio_engine.settings s SET value = n.value
  FROM (VALUES ('lease_seconds', '3600'), ('retry_base_seconds', '100'), ('retry_cap_seconds', '300'), ('max_active_jobs', '0'),
               ('cancel_grace_seconds', '2400')) n (name, value)
 WHERE s.name = n.name;
UPDATE twin.queue_settings SET lease_seconds = 3600, retry_base_seconds = 100, retry_cap_seconds = 300, cancel_grace_seconds = 2400;
CALL t.sign_up(1, 2, 3, 4, 5, 6);
SELECT setseed(0.52);
CALL t.play(2000);

-- what was done, with which answers: each kind many times
SELECT operation, outcome, count(*) AS times
  FROM (SELECT operation,
       CASE WHEN twin_answer ~ '^[0-9A-Z]{5}$' AND twin_answer !~ '^[0-9]{1,3}$' AND operation <> 'plain' THEN twin_answer
            WHEN twin_answer ~ '^\{' THEN 'a job' WHEN twin_answer ~ '^job' THEN 'jobs'
            WHEN twin_answer ~ '^[1-9]' AND operation <> 'plain' THEN 'a number' ELSE twin_answer END AS outcome
          FROM t.operations WHERE operation NOT IN ('again', 'priority')) o
 GROUP BY operation, outcome ORDER BY operation, outcome COLLATE "C";

SELECT count(*) AS operations, count(*) FILTER (WHERE answer IS DISTINCT FROM twin_answer) AS other_answers,
       count(*) FILTER (WHERE differences <> 0) AS other_rows
  FROM t.operations;
SELECT nr, operation, t.masked(call) AS call, t.masked(answer) AS answer, t.masked(twin_answer) AS twin_answer, differences FROM t.operations
 WHERE answer IS DISTINCT FROM twin_answer OR differences <> 0 ORDER BY nr LIMIT 5;

-- the attempts, one by one
CREATE TABLE t.both_attempts AS
  SELECT a.whose, a.job_id, a.attempt, a.outcome, a.error, a.worker, k.nr, a.started_at <= a.ended_at AS in_order
    FROM (SELECT 'public' AS whose, job_id, lease_token, attempt, outcome, error, worker, started_at, ended_at FROM studio_engine.attempts
          UNION ALL SELECT 'twin', job_id, lease_token, attempt, outcome, error, worker, started_at, ended_at FROM twin.attempts) a
    JOIN t.tokens k ON k.whose = a.whose AND k.job_id = a.job_id AND k.token = a.lease_token;
SELECT outcome, count(*) AS attempts, count(error) AS with_error, max(attempt) > 3 AS more_than_three
  FROM t.both_attempts WHERE whose = 'public' GROUP BY outcome ORDER BY outcome;
SELECT count(*) AS unequal FROM (
  SELECT FROM t.both_attempts GROUP BY job_id, attempt, outcome, error, worker, nr, in_order HAVING count(*) <> 2) d;
SELECT (SELECT count(*) FROM studio_engine.attempts) = count(*) FILTER (WHERE whose = 'public') AS all_of_ours,
       (SELECT count(*) FROM twin.attempts) = count(*) FILTER (WHERE whose = 'twin') AS all_of_the_twin, bool_and(in_order) AS in_order
  FROM t.both_attempts;

-- delays are anything up to the bound, and use the range
SELECT whose, least(tries, 3) AS tries, count(*) > 20 AS many, min(seconds) > -1 AND max(seconds) <= least(100 * 2 ^ (least(tries, 3) - 1), 300) AS in_bounds,
       CASE WHEN count(*) > 20 THEN max(seconds) - min(seconds) > 20 END AS spread
  FROM t.delays WHERE seconds < 2600 GROUP BY 1, 2 ORDER BY 1, 2;

-- the queue says what the jobs say
SELECT * FROM t.queue();

-- the comparison sees a difference in a row and in the order
UPDATE twin.studio_jobs SET retry_count = retry_count + 1 WHERE job_id = (SELECT min(job_id::text)::uuid FROM twin.studio_jobs);
SELECT t.differences();
UPDATE twin.studio_jobs SET retry_count = retry_count - 1 WHERE job_id = (SELECT min(job_id::text)::uuid FROM twin.studio_jobs);
INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'a' FROM generate_series(1, 3) n;
INSERT INTO twin.studio_jobs SELECT * FROM public.studio_jobs WHERE raw_audio_url = 'a';
SELECT t.differences();
UPDATE twin.queue SET due_at = now() - (due_at - '2000-01-01') WHERE state = 'waiting';
SELECT t.differences() > 0 AS seen;

UPDATE studio_engine.settings s SET value = b.value FROM t.settings_before b WHERE b.name = s.name;
SET client_min_messages = warning;
DROP SCHEMA twin CASCADE;
RESET client_min_messages;
DROP FUNCTION t.answer, t.below, t.one_of, t.claim, t.compose, t.differences, t.timeless;
DROP PROCEDURE t.settle_delays, t.play;
DROP TABLE t.operations, t.tokens, t.delays, t.both_attempts, t.settings_before;
SELECT * FROM t.clean();
