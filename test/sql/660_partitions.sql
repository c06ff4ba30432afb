-- 660_partitions.sql
--
-- Partitions by month of job_events and logs: converted with rows in place, used,
-- added to and detached.
-- Pitfall: which months there are depends on today, so they are counted from this
-- one: m+0 is this month. All of it is rolled back, since what follows runs on
-- plain tables.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT log_job(t.id(21), 'info', 'line ' || n) IS NOT NULL AS logged FROM generate_series(1, 3) n;
SELECT pipeline.create_job('a', '{}', t.id(1)) ->> 'status' AS status;
SELECT pipeline.create_job('b', '{}', t.id(2)) ->> 'status' AS status;
SELECT max(pipeline.record_event('a', 'bot', 'e' || n)) AS seq FROM generate_series(1, 4) n;

-- a month as its distance from this one
CREATE FUNCTION t.month(p_name text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN p_name ~ '_y\d{4}m\d\d$' THEN regexp_replace(p_name, '_y\d{4}m\d\d$', '_m') || to_char(
           (substring(p_name FROM 'y(\d{4})')::integer - extract(year FROM now() AT TIME ZONE 'UTC')) * 12
           + substring(p_name FROM 'm(\d\d)$')::integer - extract(month FROM now() AT TIME ZONE 'UTC'), 'FMSG990')
         ELSE p_name END
$$;
CREATE FUNCTION t.at(p_months integer) RETURNS timestamptz LANGUAGE sql AS $$
  SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => p_months, days => 14)) AT TIME ZONE 'UTC'
$$;
CREATE VIEW t.partitions AS
SELECT i.inhparent::regclass::text AS parent, t.month(c.oid::regclass::text) AS partition, c.relrowsecurity AS rls,
       (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
       (SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgparentid = 0 AND NOT g.tgisinternal) AS own_triggers,
       (SELECT count(*) FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner) AS grants,
       (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid) AS indexes
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'
 WHERE i.inhparent::regclass::text IN ('pipeline.job_events', 'logs')
 ORDER BY 1, c.relname;
CREATE FUNCTION t.gaps() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT j.run_id FROM pipeline.jobs j LEFT JOIN pipeline.job_events e USING (run_id) GROUP BY j.run_id
  HAVING j.last_event_seq <> coalesce(max(e.seq), 0) OR j.last_event_seq <> count(e.id)
$$;

-- what may not be asked
SELECT t.try($$SELECT studio_engine.partition_by_month('jobs')$$);
SELECT t.try($$SELECT studio_engine.partition_by_month(NULL)$$);
SELECT t.try($$SELECT studio_engine.partition_by_month('logs', 121)$$);
SELECT t.try($$SELECT studio_engine.partition_by_month('logs', -1)$$);
SELECT t.try($$SELECT studio_engine.partition_by_month('logs', NULL)$$);
SELECT t.try($$SELECT studio_engine.add_partitions('logs')$$);
SELECT t.try($$SELECT studio_engine.detach_partitions('logs', NULL)$$);
SELECT t.try($$SELECT studio_engine.detach_partitions('logs', '0')$$);
SELECT t.try($$SELECT studio_engine.detach_partitions('logs', '1 year', 0)$$);
SELECT studio_engine.detach_partitions('logs', '1 year') AS of_a_plain_table;
CALL t.as_role('service_role');
SELECT t.try($$SELECT studio_engine.partition_by_month('logs')$$);
CALL t.as_admin();
-- what stands in the way is named, and left as it is
BEGIN;
CREATE VIEW t.over_events AS SELECT * FROM pipeline.job_events;
CREATE TABLE t.about_events (event_id uuid REFERENCES pipeline.job_events);
CREATE UNIQUE INDEX own_unique ON pipeline.job_events (run_id, bot_name, seq);
ALTER TABLE pipeline.job_events ADD CONSTRAINT own_constraint UNIQUE (id, seq);
SELECT t.try($$SELECT studio_engine.partition_by_month('job_events')$$);
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE pipeline.job_events SET created_at = NULL WHERE run_id = 'a' AND seq = 2;
UPDATE pipeline.job_events SET created_at = t.at(1) WHERE run_id = 'a' AND seq = 3;
SELECT t.try($$SELECT studio_engine.partition_by_month('job_events')$$);
ROLLBACK;

BEGIN;
-- what an owner added goes with the table
CREATE INDEX own_index ON pipeline.job_events (lower(bot_name)) WHERE seq > 1;
CREATE FUNCTION t.own_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.payload := '{"own": true}'; RETURN NEW; END $$;
CREATE TRIGGER own_trigger BEFORE INSERT ON pipeline.job_events FOR EACH ROW WHEN (NEW.bot_name = 'own') EXECUTE FUNCTION t.own_trigger();
CREATE TRIGGER own_sleeper BEFORE INSERT ON pipeline.job_events FOR EACH ROW EXECUTE FUNCTION t.own_trigger();
ALTER TABLE pipeline.job_events DISABLE TRIGGER own_sleeper;
CREATE ROLE regress_reader;
CREATE POLICY own_policy ON pipeline.job_events AS RESTRICTIVE FOR INSERT TO regress_reader WITH CHECK (seq > 0);
GRANT SELECT (seq), INSERT (payload) ON pipeline.job_events TO regress_reader;
GRANT SELECT ON pipeline.job_events TO regress_reader WITH GRANT OPTION;
ALTER PUBLICATION supabase_realtime ADD TABLE pipeline.job_events;
ALTER TABLE pipeline.job_events ADD COLUMN own_column integer DEFAULT 7, ADD CONSTRAINT own_check CHECK (own_column > 0);
CREATE TEMPORARY TABLE before AS SELECT * FROM pipeline.job_events;
CREATE TEMPORARY TABLE belongings AS SELECT statement FROM studio_engine.table_belongings('job_events');

SELECT studio_engine.partition_by_month('job_events', 2) AS added;
SELECT studio_engine.partition_by_month('logs', 0) AS added;
SELECT * FROM t.partitions;
SELECT count(*) AS differing FROM (TABLE before EXCEPT TABLE pipeline.job_events) d;
SELECT statement AS lost FROM belongings EXCEPT SELECT replace(statement, ' ON ONLY ', ' ON ') FROM studio_engine.table_belongings('job_events');
SELECT replace(statement, ' ON ONLY ', ' ON ') AS gained FROM studio_engine.table_belongings('job_events') EXCEPT SELECT statement FROM belongings;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'pipeline.job_events'::regclass AND contype IN ('p', 'f', 'c') ORDER BY conname;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'pipeline' AND tablename = 'job_events' ORDER BY indexname;
SELECT r.prrelid::regclass AS published FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = 'supabase_realtime';
SELECT * FROM studio_engine.lint();

-- everything goes on: numbers, owners, polling, changes of status, logs
CALL t.as_role('service_role');
SELECT pipeline.record_event('a', 'bot', 'after') AS seq;
SELECT pipeline.set_job_status('a', 'running') ->> 'last_event_seq' AS seq;
INSERT INTO pipeline.job_events (run_id, bot_name, event_type, created_at) SELECT 'a', 'import', 'm' || n, t.at(n) FROM generate_series(-2, 4) n;
INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('a', 'own', 'x') RETURNING seq, payload, own_column;
SELECT log_job(t.id(21), 'info', 'after') IS NOT NULL AS logged;
CALL t.as_admin();
SELECT t.month(tableoid::regclass::text) AS partition, string_agg(seq::text, ' ' ORDER BY seq) AS seqs FROM pipeline.job_events WHERE run_id = 'a' GROUP BY 1 ORDER BY 1;
SELECT t.month(tableoid::regclass::text) AS partition, count(*) FROM logs GROUP BY 1 ORDER BY 1;
SELECT string_agg(seq::text, ' ') AS polled FROM pipeline.events_since('a');
SELECT * FROM t.gaps();
SELECT t.try($$UPDATE pipeline.job_events SET created_at = t.at(3) WHERE run_id = 'a' AND seq = 1$$);
UPDATE pipeline.job_events SET payload = '[]', owner_id = t.id(2) WHERE run_id = 'a' AND seq IN (1, 8, 13) RETURNING seq, t.n(owner_id) AS owner;
UPDATE pipeline.jobs SET owner_id = t.id(2) WHERE run_id = 'a';
SELECT DISTINCT t.n(owner_id) AS owner FROM pipeline.job_events WHERE run_id = 'a';
CALL t.as_user(t.id(2));
SELECT count(*) AS seen_by_2 FROM pipeline.job_events;
SELECT t.try($$SELECT * FROM studio_engine.job_events_history$$) AS partition;
CALL t.as_user(t.id(1));
SELECT (SELECT count(*) FROM pipeline.job_events) AS events_of_1, (SELECT count(*) FROM logs) AS logs_of_1;
CALL t.as_role('service_role');
SELECT t.try($$DELETE FROM studio_engine.job_events_default$$) AS partition;
CALL t.as_admin();

-- more months: what waited in the default partition goes where it belongs
SELECT studio_engine.add_partitions('job_events', 2) AS all_there;
SELECT studio_engine.add_partitions('job_events', 3) AS added;
SELECT studio_engine.partition_by_month('job_events', 3) AS again;
SELECT partition, rls, policies, own_triggers, grants, indexes FROM t.partitions WHERE parent = 'pipeline.job_events';
SELECT t.month(tableoid::regclass::text) AS partition, string_agg(seq::text, ' ' ORDER BY seq) AS seqs FROM pipeline.job_events WHERE run_id = 'a' AND seq > 9 GROUP BY 1 ORDER BY 1;
SELECT * FROM t.gaps();
-- in any style of dates and any time zone
SET LOCAL datestyle = 'German';
SET LOCAL timezone = 'Asia/Kolkata';
SELECT studio_engine.add_partitions('job_events', 4) AS added;
SHOW datestyle;
SET LOCAL datestyle = 'ISO';
SET LOCAL timezone = 'UTC';
SELECT count(*) AS in_default FROM studio_engine.job_events_default;
SELECT bool_and(pg_get_expr(c.relpartbound, c.oid) ~ '-01 00:00:00\+00''\) TO \(''\d{4}-\d\d-01 00:00:00\+00')
  FROM pg_class c WHERE c.oid::regclass::text ~ '^studio_engine.job_events_y';
RESET datestyle;
RESET timezone;

-- retention works on partitions
SET LOCAL studio_engine.maintenance = on;
UPDATE studio_engine.job_events_history SET created_at = now() - INTERVAL '400 days' WHERE run_id = 'a' AND seq <= 2;
SET LOCAL studio_engine.maintenance = off;
SELECT pipeline.set_job_status('a', 'completed') ->> 'last_event_seq' AS seq;
SELECT pipeline.delete_old_events('1 year', 1) AS one, pipeline.delete_old_events('1 year') AS the_rest;

-- detached when all of it is old: the history ends with this month, so make it end long ago
SELECT studio_engine.detach_partitions('job_events', '1 day', 10) AS none_is_old;
ALTER TABLE pipeline.job_events DETACH PARTITION studio_engine.job_events_history;
SET LOCAL studio_engine.maintenance = on;
UPDATE studio_engine.job_events_history SET created_at = '2001-01-01';
SET LOCAL studio_engine.maintenance = off;
ALTER TABLE pipeline.job_events ATTACH PARTITION studio_engine.job_events_history FOR VALUES FROM (MINVALUE) TO ('2001-02-01 00:00:00+00');
SELECT studio_engine.detach_partitions('job_events', '1000 years') AS too_young;
SELECT min(seq) FROM pipeline.events_since('a');
SELECT studio_engine.detach_partitions('job_events', '1 month') AS detached;
SELECT min(seq) AS first_left FROM pipeline.events_since('a');
SELECT count(*) > 0 AS rows_stay, bool_and(run_id IN ('a', 'b')) AS of_runs FROM studio_engine.job_events_history;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'studio_engine.job_events_history'::regclass AND NOT tgisinternal;
SELECT pipeline.record_event('a', 'bot', 'goes on') = (SELECT last_event_seq + 1 FROM pipeline.jobs WHERE run_id = 'a') AS goes_on;
DELETE FROM auth.users WHERE id = t.id(2);
SELECT count(*) AS left_of_runs FROM studio_engine.job_events_history WHERE run_id = 'a';
SELECT * FROM studio_engine.lint();
ROLLBACK;

SELECT relkind FROM pg_class WHERE oid = 'pipeline.job_events'::regclass;
DROP VIEW t.partitions;
DROP FUNCTION t.month, t.at, t.gaps;
SELECT * FROM t.books();
SELECT * FROM t.clean();
