-- What the two sessions left: one hold, one job without.

\echo
SET ROLE service_role;
SELECT p.title AS project, j.status, j.cost_credits_reserved AS reserved, a.balance, a.reserved AS "in holds"
  FROM jobs j
  JOIN projects p ON p.id = j.project_id
  JOIN credit_accounts a ON a.user_id = j.user_id
 WHERE p.title IN ('Titanic', 'Erebus')
 ORDER BY p.title DESC;

DO $check$
BEGIN
  ASSERT (SELECT array_agg(p.title || ' ' || l.amount) FROM credit_ledger l
            JOIN jobs j ON j.id = l.job_id
            JOIN projects p ON p.id = j.project_id
           WHERE p.title IN ('Titanic', 'Erebus')) = '{Titanic -8}', 'one hold, of the first session';
  ASSERT (SELECT (balance, reserved) FROM credit_accounts
           WHERE user_id = 'a11ce000-0000-4000-8000-000000000001') = (0, 8), 'spent once';
END
$check$;
