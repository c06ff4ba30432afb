-- Triggers, policies and grants of companies, content and what belongs to it.
-- Pitfall: a policy that reads table employees is itself subject to the policy of
-- employees, which must not read employees again: a user sees his own rows there.
-- Companies are compared with an array, which is computed once for a query and can
-- be used with the index; IN (SELECT ...) could not.

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_cm_module_content_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.cm_module_content
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('cm_module_content');

CREATE OR REPLACE TRIGGER "00_cm_course_plans_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.cm_course_plans
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('cm_course_plans');

CREATE OR REPLACE TRIGGER "00_cm_research_results_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.cm_research_results
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('cm_research_results');

CREATE OR REPLACE TRIGGER "00_cm_quality_assessments_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.cm_quality_assessments
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('cm_quality_assessments');

CREATE OR REPLACE TRIGGER "00_cm_enhancement_sessions_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.cm_enhancement_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('cm_enhancement_sessions');

IF (SELECT m.value FROM studio_engine.meta m WHERE m.name = 'companies') = 'own' THEN
  CREATE OR REPLACE TRIGGER "00_companies_limits"
    BEFORE INSERT OR UPDATE ON @extschema@.companies
    FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('companies');
  CREATE OR REPLACE TRIGGER "00_employees_limits"
    BEFORE INSERT OR UPDATE ON @extschema@.employees
    FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('employees');
END IF;

IF (SELECT m.value FROM studio_engine.meta m WHERE m.name = 'companies') = 'own' THEN
  DROP POLICY IF EXISTS companies_select ON @extschema@.companies;
  CREATE POLICY companies_select ON @extschema@.companies
    FOR SELECT TO authenticated USING (id = ANY (ARRAY(
      SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

  DROP POLICY IF EXISTS employees_select ON @extschema@.employees;
  CREATE POLICY employees_select ON @extschema@.employees
    FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));

  GRANT SELECT ON @extschema@.companies, @extschema@.employees TO authenticated;
  GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON @extschema@.companies, @extschema@.employees TO service_role;
END IF;

CREATE OR REPLACE TRIGGER tr_cm_module_content_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.cm_module_content
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('cm_module_content');

CREATE OR REPLACE TRIGGER tr_cm_module_content_updated
  BEFORE UPDATE ON @extschema@.cm_module_content
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_cm_course_plans_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.cm_course_plans
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('cm_course_plans');

CREATE OR REPLACE TRIGGER tr_cm_course_plans_updated
  BEFORE UPDATE ON @extschema@.cm_course_plans
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_cm_research_results_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.cm_research_results
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('cm_research_results');

CREATE OR REPLACE TRIGGER tr_cm_research_results_updated
  BEFORE UPDATE ON @extschema@.cm_research_results
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_cm_enhancement_sessions_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.cm_enhancement_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('cm_enhancement_sessions');

CREATE OR REPLACE TRIGGER tr_cm_enhancement_sessions_updated
  BEFORE UPDATE ON @extschema@.cm_enhancement_sessions
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_cm_module_content_words
  BEFORE INSERT OR UPDATE ON @extschema@.cm_module_content
  FOR EACH ROW EXECUTE FUNCTION studio_engine.count_section_words();

CREATE OR REPLACE TRIGGER tr_cm_module_content_search
  AFTER INSERT OR UPDATE ON @extschema@.cm_module_content
  FOR EACH ROW EXECUTE FUNCTION studio_engine.index_content();

CREATE OR REPLACE TRIGGER tr_cm_module_content_pass_on
  AFTER UPDATE ON @extschema@.cm_module_content
  FOR EACH ROW WHEN (OLD.company_id IS DISTINCT FROM NEW.company_id)
  EXECUTE FUNCTION studio_engine.pass_company_on('content');

CREATE OR REPLACE TRIGGER tr_cm_course_plans_company
  BEFORE INSERT OR UPDATE ON @extschema@.cm_course_plans
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('employee');

CREATE OR REPLACE TRIGGER tr_cm_course_plans_pass_on
  AFTER UPDATE ON @extschema@.cm_course_plans
  FOR EACH ROW WHEN (OLD.company_id IS DISTINCT FROM NEW.company_id)
  EXECUTE FUNCTION studio_engine.pass_company_on('plan');

CREATE OR REPLACE TRIGGER tr_cm_research_results_company
  BEFORE INSERT OR UPDATE ON @extschema@.cm_research_results
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('plan');

CREATE OR REPLACE TRIGGER tr_cm_quality_assessments_company
  BEFORE INSERT OR UPDATE ON @extschema@.cm_quality_assessments
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('content');

CREATE OR REPLACE TRIGGER tr_cm_enhancement_sessions_company
  BEFORE INSERT OR UPDATE ON @extschema@.cm_enhancement_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('content');

DROP POLICY IF EXISTS cm_module_content_select ON @extschema@.cm_module_content;
CREATE POLICY cm_module_content_select ON @extschema@.cm_module_content
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS cm_course_plans_select ON @extschema@.cm_course_plans;
CREATE POLICY cm_course_plans_select ON @extschema@.cm_course_plans
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS cm_research_results_select ON @extschema@.cm_research_results;
CREATE POLICY cm_research_results_select ON @extschema@.cm_research_results
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS cm_quality_assessments_select ON @extschema@.cm_quality_assessments;
CREATE POLICY cm_quality_assessments_select ON @extschema@.cm_quality_assessments
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS cm_enhancement_sessions_select ON @extschema@.cm_enhancement_sessions;
CREATE POLICY cm_enhancement_sessions_select ON @extschema@.cm_enhancement_sessions
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

GRANT SELECT ON @extschema@.cm_module_content,
  @extschema@.cm_course_plans,
  @extschema@.cm_research_results,
  @extschema@.cm_quality_assessments,
  @extschema@.cm_enhancement_sessions TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON @extschema@.cm_module_content,
  @extschema@.cm_course_plans,
  @extschema@.cm_research_results,
  @extschema@.cm_quality_assessments,
  @extschema@.cm_enhancement_sessions TO service_role;
