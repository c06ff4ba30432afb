-- 055_closed_roads.sql
--
-- What the direct road must not take on trust: each case is played with
-- studio_engine.direct_rows on and off, and says the same both times; where a
-- table was altered, direct_tables() says why it is left to statements.
-- Pitfall: every case is rolled back, so that one cannot close the road of the
-- next.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1);
CALL t.project(1, 11);
SELECT grant_credits(t.id(1), 100) IS NOT NULL AS granted;
INSERT INTO jobs (id, project_id, user_id, status) SELECT t.id(n), t.id(11), t.id(1), 'QUEUED' FROM generate_series(21, 24) n;

SET studio_engine.direct_rows = on;
\i test/sql/include/closed_roads.sql
SET studio_engine.direct_rows = off;
\i test/sql/include/closed_roads.sql
RESET studio_engine.direct_rows;

SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT * FROM t.books();
SELECT * FROM t.clean();
