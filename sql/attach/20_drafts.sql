-- Rights to drafts. Users read the drafts that they claimed, with the tokens that they
-- claimed them with, and no others.

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_draft_prompts_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.draft_prompts
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('draft_prompts');

DROP POLICY IF EXISTS drafts_select ON @extschema@.draft_prompts;
CREATE POLICY drafts_select ON @extschema@.draft_prompts
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);

GRANT SELECT ON @extschema@.draft_prompts TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON @extschema@.draft_prompts TO service_role;
