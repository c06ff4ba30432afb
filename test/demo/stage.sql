-- One stage of a job: the job enters it, its step is started, half done, done.
-- Takes stage, doing, seconds and job_id.

SELECT advance_job(:'job_id', :'stage', NULL, :'doing') AS job \gset
SELECT update_job_step(:'job_id', lower(:'stage'), 'started', 0, :'doing') AS step \gset
SELECT pg_sleep(:seconds / 2) AS slept \gset
SELECT update_job_step(:'job_id', lower(:'stage'), 'started', 50) AS step \gset
SELECT pg_sleep(:seconds / 2) AS slept \gset
SELECT update_job_step(:'job_id', lower(:'stage'), 'succeeded') AS step \gset
SELECT format('  %3s %%  %-12s %-26s %s', :'job'::jsonb ->> 'progress', :'stage', :'doing',
              :'step'::jsonb ->> 'state') AS line \gset
\echo :line
