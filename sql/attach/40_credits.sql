-- The triggers that book and guard the ledger, and who may read it.
-- Pitfall: grants alone do not forbid writing, since the owner of the tables
-- needs none. The guards refuse every role.

-- Limits on the size of values, whatever writes them; the first trigger of each
-- table.
CREATE OR REPLACE TRIGGER "00_credit_ledger_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.credit_ledger
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('credit_ledger');

CREATE OR REPLACE TRIGGER tr_credit_ledger_enter
  BEFORE INSERT ON @extschema@.credit_ledger
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enter_in_ledger();

CREATE OR REPLACE TRIGGER tr_credit_ledger_verify
  AFTER INSERT ON @extschema@.credit_ledger
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.verify_inserted_entries();

CREATE OR REPLACE TRIGGER tr_credit_ledger_chain
  AFTER INSERT ON @extschema@.credit_ledger
  FOR EACH ROW EXECUTE FUNCTION studio_engine.chain_entry();

CREATE OR REPLACE TRIGGER tr_credit_ledger_guard
  BEFORE UPDATE OR DELETE ON @extschema@.credit_ledger
  FOR EACH ROW EXECUTE FUNCTION studio_engine.guard_ledger();

CREATE OR REPLACE TRIGGER tr_credit_ledger_truncate
  BEFORE TRUNCATE ON @extschema@.credit_ledger
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.guard_ledger();

CREATE OR REPLACE TRIGGER tr_credit_accounts_guard
  BEFORE INSERT OR UPDATE OR DELETE ON @extschema@.credit_accounts
  FOR EACH ROW EXECUTE FUNCTION studio_engine.guard_account();

CREATE OR REPLACE TRIGGER tr_credit_accounts_truncate
  BEFORE TRUNCATE ON @extschema@.credit_accounts
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.guard_account();

DROP POLICY IF EXISTS credit_select ON @extschema@.credit_ledger;
CREATE POLICY credit_select ON @extschema@.credit_ledger
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);

DROP POLICY IF EXISTS credit_accounts_select ON @extschema@.credit_accounts;
CREATE POLICY credit_accounts_select ON @extschema@.credit_accounts
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);

GRANT SELECT ON @extschema@.credit_ledger, @extschema@.credit_accounts TO authenticated;
GRANT SELECT, INSERT ON @extschema@.credit_ledger TO service_role;
GRANT SELECT ON @extschema@.credit_accounts TO service_role;
