-- What Alice sees of it: her ledger, and how long the work took.

\echo '== 10. The ledger of Alice, as she sees it (authenticated)'
\echo
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', :'claims_of_alice', false) AS claims \gset
SELECT l.entry_no AS no, l.type, l.amount, l.balance_after AS balance, p.title AS job, l.note
  FROM credit_ledger l
  LEFT JOIN jobs j ON j.id = l.job_id
  LEFT JOIN projects p ON p.id = j.project_id
 ORDER BY l.entry_no;

\echo '== 11. Processing times'
\echo
SELECT p.title AS job, s.step_name AS step, s.state, s.progress_pct AS "%",
       round(extract(epoch FROM s.finished_at - s.started_at) * 1000) AS ms
  FROM job_steps s
  JOIN jobs j ON j.id = s.job_id
  JOIN projects p ON p.id = j.project_id
 WHERE s.started_at IS NOT NULL
 ORDER BY j.created_at, s.step_order;

SELECT p.title AS job, j.status,
       round(extract(epoch FROM j.started_at - j.created_at) * 1000) AS "ms until started",
       round(extract(epoch FROM j.finished_at - j.started_at) * 1000) AS "ms of work"
  FROM jobs j
  JOIN projects p ON p.id = j.project_id
 WHERE j.finished_at IS NOT NULL
 ORDER BY j.created_at;

DO $check$
BEGIN
  ASSERT (SELECT count(*) FROM job_steps WHERE finished_at > started_at) = 12, 'twelve steps were timed';
  ASSERT (SELECT bool_and(s.started_at >= j.started_at AND s.finished_at <= j.finished_at)
            FROM job_steps s JOIN jobs j ON j.id = s.job_id WHERE s.finished_at IS NOT NULL),
    'steps lie within their job';
  ASSERT (SELECT s.finished_at - s.started_at FROM job_steps s JOIN jobs j ON j.id = s.job_id
            JOIN projects p ON p.id = j.project_id
           WHERE p.title = 'Vasa' AND s.step_name = 'rendering') BETWEEN '0.15 s' AND '5 s', 'rendering took its time';
END
$check$;
