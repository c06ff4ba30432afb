-- Triggers, policies and grants of profiles.
-- Pitfall: clients send whole rows back. So the grants here and below name the
-- identifier, the owner and the times, too; keep_own_row() refuses to change them.
-- What only services write is not granted, so that a row must be sent without it.
-- Pitfall: services get all privileges here and below but TRIGGER and REFERENCES.
-- The functions write as the owner of the tables, and a trigger of a service would
-- run as that owner; so would the casts in the check of a foreign key of a service.

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_profiles_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.profiles
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('profiles');

CREATE OR REPLACE TRIGGER tr_profiles_updated
  BEFORE UPDATE ON @extschema@.profiles
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_profiles_own
  BEFORE UPDATE OF id, created_at ON @extschema@.profiles
  FOR EACH ROW EXECUTE FUNCTION studio_engine.keep_own_row('id', 'id');

DROP POLICY IF EXISTS profiles_select ON @extschema@.profiles;
CREATE POLICY profiles_select ON @extschema@.profiles
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = id);

DROP POLICY IF EXISTS profiles_update ON @extschema@.profiles;
CREATE POLICY profiles_update ON @extschema@.profiles
  FOR UPDATE TO authenticated USING ((SELECT auth.uid()) = id);

GRANT SELECT ON @extschema@.profiles TO authenticated;
GRANT UPDATE (id, display_name, avatar_url, notification_prefs, created_at, updated_at) ON @extschema@.profiles TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON @extschema@.profiles TO service_role;
