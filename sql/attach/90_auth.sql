-- Hooks on the table of the auth server: the only objects of ours outside our
-- schemas. A restore runs this file too, where auth.users is there already,
-- since a dump without schema auth leaves them out.

CREATE OR REPLACE TRIGGER on_auth_user_created
  AFTER INSERT ON auth.users
  FOR EACH ROW EXECUTE FUNCTION @extschema@.handle_new_user();

CREATE OR REPLACE TRIGGER on_auth_user_updated
  AFTER UPDATE ON auth.users
  FOR EACH ROW EXECUTE FUNCTION studio_engine.handle_user_change();

CREATE OR REPLACE TRIGGER on_auth_user_deleted
  BEFORE DELETE ON auth.users
  FOR EACH ROW EXECUTE FUNCTION studio_engine.lock_jobs_of_user();
