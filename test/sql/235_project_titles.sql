-- 235_project_titles.sql
--
-- Entries of Video jobs say what they were for when the project is gone.
-- Pitfall: the title is that of the time when the hold was taken.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.titles AS
SELECT l.entry_no AS no, l.type, l.amount, t.n(l.job_id) AS job, l.metadata FROM credit_ledger l WHERE l.user_id = t.id(1) ORDER BY l.entry_no;

CALL t.sign_up(1);
CALL t.project(1, 11);
UPDATE projects SET title = 'The fall of Rome' WHERE id = t.id(11);
CALL t.job(11, 21);
CALL t.job(11, 22);
CALL t.job(11, 23);
CALL t.job(11, 24);
SELECT reserve_credits(t.id(1), t.id(21), 3), reserve_credits(t.id(1), t.id(22), 2), reserve_credits(t.id(1), t.id(23), 1);
UPDATE projects SET title = 'Rome' WHERE id = t.id(11);
SELECT settle_credits(t.id(21), 2), release_credits(t.id(22));
SELECT refund_credits(t.id(21), 1);
SELECT create_job(t.id(11), 4) IS NOT NULL AS created;
-- a hold of plain SQL has no title, or one of the client's, and so has what closes it
INSERT INTO credit_ledger (user_id, type, amount, job_id, metadata) VALUES (t.id(1), 'reserve', -1, t.id(24), '{"by": "hand"}');
SELECT settle_credits(t.id(24));
SELECT * FROM t.titles;
DELETE FROM projects WHERE id = t.id(11);
SELECT * FROM t.titles WHERE no BETWEEN 2 AND 12;
SELECT type, amount, job, metadata FROM t.titles WHERE no > 12 ORDER BY amount;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a title is cut to 200 characters, whatever is in it, by both paths
CALL t.sign_up(1);
CALL t.project(1, 11);
CALL t.job(11, 21);
CREATE PROCEDURE t.entitled(p_title text)
LANGUAGE plpgsql AS $$
DECLARE
  v_path text;
  v_title text;
BEGIN
  UPDATE projects SET title = p_title WHERE id = t.id(11);
  FOREACH v_path IN ARRAY '{on,off}'::text[] LOOP
    PERFORM set_config('studio_engine.direct_rows', v_path, true);
    PERFORM reserve_credits(t.id(1), t.id(21), 1), settle_credits(t.id(21), 0);
    FOR v_title IN SELECT metadata ->> 'project_title' FROM (SELECT * FROM credit_ledger WHERE user_id = t.id(1) ORDER BY entry_no DESC LIMIT 2) l LOOP
      IF v_title IS DISTINCT FROM left(p_title, 200) THEN
        RAISE INFO '%: % characters, not %', v_path, length(v_title), length(left(p_title, 200));
      END IF;
    END LOOP;
  END LOOP;
END
$$;
CALL t.entitled('');
CALL t.entitled(repeat('x', 200));
CALL t.entitled(repeat('x', 201));
CALL t.entitled(repeat(U&'\+01F3AC', 201));
CALL t.entitled(repeat(U&'\00E4', 4000));
CALL t.entitled(E'"\\ {} \n\t' || U&'\0001');
SELECT count(*) AS entries, max(pg_column_size(metadata)) < 900 AS bounded FROM credit_ledger WHERE user_id = t.id(1);
SELECT * FROM t.books();

DROP PROCEDURE t.entitled;
DROP VIEW t.titles;
SELECT * FROM t.clean();
