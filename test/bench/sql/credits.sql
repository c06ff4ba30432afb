-- 10,000 users with credit and, for each, :jobs_per_user open jobs, for ours
-- and for the twin alike.  Triggers are skipped while they are loaded.
-- Pitfall: an account must agree with its ledger, so each user has the one
-- entry that its balance comes from.

SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET session_replication_role = replica;

CREATE TABLE bench.pairs (n integer PRIMARY KEY, user_id uuid NOT NULL, job_id uuid NOT NULL);
INSERT INTO bench.pairs
SELECT n, md5('user ' || n % 10000)::uuid, md5('job ' || n)::uuid
  FROM generate_series(0, 10000 * :jobs_per_user - 1) n;

INSERT INTO auth.users (id, email)
SELECT user_id, 'user' || n || '@example.com' FROM bench.pairs WHERE n < 10000;
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
SELECT user_id, user_id, 'Vasa', 'Why the Vasa sank', 'history' FROM bench.pairs WHERE n < 10000;
INSERT INTO public.jobs (id, project_id, user_id, status)
SELECT job_id, user_id, user_id, 'QUEUED' FROM bench.pairs;
INSERT INTO public.credit_accounts (user_id, balance, entries)
SELECT user_id, 1000000, 1 FROM bench.pairs WHERE n < 10000;
INSERT INTO public.credit_ledger (user_id, type, amount, balance_after, entry_no)
SELECT user_id, 'grant', 1000000, 1000000, 1 FROM bench.pairs WHERE n < 10000;

INSERT INTO twin.credit_accounts SELECT * FROM public.credit_accounts;
INSERT INTO twin.jobs (id, project_id, user_id, status) SELECT id, project_id, user_id, status FROM public.jobs;
INSERT INTO twin.credit_ledger SELECT * FROM public.credit_ledger;

RESET session_replication_role;
VACUUM (FREEZE, ANALYZE);
