-- Private bookkeeping. No API role has USAGE on this schema.
-- Pitfall: the presence of studio_engine.meta is how the install script tells
-- a database that it must adopt from one that a dump is being loaded into.

CREATE TABLE studio_engine.meta (
  name text NOT NULL,
  value text NOT NULL,
  CONSTRAINT meta_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE studio_engine.meta IS 'Facts about this installation. Its presence tells CREATE EXTENSION that data of an earlier installation is here.';
COMMENT ON COLUMN studio_engine.meta.name IS 'Name of the fact';
COMMENT ON COLUMN studio_engine.meta.value IS 'Value of the fact';

CREATE TABLE studio_engine.settings (
  name text NOT NULL,
  value text NOT NULL,
  description text,
  CONSTRAINT settings_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE studio_engine.settings IS 'Settings of the product. The owner changes them with UPDATE; they take effect with the next statement.';
COMMENT ON COLUMN studio_engine.settings.name IS 'Name of the setting';
COMMENT ON COLUMN studio_engine.settings.value IS 'Value, as text; numbers are whole numbers';
COMMENT ON COLUMN studio_engine.settings.description IS 'What the setting does';

ALTER TABLE studio_engine.meta ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.settings ENABLE ROW LEVEL SECURITY;

INSERT INTO studio_engine.meta (name, value) VALUES ('schema_version', '1');
INSERT INTO studio_engine.settings (name, value, description) VALUES
  ('welcome_credits', '10', 'Credits granted at sign-up; 0 grants none'),
  ('max_active_jobs', '5', 'Jobs that one user may have between PENDING and the end; 0 means no limit'),
  ('draft_lifetime_days', '7', 'Days after its last change for which a draft can be claimed'),
  ('ledger_hash_chain', '0', '1 keeps a hash chain over the ledger, so that verify_credit_ledger() names an edited entry; 0 does not');
