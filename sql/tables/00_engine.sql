-- Private bookkeeping. No API role has USAGE on this schema.
-- Pitfall: the presence of studio_engine.meta is how the install script tells
-- a database that it must adopt from one that a dump is being loaded into.

CREATE TABLE studio_engine.meta (
  name text NOT NULL,
  value text NOT NULL,
  CONSTRAINT meta_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE studio_engine.meta IS
'Facts about this installation.

Its presence tells CREATE EXTENSION that there is data of an earlier installation.';
COMMENT ON COLUMN studio_engine.meta.name IS 'Name of the fact';
COMMENT ON COLUMN studio_engine.meta.value IS 'Value of the fact';

CREATE TABLE studio_engine.settings (
  name text NOT NULL,
  value text NOT NULL,
  description text,
  CONSTRAINT settings_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE studio_engine.settings IS
'Settings of the product.

The owner of the data changes them with UPDATE. They take effect with the next statement.';
COMMENT ON COLUMN studio_engine.settings.name IS 'Name of the setting';
COMMENT ON COLUMN studio_engine.settings.value IS 'Value, as text; numbers are whole numbers';
COMMENT ON COLUMN studio_engine.settings.description IS 'What the setting does';

ALTER TABLE studio_engine.meta ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.settings ENABLE ROW LEVEL SECURITY;

INSERT INTO studio_engine.meta (name, value) VALUES ('schema_version', '1');
INSERT INTO studio_engine.settings (name, value, description) VALUES
  ('welcome_credits', '10', 'Credits granted at sign-up; 0 grants none'),
  ('welcome_once_per_email', '1', '1 keeps a digest of each e-mail address that got welcome credits, and grants it none again; 0 does not'),
  ('welcome_anonymous', '0', '1 grants welcome credits to anonymous users at once; 0 when they become permanent'),
  ('max_active_jobs', '5', 'Jobs of one kind (jobs, studio_jobs) that one user may have at a time; 0 means no limit'),
  ('draft_lifetime_days', '7', 'Days after its last change for which a draft can be claimed'),
  ('ledger_hash_chain', '0', '1 keeps a hash chain over the ledger, so that verify_credit_ledger() names an edited entry; 0 does not'),
  ('lease_seconds', '60', 'How long a claimed job belongs to its worker, unless the claim or a heartbeat says otherwise'),
  ('max_attempts', '3', 'How often a job is tried before it is FAILED; 0 means no limit'),
  ('retry_base_seconds', '5', 'Longest delay before the second attempt; doubled with every further one'),
  ('retry_cap_seconds', '3600', 'Longest delay before any attempt'),
  ('progress_interval_ms', '1000', 'Heartbeats write progress into the row of a job at most once in so many milliseconds'),
  ('fair_queue', '0', '1 lets the users take turns, so that the many jobs of one do not hold up the others; for jobs queued from then on'),
  ('priority_ageing_seconds', '0', 'Age in seconds that one step of priority is worth, so that old jobs of low priority are claimed too; 0: priorities come first. Not with fair_queue; for jobs queued from then on'),
  ('max_running_jobs', '0', 'Jobs of one table that may run for one user at a time; 0 means no limit'),
  ('max_run_seconds', '0', 'How long a worker may have a job, whatever its heartbeats; 0 means no limit'),
  ('cancel_grace_seconds', '60', 'How long a worker may go on with a job that is to be cancelled, whatever its heartbeats; 0 means no limit'),
  ('asynchronous_claims', '0', '1 does not wait for the disk where a transaction only claims jobs: after a crash they may be claimed again; 0 waits'),
  ('notify_workers', '0', '1 sends NOTIFY studio_engine once for each transaction that makes jobs claimable; 0 does not'),
  ('notify_interval_ms', '0', 'Former name of notify_workers: any number but 0 has its effect'),
  ('price_studio_job', '0', 'Credits that a studio job costs, for jobs made from then on; 0 is nothing'),
  ('price_rendering', '0', 'Credits that a rendering costs its user, for renderings made from then on; 0 is nothing'),
  ('max_user_priority', '100', 'Highest priority that users may give to their jobs'),
  ('default_system_prompt', 'Rewrite the transcript in the voice of the brand. Keep names, facts and numbers as they are.', 'Prompt of studio jobs that bring none');
