-- Plans that are drafts, :rows of them, for ours and for a twin of the triggers
-- of the transition and of updated_at.  Then all indexes but the primary keys go.
-- Pitfall: the trigger that fills in the company is neither; it is disabled.

ALTER TABLE public.cm_course_plans DISABLE TRIGGER USER;
ALTER TABLE public.cm_course_plans ENABLE TRIGGER tr_cm_course_plans_workflow;
ALTER TABLE public.cm_course_plans ENABLE TRIGGER tr_cm_course_plans_updated;

SET session_replication_role = replica;
INSERT INTO public.cm_course_plans (employee_name, course_title, total_modules)
SELECT 'Alice ' || n, 'Why ships sink, part ' || n, n % 10 FROM generate_series(1, :rows) n;
CREATE TABLE twin.cm_course_plans (LIKE public.cm_course_plans INCLUDING ALL);
INSERT INTO twin.cm_course_plans SELECT * FROM public.cm_course_plans;
RESET session_replication_role;

CREATE FUNCTION twin.enforce_plan_workflow() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	IF NOT (CASE OLD.status
		WHEN 'draft' THEN NEW.status IN ('active', 'failed')
		WHEN 'active' THEN NEW.status IN ('completed', 'failed', 'draft')
		WHEN 'failed' THEN NEW.status = 'draft'
		ELSE false END)
	THEN
		RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'illegal status transition',
			DETAIL = format('From %s to %s.', OLD.status, NEW.status);
	END IF;
	RETURN NEW;
END
$$;
CREATE FUNCTION twin.update_updated_at() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
	NEW.updated_at := now();
	RETURN NEW;
END
$$;
CREATE TRIGGER tr_workflow BEFORE UPDATE ON twin.cm_course_plans
	FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION twin.enforce_plan_workflow();
CREATE TRIGGER tr_updated BEFORE UPDATE ON twin.cm_course_plans
	FOR EACH ROW EXECUTE FUNCTION twin.update_updated_at();

SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
 WHERE indrelid IN ('public.studio_jobs'::regclass, 'twin.studio_jobs'::regclass,
                    'public.cm_course_plans'::regclass, 'twin.cm_course_plans'::regclass)
   AND NOT indisprimary \gexec

-- One UPDATE of the status of all rows: milliseconds of the processor.  Undone.
CREATE PROCEDURE bench.update_status(p_table regclass, p_status text, p_triggers boolean, INOUT ms double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_from double precision;
BEGIN
  PERFORM set_config('session_replication_role', CASE WHEN p_triggers THEN 'origin' ELSE 'replica' END, true);
  v_from := bench.cpu();
  EXECUTE format('UPDATE %s SET status = %L', p_table, p_status);
  ms := (bench.cpu() - v_from) / 1000;
  ROLLBACK;
END
$$;
VACUUM (ANALYZE);
