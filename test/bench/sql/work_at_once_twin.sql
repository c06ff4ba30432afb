-- work_at_once.sql with the twin
BEGIN;
SELECT job_id, lease_token FROM twin.claim_jobs('studio_jobs', 'worker') \gset
SELECT twin.store_refined_text(:job_id, 'A text.', 'm', :lease_token);
COMMIT;
