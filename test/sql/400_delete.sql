-- 400_delete.sql
--
-- Deleting users, projects and jobs: what goes, what stays, and that open
-- holds come back.
-- Pitfall: the cascades reach jobs, accounts and ledger in an order that
-- nobody chose; the books must be right after each of them.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- users with a full history: every table of ours, holds open and closed, credit
-- that expires, hashes
UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
CREATE PROCEDURE t.history(p_user integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_base integer := p_user * 100;
BEGIN
  CALL t.sign_up(p_user);
  CALL t.project(p_user, v_base + 1);
  CALL t.project(p_user, v_base + 2, 'manual');
  INSERT INTO draft_prompts (session_token, user_id, prompt_text) VALUES ('token ' || p_user, t.id(p_user), 'p');
  PERFORM purchase_credits(t.id(p_user), 20, 'pi_' || p_user), reinstate_purchase('pi_' || p_user, NULL, 'early');
  PERFORM grant_credits(t.id(p_user), 5, 'note', 'key', '2999-01-01');
  CALL t.job(v_base + 1, v_base + 11, 'PACKAGING');
  CALL t.job(v_base + 1, v_base + 12, 'RENDERING');
  CALL t.job(v_base + 1, v_base + 13, 'QUEUED');
  CALL t.job(v_base + 2, v_base + 14, 'QUEUED');
  PERFORM reserve_credits(t.id(p_user), t.id(v_base + 10 + n), n) FROM generate_series(1, 4) n;
  PERFORM create_job_steps(id), record_asset(id, 'video', 'u', 'p'), log_job(id, 'info', 'm')
     FROM jobs WHERE user_id = t.id(p_user);
  PERFORM complete_job(t.id(v_base + 11));
  PERFORM fail_job(t.id(v_base + 12));
  PERFORM retry_job(t.id(v_base + 12));
END
$$;
CREATE VIEW t.rows_of AS
SELECT "user", what, count(*) FROM (
  SELECT t.n(id), 'profiles' FROM profiles UNION ALL
  SELECT t.n(user_id), 'draft_prompts' FROM draft_prompts UNION ALL
  SELECT t.n(user_id), 'projects' FROM projects UNION ALL
  SELECT t.n(user_id), 'jobs' FROM jobs UNION ALL
  SELECT t.n(j.user_id), 'job_steps' FROM job_steps s JOIN jobs j ON j.id = s.job_id UNION ALL
  SELECT t.n(j.user_id), 'assets' FROM assets a JOIN jobs j ON j.id = a.job_id UNION ALL
  SELECT t.n(j.user_id), 'logs' FROM logs l JOIN jobs j ON j.id = l.job_id UNION ALL
  SELECT t.n(user_id), 'credit_accounts' FROM credit_accounts UNION ALL
  SELECT t.n(user_id), 'credit_ledger' FROM credit_ledger UNION ALL
  SELECT t.n(user_id), 'expiring_credits' FROM studio_engine.expiring_credits UNION ALL
  SELECT t.n(user_id), 'ledger_hashes' FROM studio_engine.ledger_hashes UNION ALL
  SELECT t.n(user_id), 'credit_keys' FROM studio_engine.credit_keys) r ("user", what)
 GROUP BY 1, 2 ORDER BY 1, 2;

CALL t.history(1);
CALL t.history(2);
CALL t.history(3);
CALL t.history(4);
SELECT * FROM t.rows_of WHERE "user" IN ('1', '2');
SELECT * FROM t.ledger WHERE "user" = '1';
SELECT * FROM t.accounts;
SELECT * FROM t.books();

-- a user, by the auth server; then two at once; the others keep all of theirs
SET SESSION AUTHORIZATION supabase_auth_admin;
SET search_path = auth;
DELETE FROM users WHERE id = '00000000-0000-4000-8000-000000000001';
RESET SESSION AUTHORIZATION;
RESET search_path;
SELECT * FROM t.rows_of WHERE "user" = '1';
SELECT count(*) AS rows_of_the_second FROM t.rows_of WHERE "user" = '2';
SELECT * FROM t.books();
DELETE FROM auth.users WHERE id IN (t.id(2), t.id(3));
SELECT DISTINCT "user" FROM t.rows_of;
SELECT (SELECT count(*) FROM credit_ledger) AS entries, (SELECT count(*) FROM credit_ledger WHERE user_id = t.id(4)) AS of_user_4;
SELECT * FROM t.books();
-- rolled back: everything is there as before
SELECT t.fingerprint() AS before \gset
BEGIN;
DELETE FROM auth.users;
SELECT count(*) AS entries FROM credit_ledger;
ROLLBACK;
SELECT t.fingerprint() = :'before' AS as_before;
-- credits moved and user deleted in one transaction
BEGIN;
CALL t.history(5);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(5), 'grant', 1);
DELETE FROM auth.users WHERE id = t.id(5);
COMMIT;
SELECT * FROM t.rows_of WHERE "user" = '5';
-- hard-deleted and signed up again with the same payment id: not booked again, nor welcomed
CALL t.sign_up(1);
SELECT t.ask($$SELECT purchase_credits(t.id(1), 20, 'pi_1')$$);
SELECT * FROM t.accounts WHERE "user" = '1';
SELECT * FROM t.books();

-- a project: its jobs go, entries and sum stay, open holds come back
SELECT sum(amount) AS sum, count(*) AS entries FROM credit_ledger WHERE user_id = t.id(4);
SELECT t.n(j.id) AS job, j.status, -sum(l.amount) AS held FROM jobs j JOIN credit_ledger l ON l.job_id = j.id AND l.type = 'reserve'
 WHERE j.user_id = t.id(4) GROUP BY j.id ORDER BY j.id;
SELECT * FROM t.accounts WHERE "user" = '4';
DELETE FROM projects WHERE id = t.id(401);
SELECT * FROM t.ledger WHERE "user" = '4' AND no <= 11;
SELECT * FROM t.moved WHERE "user" = '4' AND note = 'Job deleted';
SELECT sum(amount) AS sum, count(*) AS entries FROM credit_ledger WHERE user_id = t.id(4);
SELECT * FROM t.accounts WHERE "user" = '4';
SELECT * FROM t.rows_of WHERE "user" = '4';
SELECT * FROM t.books();
-- by the user himself
CALL t.as_user(t.id(4));
DELETE FROM projects;
SELECT get_credit_balance(t.id(4)), (SELECT count(*) FROM projects) AS projects;
CALL t.as_admin();
SELECT * FROM t.accounts WHERE "user" = '4';
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- jobs, one and many, of several users in one statement
CALL t.history(1);
CALL t.history(2);
SELECT * FROM t.accounts;
DELETE FROM jobs WHERE id = t.id(111);
SELECT * FROM t.accounts WHERE "user" = '1';
DELETE FROM jobs WHERE id = t.id(112);
SELECT * FROM t.accounts WHERE "user" = '1';
DELETE FROM jobs;
SELECT * FROM t.accounts;
SELECT count(*) AS jobs_named FROM credit_ledger WHERE job_id IS NOT NULL;
SELECT * FROM t.moved WHERE note = 'Job deleted';
SELECT * FROM t.books();
-- the same job id again is a new job
CALL t.job(101, 111);
SELECT reserve_credits(t.id(1), t.id(111), 2), settle_credits(t.id(111), 1);
SELECT * FROM t.ledger WHERE job = '111';
SELECT * FROM t.books();
-- held and deleted in one transaction, by statement and by savepoint
BEGIN;
CALL t.job(101, 115);
SELECT reserve_credits(t.id(1), t.id(115), 2);
DELETE FROM jobs WHERE id = t.id(115);
CALL t.job(101, 116);
SELECT reserve_credits(t.id(1), t.id(116), 3);
SAVEPOINT a;
DELETE FROM jobs WHERE id = t.id(116);
ROLLBACK TO a;
COMMIT;
SELECT * FROM t.ledger WHERE "user" = '1' AND (no > (SELECT max(no) - 3 FROM t.ledger WHERE "user" = '1'));
SELECT * FROM t.accounts WHERE "user" = '1';
SELECT * FROM t.books();
-- a job in the project of somebody else: whoever goes, the holder gets back
INSERT INTO jobs (id, project_id, user_id) VALUES (t.id(117), t.id(101), t.id(2));
SELECT reserve_credits(t.id(2), t.id(117), 5);
SELECT * FROM t.accounts WHERE "user" = '2';
DELETE FROM auth.users WHERE id = t.id(1);
SELECT * FROM t.accounts;
SELECT * FROM t.books();
-- the entries of a deleted job are as closed as all others
SELECT t.try('UPDATE credit_ledger SET job_id = NULL');
SELECT t.try('DELETE FROM credit_ledger WHERE job_id IS NULL');
UPDATE studio_engine.settings SET value = '0' WHERE name = 'ledger_hash_chain';

DROP PROCEDURE t.history;
DROP VIEW t.rows_of;
SELECT * FROM t.clean();
