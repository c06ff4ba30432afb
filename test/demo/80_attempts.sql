-- What must not work, tried by a user, by the trusted server and by the
-- superuser.

\echo '== 8. Bob asks for rows of Alice, and there are none for him (authenticated)'
\echo
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', :'claims_of_bob', false) AS claims \gset
SELECT (SELECT count(*) FROM profiles WHERE id <> auth.uid()) AS profiles,
       (SELECT count(*) FROM draft_prompts) AS drafts,
       (SELECT count(*) FROM projects) AS projects,
       (SELECT count(*) FROM jobs) AS jobs,
       (SELECT count(*) FROM job_steps) AS steps,
       (SELECT count(*) FROM assets) AS assets,
       (SELECT count(*) FROM logs) AS logs,
       (SELECT count(*) FROM credit_accounts WHERE user_id <> auth.uid()) AS accounts,
       (SELECT count(*) FROM credit_ledger WHERE user_id <> auth.uid()) AS ledger;

DO $check$
BEGIN
  ASSERT (SELECT count(*) FROM profiles) = 1 AND (SELECT count(*) FROM credit_accounts) = 1
     AND (SELECT count(*) FROM credit_ledger) = 1, 'Bob sees what is his';
  ASSERT (SELECT count(*) FROM draft_prompts) + (SELECT count(*) FROM projects) + (SELECT count(*) FROM jobs)
       + (SELECT count(*) FROM job_steps) + (SELECT count(*) FROM assets) + (SELECT count(*) FROM logs) = 0,
    'and nothing of Alice''s';
END
$check$;
RESET ROLE;
DO $check$
BEGIN
  ASSERT (SELECT count(*) FROM draft_prompts) > 0 AND (SELECT count(*) FROM projects) > 0 AND (SELECT count(*) FROM jobs) > 0
     AND (SELECT count(*) FROM job_steps) > 0 AND (SELECT count(*) FROM assets) > 0 AND (SELECT count(*) FROM logs) > 0,
    'there was something to see';
END
$check$;
SELECT j.id AS job_id FROM jobs j JOIN projects p ON p.id = j.project_id WHERE p.title = 'Erebus' \gset
SELECT md5(string_agg(l::text, ',' ORDER BY l.id)) AS ledger FROM credit_ledger l \gset

\echo '== 9. And tries what he may not; so do a careless server and an administrator'
\echo
SET ROLE authenticated;
\echo 'Bob (authenticated)'

\set attempt 'reads the balance of Alice'
\set expected 42501
\set ON_ERROR_STOP off
SELECT get_credit_balance(:'alice');
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'cancels a job of Alice'
\set ON_ERROR_STOP off
SELECT cancel_job(:'job_id');
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'grants himself 1000 credits'
\set ON_ERROR_STOP off
SELECT grant_credits(:'bob', 1000);
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'holds -1000 credits, to have them given'
\set ON_ERROR_STOP off
SELECT reserve_credits(:'bob', :'job_id', -1000);
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'writes 1000 credits into the ledger'
\set ON_ERROR_STOP off
INSERT INTO credit_ledger (user_id, type, amount) VALUES (:'bob', 'grant', 1000);
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'sets his balance to 1000'
\set ON_ERROR_STOP off
UPDATE credit_accounts SET balance = 1000 WHERE user_id = :'bob';
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'moves a job from PENDING to READY'
\set ON_ERROR_STOP off
UPDATE jobs SET status = 'READY' WHERE id = :'job_id';
\set ON_ERROR_STOP on
\ir refused.sql

RESET ROLE;
SET ROLE service_role;
\echo
\echo 'The server (service_role)'

\set attempt 'holds -1000 credits'
\set expected 22023
\set ON_ERROR_STOP off
SELECT reserve_credits(:'alice', :'job_id', -1000);
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'writes a grant of -5 credits'
\set ON_ERROR_STOP off
INSERT INTO credit_ledger (user_id, type, amount) VALUES (:'alice', 'grant', -5);
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'holds credits of Bob for a job of Alice'
\set expected 42501
\set ON_ERROR_STOP off
SELECT reserve_credits(:'bob', :'job_id', 1);
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'creates a job that she cannot pay'
\set expected PT402
\set ON_ERROR_STOP off
SELECT create_job(project_id, 1) FROM jobs WHERE id = :'job_id';
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'moves a job from PENDING to READY'
\set expected 23514
\set ON_ERROR_STOP off
UPDATE jobs SET status = 'READY' WHERE id = :'job_id';
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'corrects an entry of the ledger'
\set expected 42501
\set ON_ERROR_STOP off
UPDATE credit_ledger SET amount = 1000 WHERE user_id = :'bob';
\set ON_ERROR_STOP on
\ir refused.sql

RESET ROLE;
\echo
\echo 'The administrator (superuser)'

\set attempt 'corrects an entry of the ledger'
\set expected 42501
\set ON_ERROR_STOP off
UPDATE credit_ledger SET amount = 1000 WHERE user_id = :'bob';
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'deletes an entry of the ledger'
\set ON_ERROR_STOP off
DELETE FROM credit_ledger WHERE user_id = :'bob';
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'empties the ledger'
\set ON_ERROR_STOP off
TRUNCATE credit_ledger;
\set ON_ERROR_STOP on
\ir refused.sql

\set attempt 'sets a balance to 1000'
\set ON_ERROR_STOP off
UPDATE credit_accounts SET balance = 1000 WHERE user_id = :'bob';
\set ON_ERROR_STOP on
\ir refused.sql

SELECT md5(string_agg(l::text, ',' ORDER BY l.id)) = :'ledger' AS unchanged FROM credit_ledger l \gset
\if :unchanged
\else
SELECT 'an attempt changed the ledger'::integer;
\endif
\echo
