-- The second of two sessions: wants the same credits for another job while the
-- first has not committed.

\pset tuples_only on
\pset format unaligned
SET application_name = 'second till';
DO $wait$
BEGIN
  FOR i IN 1..2400 LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 8 AND granted);
    PERFORM pg_sleep(0.05);
    ASSERT i < 2400, 'the first session never took the credits';
  END LOOP;
END
$wait$;
SET ROLE service_role;
SELECT clock_timestamp() AS asked \gset
SELECT upper(reserve_credits(j.user_id, j.id, 8)::text) AS answer
  FROM jobs j JOIN projects p ON p.id = j.project_id WHERE p.title = 'Erebus' \gset
SELECT format('second session: reserve_credits(Alice, Erebus,  8) = %s, after waiting %s ms', :'answer',
              round(extract(epoch FROM clock_timestamp() - :'asked') * 1000));
