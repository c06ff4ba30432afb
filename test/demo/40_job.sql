-- The server behind the site prices the job. Three credits are held, not yet
-- spent.

\echo '== 4. The site creates a job for 3 of her 10 credits (service_role)'
\echo
SET ROLE service_role;
SELECT create_job(id, 3) AS job_id FROM projects WHERE title = 'Vasa' \gset

SELECT p.title AS project, j.status, j.cost_credits_reserved AS reserved, a.balance, a.reserved AS "in holds",
       (SELECT count(*) FROM job_steps s WHERE s.job_id = j.id) AS steps
  FROM jobs j
  JOIN projects p ON p.id = j.project_id
  JOIN credit_accounts a ON a.user_id = j.user_id
 WHERE j.id = :'job_id';

DO $check$
BEGIN
  ASSERT (SELECT (status::text, cost_credits_reserved) FROM jobs) = ('QUEUED'::text, 3), 'queued with its hold';
  ASSERT (SELECT (balance, reserved) FROM credit_accounts
           WHERE user_id = 'a11ce000-0000-4000-8000-000000000001') = (7, 3), 'three of ten are held';
  ASSERT (SELECT count(*) FROM job_steps WHERE state = 'pending') = 8, 'a step per stage';
END
$check$;
