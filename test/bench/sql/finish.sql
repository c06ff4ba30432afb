-- a worker: completes its job and claims the next in one call, commits; the first
-- time, with :started 0, it claims only
\if :started
SELECT job_id, lease_token FROM finish_and_claim('studio_jobs', 'worker', :job_id, :lease_token, '{"refined_text": "A text.", "model_version": "m"}') \gset
\else
\set started 1
SELECT job_id, lease_token FROM claim_jobs('studio_jobs', 'worker') \gset
\endif
