-- Profiles: data of users that auth.users does not have.

CREATE TABLE @extschema@.profiles (
  id UUID,
  display_name TEXT,
  avatar_url TEXT,
  notification_prefs JSONB DEFAULT '{"job_complete": true, "job_failed": true}',
  stripe_customer_id TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT profiles_pkey PRIMARY KEY (id),
  CONSTRAINT profiles_id_fkey FOREIGN KEY (id) REFERENCES auth.users (id) ON DELETE CASCADE
);
CREATE INDEX idx_profiles_stripe ON @extschema@.profiles (stripe_customer_id);

ALTER TABLE @extschema@.profiles ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.profiles IS
'Profiles of the users, one row each.

handle_new_user() creates them at sign-up. A user reads and updates his own.';
COMMENT ON COLUMN @extschema@.profiles.id IS 'The user, auth.users.id';
COMMENT ON COLUMN @extschema@.profiles.display_name IS 'Name shown to the user; at sign-up from raw_user_meta_data';
COMMENT ON COLUMN @extschema@.profiles.avatar_url IS 'Address of the picture; at sign-up from raw_user_meta_data';
COMMENT ON COLUMN @extschema@.profiles.notification_prefs IS 'Which events the user is told about';
COMMENT ON COLUMN @extschema@.profiles.stripe_customer_id IS 'Customer at the payment provider; written by services only';
COMMENT ON COLUMN @extschema@.profiles.created_at IS 'When the row was created';
COMMENT ON COLUMN @extschema@.profiles.updated_at IS 'When the row was last changed; maintained by a trigger';

-- Sign-ups that did not get all that a user gets, until they are repaired.
CREATE TABLE studio_engine.failed_sign_ups (
  user_id uuid NOT NULL,
  part text NOT NULL,
  failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  tries integer NOT NULL DEFAULT 1,
  sqlstate text NOT NULL,
  message text NOT NULL,
  CONSTRAINT failed_sign_ups_pkey PRIMARY KEY (user_id, part),
  CONSTRAINT failed_sign_ups_part_check CHECK (part IN ('profile', 'account')),
  CONSTRAINT failed_sign_ups_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE
);

ALTER TABLE studio_engine.failed_sign_ups ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE studio_engine.failed_sign_ups IS
'Sign-ups that failed in part.

handle_new_user() and handle_user_change() write it, since a failure never blocks the auth server. ensure_profile() and
repair_sign_ups() repair a user and delete his rows.';
COMMENT ON COLUMN studio_engine.failed_sign_ups.user_id IS 'The user, auth.users.id';
COMMENT ON COLUMN studio_engine.failed_sign_ups.part IS 'What failed: profile, or account with the welcome credits';
COMMENT ON COLUMN studio_engine.failed_sign_ups.failed_at IS 'When it failed last';
COMMENT ON COLUMN studio_engine.failed_sign_ups.tries IS 'How often it failed';
COMMENT ON COLUMN studio_engine.failed_sign_ups.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN studio_engine.failed_sign_ups.message IS 'Message of the error, cut at 1000 bytes';
