-- 055_fast_path_not_eligible.sql
--
-- What the fast path must not rely on: each case runs with studio_engine.direct_rows
-- on and off, and prints the same both times; where a table was altered, it is not
-- eligible, and direct_tables() has the reason.
-- Pitfall: every case is rolled back, so that the next one finds eligible tables.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1);
CALL t.project(1, 11);
SELECT grant_credits(t.id(1), 100) IS NOT NULL AS granted;
INSERT INTO jobs (id, project_id, user_id, status) SELECT t.id(n), t.id(11), t.id(1), 'QUEUED' FROM generate_series(21, 24) n;

SET studio_engine.direct_rows = on;
\i test/sql/include/fast_path_not_eligible.sql
SET studio_engine.direct_rows = off;
\i test/sql/include/fast_path_not_eligible.sql
RESET studio_engine.direct_rows;

SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT * FROM t.books();
SELECT * FROM t.clean();
