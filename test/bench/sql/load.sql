-- Jobs to measure with, loaded with triggers off: :jobs waiting ones of 10,000
-- users, with :twin the same for the twin.
-- Pitfall: they are ENRICHING, from where the next step may be COMPLETE.

SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET session_replication_role = replica;

INSERT INTO auth.users (id, email)
SELECT md5('user ' || u)::uuid, 'user' || u || '@example.com' FROM generate_series(0, 9999) u;

SELECT string_agg(format('DROP INDEX %I.%I', schemaname, indexname), ';') AS drop_indexes,
       string_agg(indexdef, ';') AS create_indexes
  FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'studio_jobs' AND indexdef NOT LIKE 'CREATE UNIQUE%' \gset
:drop_indexes;
INSERT INTO public.studio_jobs (job_id, created_at, status, user_id, raw_audio_url, raw_transcript, system_prompt_used)
SELECT gen_random_uuid(), now() - INTERVAL '1 hour' + n * INTERVAL '1 microsecond', 'ENRICHING',
       md5('user ' || n % 10000)::uuid, 'audio/' || n || '.mp3', repeat('What was said. ', 10), 'In the voice of the brand.'
  FROM generate_series(1, :jobs) n;
:create_indexes;

RESET session_replication_role;
SELECT studio_engine.rebuild_queue() \gset
SELECT count(*) = :jobs AS loaded FROM studio_engine.queue WHERE state = 'waiting' \gset
\if :loaded
\else
  \warn 'the queue was not rebuilt'
  SELECT 1 / 0;
\endif

\if :twin
  SET session_replication_role = replica;
  INSERT INTO twin.studio_jobs SELECT * FROM public.studio_jobs;
  INSERT INTO twin.queue SELECT * FROM studio_engine.queue ORDER BY due_at;
  RESET session_replication_role;
\endif

VACUUM (FREEZE, ANALYZE);
