-- 800_realtime.sql
--
-- enable_realtime(): what it publishes, twice, who may, and what it refuses.
-- Pitfall: 400_delete and others share this database, so all of it is rolled back.

\set VERBOSITY default
\set SHOW_CONTEXT never

BEGIN;
SELECT * FROM enable_realtime();
-- again: nothing to do
SELECT count(*) AS tables, bool_or(added) AS any_added FROM enable_realtime();
-- what somebody took out comes back, what he put in beside stays
ALTER PUBLICATION supabase_realtime DROP TABLE jobs;
ALTER PUBLICATION supabase_realtime ADD TABLE companies;
SELECT * FROM enable_realtime() WHERE added;
SELECT count(*) FROM pg_publication_tables WHERE pubname = 'supabase_realtime';
ROLLBACK;

-- without a publication it makes one, with all of its changes
BEGIN;
DROP PUBLICATION supabase_realtime;
SELECT count(*) FILTER (WHERE added) AS added FROM enable_realtime();
SELECT pubinsert, pubupdate, pubdelete, puballtables FROM pg_publication WHERE pubname = 'supabase_realtime';
ROLLBACK;

-- the role of Realtime, where there is one, may use the schemas
BEGIN;
CREATE ROLE supabase_realtime_admin;
SELECT has_schema_privilege('supabase_realtime_admin', 'pipeline', 'USAGE') AS before;
SELECT count(*) FROM enable_realtime();
SELECT has_schema_privilege('supabase_realtime_admin', 'pipeline', 'USAGE') AS after,
       has_schema_privilege('supabase_realtime_admin', 'pipeline', 'CREATE') AS no_more,
       has_schema_privilege('supabase_realtime_admin', 'studio_engine', 'USAGE') AS no_secrets;
ROLLBACK;

-- users and services may not
CALL t.as_user(t.id(1));
SELECT * FROM enable_realtime();
CALL t.as_role('service_role');
SELECT * FROM enable_realtime();
CALL t.as_admin();

-- an owner of the data to whom the publication does not belong
BEGIN;
CREATE ROLE owner_of_data;
ALTER SCHEMA studio_engine OWNER TO owner_of_data;
ALTER SCHEMA pipeline OWNER TO owner_of_data;
GRANT EXECUTE ON FUNCTION enable_realtime(), studio_engine.enable_realtime_as_owner(), studio_engine.realtime_tables(),
  studio_engine.realtime_rights_missing(), studio_engine.realtime_obstacles() TO owner_of_data;
DO $$
DECLARE
  v_table text;
BEGIN
  FOR v_table IN SELECT * FROM studio_engine.realtime_tables() LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO owner_of_data', v_table);
  END LOOP;
END $$;
SET LOCAL ROLE owner_of_data;
SAVEPOINT refused;
SELECT * FROM enable_realtime();
ROLLBACK TO refused;
RESET ROLE;
-- a superuser acts as the owner
SAVEPOINT refused;
SELECT * FROM enable_realtime();
ROLLBACK TO refused;
SELECT * FROM studio_engine.enable_realtime_as_owner();
ROLLBACK TO refused;
DROP PUBLICATION supabase_realtime;
SET LOCAL ROLE owner_of_data;
SAVEPOINT refused;
SELECT * FROM enable_realtime();
ROLLBACK TO refused;
RESET ROLE;
GRANT CREATE ON DATABASE contrib_regression TO owner_of_data;
SET LOCAL ROLE owner_of_data;
SELECT count(*) FILTER (WHERE added) AS added FROM enable_realtime();
ROLLBACK;

-- what would publish secrets, end the poll, or break writing
BEGIN;
ALTER PUBLICATION supabase_realtime ADD TABLE draft_prompts, studio_engine.queue;
SELECT * FROM enable_realtime();
ROLLBACK;
BEGIN;
ALTER TABLE assets REPLICA IDENTITY NOTHING;
ALTER TABLE job_steps DROP CONSTRAINT job_steps_pkey;
ALTER PUBLICATION supabase_realtime SET (publish = 'insert, delete');
SELECT * FROM enable_realtime();
ROLLBACK;
BEGIN;
DROP PUBLICATION supabase_realtime;
CREATE PUBLICATION supabase_realtime FOR ALL TABLES;
SELECT * FROM enable_realtime();
ROLLBACK;
BEGIN;
SELECT studio_engine.partition_by_month('job_events', 0) AS months;
SELECT count(*) FROM enable_realtime();
ALTER PUBLICATION supabase_realtime ADD TABLE pipeline.job_events;
SELECT count(*) FROM enable_realtime();
ROLLBACK;
BEGIN;
ALTER PUBLICATION supabase_realtime ADD TABLES IN SCHEMA studio_engine;
SELECT count(*) >= 5 AS all_named FROM studio_engine.realtime_obstacles();
ROLLBACK;
-- a whole schema is good when nothing in it is secret
BEGIN;
ALTER PUBLICATION supabase_realtime ADD TABLES IN SCHEMA pipeline;
SELECT table_name FROM enable_realtime() WHERE NOT added;
ROLLBACK;
SELECT count(*) FROM pg_publication_tables;
