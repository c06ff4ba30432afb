-- a worker: claims a job, commits, does it in no time, completes it, commits
SELECT job_id, lease_token FROM claim_jobs('studio_jobs', 'worker') \gset
SELECT store_refined_text(:job_id, 'A text.', 'm', :lease_token);
