-- :jobs jobs of the video system, of the 10,000 users that load.sql made, an eighth
-- of them at each stage from SCRIPTING to PACKAGING; triggers are off.
-- Pitfall: those at the last stage are the youngest, so that whoever looks for them
-- among all that wait has all the others before them.

SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET session_replication_role = replica;

INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
SELECT md5('user ' || u)::uuid, md5('user ' || u)::uuid, 'Vasa', 'Why the Vasa sank', 'history' FROM generate_series(0, 9999) u;

SELECT string_agg(format('DROP INDEX %I.%I', schemaname, indexname), ';') AS drop_indexes,
       string_agg(indexdef, ';') AS create_indexes
  FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'jobs' AND indexdef NOT LIKE 'CREATE UNIQUE%' \gset
:drop_indexes;
INSERT INTO public.jobs (id, project_id, user_id, status, created_at)
SELECT gen_random_uuid(), md5('user ' || n % 10000)::uuid, md5('user ' || n % 10000)::uuid, (s.stages)[1 + (n - 1) * 8 / :jobs],
       now() - INTERVAL '1 hour' + n * INTERVAL '1 microsecond'
  FROM generate_series(1, :jobs::bigint) n,
       (SELECT array_agg(w ORDER BY w) AS stages FROM unnest(enum_range('SCRIPTING'::public.job_status, 'PACKAGING')) w) s;
:create_indexes;

RESET session_replication_role;
SELECT studio_engine.rebuild_queue() \gset
SELECT count(*) = :jobs AS loaded FROM studio_engine.queue WHERE state = 'waiting' AND system = 'jobs' \gset
\if :loaded
\else
  \warn 'the queue was not rebuilt'
  SELECT 1 / 0;
\endif

VACUUM (FREEZE, ANALYZE);
