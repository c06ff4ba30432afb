-- bench.results: a table like studio_jobs, with the rows of the jobs that wait there,
-- for queues that keep no result themselves.  Columns, checks, indexes and how they
-- are filled are the same; there is no trigger, no foreign key, no queue of ours.

SET synchronous_commit = off;
CREATE TABLE bench.results (LIKE public.studio_jobs INCLUDING ALL);
INSERT INTO bench.results SELECT * FROM public.studio_jobs ORDER BY created_at;
REINDEX TABLE bench.results;

SET session_replication_role = replica;
TRUNCATE public.studio_jobs, studio_engine.queue, twin.studio_jobs, twin.queue;
RESET session_replication_role;
VACUUM (FREEZE, ANALYZE);
