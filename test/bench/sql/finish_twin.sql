-- finish.sql with the twin
\if :started
SELECT job_id, lease_token FROM twin.finish_and_claim('studio_jobs', 'worker', :job_id, :lease_token, '{"refined_text": "A text.", "model_version": "m"}') \gset
\else
\set started 1
SELECT job_id, lease_token FROM twin.claim_jobs('studio_jobs', 'worker') \gset
\endif
