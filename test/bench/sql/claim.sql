-- a worker that claims
SELECT job_id FROM claim_jobs('studio_jobs', 'worker') \gset
