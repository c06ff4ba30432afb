-- The first of two sessions: takes the credits and keeps its transaction open
-- until it sees somebody wait for it.

\pset tuples_only on
\pset format unaligned
SET application_name = 'first till';
SET ROLE service_role;
BEGIN;
SELECT 'first session:  reserve_credits(Alice, Titanic, 8) = '
       || upper(reserve_credits(j.user_id, j.id, 8)::text)
  FROM jobs j JOIN projects p ON p.id = j.project_id WHERE p.title = 'Titanic';
-- tells the second session to start
SELECT pg_advisory_xact_lock_shared(8) AS locked \gset

DO $wait$
BEGIN
  FOR i IN 1..2400 LOOP
    PERFORM pg_sleep(0.05);
    EXIT WHEN EXISTS (SELECT FROM pg_locks w
                       WHERE NOT w.granted AND pg_backend_pid() = ANY (pg_blocking_pids(w.pid)));
    ASSERT i < 2400, 'nobody came to spend the same credits';
  END LOOP;
  -- for those who watch
  PERFORM pg_sleep(0.25);
END
$wait$;
\echo '                it keeps its transaction open and sees the second session wait, then commits'
COMMIT;
