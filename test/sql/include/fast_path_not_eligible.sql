-- fast_path_not_eligible.sql: the cases of 055_fast_path_not_eligible.sql

-- a foreign key that is checked when the statement ends is checked
BEGIN;
WITH j AS (INSERT INTO jobs (project_id, user_id, status) VALUES (t.id(99), t.id(1), 'QUEUED') RETURNING id, user_id)
SELECT reserve_credits(user_id, id, 5) FROM j;
ROLLBACK;
BEGIN;
WITH j AS (UPDATE jobs SET project_id = t.id(99) WHERE id = t.id(21) RETURNING id, user_id)
SELECT reserve_credits(user_id, id, 5) FROM j;
ROLLBACK;

-- another foreign key of a column that the functions write
BEGIN;
CREATE TABLE t.members (id uuid PRIMARY KEY);
ALTER TABLE credit_ledger ADD CONSTRAINT ledger_member FOREIGN KEY (user_id) REFERENCES t.members NOT VALID;
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT t.try('SELECT grant_credits(t.id(1), 5)') AS outcome;
ROLLBACK;

-- an index by which rows are found, with other rows in it
BEGIN;
DROP INDEX studio_engine.idx_queue_waiting;
CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id);
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT count(*) AS claimed FROM claim_jobs('jobs', 'w1', 9);
SELECT count(*) AS claimed_again FROM claim_jobs('jobs', 'w2', 9);
ROLLBACK;
-- ... with fewer
BEGIN;
DROP INDEX idx_credit_job;
CREATE INDEX idx_credit_job ON credit_ledger (job_id) WHERE amount > 0;
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT reserve_credits(t.id(1), t.id(21), 5) AS reserved, settle_credits(t.id(21)) AS charged;
ROLLBACK;
-- ... in another order
BEGIN;
DROP INDEX studio_engine.idx_queue_delayed;
CREATE INDEX idx_queue_delayed ON studio_engine.queue (system, due_at DESC) WHERE state = 'delayed';
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
ROLLBACK;

-- a default of the owner, and a coarser clock
BEGIN;
ALTER TABLE credit_ledger ALTER COLUMN id SET DEFAULT t.id(77);
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT t.n(grant_credits(t.id(1), 5)) AS entry;
ROLLBACK;
BEGIN;
ALTER TABLE credit_accounts ALTER COLUMN updated_at TYPE timestamptz (0);
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
SELECT grant_credits(t.id(1), 5) IS NOT NULL AS granted;
SELECT extract(microseconds FROM updated_at)::integer % 1000000 AS below_seconds FROM credit_accounts;
ROLLBACK;

-- a check through a domain, whose own check may change
BEGIN;
CREATE DOMAIN t.whole AS integer CHECK (VALUE > 0);
ALTER TABLE credit_ledger ADD CONSTRAINT ledger_entry CHECK (entry_no::integer::t.whole > 0);
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
ROLLBACK;

-- one of our triggers for another table, and another function in the place of ours
BEGIN;
CREATE OR REPLACE TRIGGER "00_jobs_queue_truncate" AFTER TRUNCATE ON jobs
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.clear_queue('studio_jobs');
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
ROLLBACK;
BEGIN;
CREATE OR REPLACE FUNCTION studio_engine.price_ended_job() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
ALTER TABLE jobs SET (autovacuum_enabled = true);
SELECT * FROM studio_engine.direct_tables() WHERE reason IS NOT NULL;
ROLLBACK;

-- the rows went to another file in the middle of a transaction
BEGIN;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'https://example.com/a.mp3' FROM generate_series(31, 33) n;
SELECT update_studio_job_status(t.id(31), 'TRANSCRIBING') ->> 'status' AS status;
TRUNCATE studio_jobs;
SELECT t.try('SELECT update_studio_job_status(t.id(32), ''TRANSCRIBING'')') AS outcome;
ROLLBACK;
BEGIN;
SELECT reserve_credits(t.id(1), t.id(21), 5) AS reserved;
CLUSTER jobs USING idx_jobs_status;
SELECT settle_credits(t.id(21), 2) AS charged;
ROLLBACK;

-- a NULL where a constraint was dropped
BEGIN;
UPDATE jobs SET status = 'SCRIPTING' WHERE id = t.id(21);
SELECT count(*) AS claimed FROM claim_jobs('jobs', 'w1', 9);
ALTER TABLE studio_engine.attempts ALTER expires_at DROP NOT NULL;
UPDATE studio_engine.attempts SET expires_at = NULL;
SELECT t.try('UPDATE jobs SET status = ''FAILED'' WHERE id = t.id(21)') AS by_statement;
ALTER TABLE jobs DISABLE TRIGGER tr_jobs_workflow;
UPDATE jobs SET status = 'PACKAGING' WHERE id = t.id(22);
ALTER TABLE jobs ENABLE TRIGGER tr_jobs_workflow;
SELECT t.try('UPDATE jobs SET status = ''READY'' WHERE id = t.id(22)') AS fast_path;
ROLLBACK;
