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

set_setting() changes them, and get_settings() lists them with their defaults; a setting without a row has its
default. The owner of the data may also write the table. A change takes effect with the next statement, in all
sessions.';
COMMENT ON COLUMN studio_engine.settings.name IS 'Name of the setting';
COMMENT ON COLUMN studio_engine.settings.value IS 'Value, as text; numbers are whole numbers';
COMMENT ON COLUMN studio_engine.settings.description IS 'What the setting does';

ALTER TABLE studio_engine.meta ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.settings ENABLE ROW LEVEL SECURITY;
