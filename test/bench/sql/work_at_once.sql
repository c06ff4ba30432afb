-- a worker that claims and completes a job in one transaction
BEGIN;
SELECT job_id, lease_token FROM claim_jobs('studio_jobs', 'worker') \gset
SELECT store_refined_text(:job_id, 'A text.', 'm', :lease_token);
COMMIT;
