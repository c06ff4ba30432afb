-- 220_foreign_triggers.sql
--
-- Triggers that are not ours: our trigger functions on tables of others, and
-- triggers that the owner of the data put on our tables, which drop rows,
-- change them, write further ones, fail or call us again.
-- Pitfall: where something is refused, what came before it in the statement
-- must be undone as well, so books and row versions are looked at each time.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE FUNCTION t.drop_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION t.entry(p_user integer, p_amount integer, p_note text) RETURNS text
LANGUAGE sql AS $$
  SELECT t.quiet(format('INSERT INTO public.credit_ledger (user_id, type, amount, note) VALUES (t.id(%s), %L, %s, %L) RETURNING amount',
                        p_user, CASE WHEN p_amount < 0 THEN 'usage' ELSE 'grant' END, p_amount, p_note))
$$;

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);

--
-- Our functions on tables of others
--

-- somebody who may use the functions, as the owner of the data may, but is no
-- superuser
CREATE ROLE regress_attacher;
CREATE SCHEMA attached AUTHORIZATION regress_attacher;
GRANT USAGE ON SCHEMA studio_engine TO regress_attacher;
DO $$
DECLARE
  v_function regprocedure;
BEGIN
  FOR v_function IN
    SELECT p.oid FROM pg_proc p
     WHERE p.prorettype = 'trigger'::regtype AND p.pronamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO regress_attacher', v_function);
  END LOOP;
END
$$;

-- a table of this many columns, with one row
CREATE FUNCTION t.attached_table(p_columns text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  DROP TABLE attached.a;
  EXECUTE format('CREATE TABLE attached.a (%s)', p_columns);
  INSERT INTO attached.a DEFAULT VALUES;
  ALTER TABLE attached.a OWNER TO regress_attacher;
END
$$;
CREATE TABLE attached.a (other integer);

-- what one statement says while the function is a trigger on that table
CREATE FUNCTION t.attached(p_function text, p_when text, p_level text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_answer text;
BEGIN
  EXECUTE format('CREATE TRIGGER r %s ON attached.a FOR EACH %s EXECUTE FUNCTION %s', p_when, p_level, p_function);
  v_answer := t.try(CASE split_part(p_when, ' ', 2)
    WHEN 'INSERT' THEN 'INSERT INTO attached.a DEFAULT VALUES'
    WHEN 'UPDATE' THEN 'UPDATE attached.a SET other = 2'
    WHEN 'DELETE' THEN 'DELETE FROM attached.a'
    ELSE 'TRUNCATE attached.a' END);
  DROP TRIGGER r ON attached.a;
  -- sign-up warns instead of failing, so the row itself is taken back here
  DELETE FROM attached.a WHERE ctid <> (SELECT min(ctid) FROM attached.a);
  IF NOT EXISTS (SELECT FROM attached.a) THEN
    INSERT INTO attached.a DEFAULT VALUES;
  END IF;
  RETURN v_answer;
END
$$;

CREATE FUNCTION t.functions() RETURNS SETOF text
LANGUAGE sql AS $$
  SELECT unnest(ARRAY['public.handle_new_user()', 'public.update_updated_at()', 'studio_engine.chain_entry()', 'studio_engine.close_hold_of_ended_job()',
    'studio_engine.default_studio_job()', 'studio_engine.keep_own_row(''id'', ''user_id'')', 'studio_engine.check_new_own_row()',
    'studio_engine.enforce_workflow(''jobs'')', 'studio_engine.enforce_workflow(''job_steps'')',
    'studio_engine.enforce_workflow(''studio_jobs'')',
    'studio_engine.enforce_workflow(''pipeline.jobs'')', 'studio_engine.guard_run()', 'studio_engine.handle_user_change()', 'studio_engine.record_transition()',
    'studio_engine.pass_owner_on()', 'studio_engine.enter_event()', 'studio_engine.count_event()', 'studio_engine.forbid_event_change()',
    'studio_engine.enter_artifact()', 'studio_engine.forbid_artifact_change()',
    'studio_engine.enter_in_ledger()', 'studio_engine.guard_account()', 'studio_engine.guard_ledger()',
    'studio_engine.clear_queue(''jobs'')', 'studio_engine.clear_queue(''studio_jobs'')',
    'studio_engine.forbid_owner_change_of_hold()', 'studio_engine.broadcast_change()', 'studio_engine.take_owner_of_job()', 'studio_engine.lock_job_for_new_owner()', 'studio_engine.pass_job_owner_on()',
    'studio_engine.maintain_queue(''jobs'')', 'studio_engine.maintain_queue(''studio_jobs'')',
    'studio_engine.forbid_delete_of_leased_job(''jobs'')', 'studio_engine.forbid_delete_of_leased_job(''studio_jobs'')', 'studio_engine.forbid_delete_of_leased_renderings(''session'')',
    'studio_engine.limit_studio_jobs()', 'studio_engine.limit_values(''jobs'')', 'studio_engine.lock_jobs_of_project()', 'studio_engine.lock_jobs_of_user()',
    'studio_engine.invalidate_settings()', 'studio_engine.check_setting()',
    'studio_engine.price_ended_job()', 'studio_engine.return_hold_of_deleted_job()',
    'studio_engine.price_new_job(''studio_jobs'')', 'studio_engine.price_new_job(''mm_rendering_queue'')',
    'studio_engine.keep_price(''studio_jobs'')', 'studio_engine.keep_price(''mm_rendering_queue'')',
    'studio_engine.verify_inserted_entries()', 'studio_engine.yield_to_restored_row()',
    'studio_engine.inherit_company(''content'')', 'studio_engine.inherit_company(''employee'')', 'studio_engine.pass_company_on(''session'')',
    'studio_engine.count_section_words()', 'studio_engine.count_script_words()', 'studio_engine.index_content()',
    'studio_engine.protect_session_counters()', 'studio_engine.count_assets()',
    'studio_engine.fill_public_url()', 'studio_engine.track_file(''assets'')', 'studio_engine.track_file(''mm_multimedia_assets'')'])
$$;
CREATE FUNCTION t.all_attached() RETURNS TABLE (function text, answer text, at text)
LANGUAGE sql AS $$
  SELECT f, x.answer, CASE WHEN x.answer LIKE '39P01%' THEN count(*)::text ELSE string_agg(w || ' ' || l, ', ' ORDER BY w, l) END
    FROM t.functions() f,
         unnest('{BEFORE INSERT,BEFORE UPDATE,BEFORE DELETE,BEFORE TRUNCATE,AFTER INSERT,AFTER UPDATE,AFTER DELETE,AFTER TRUNCATE}'::text[]) w,
         unnest('{ROW,STATEMENT}'::text[]) l,
         LATERAL t.attached(f, w, l) x (answer)
   WHERE NOT (w LIKE '%TRUNCATE' AND l = 'ROW')
   GROUP BY f, x.answer
$$;

-- none is left out above
SELECT p.oid::regproc AS not_tried FROM pg_proc p
 WHERE p.prorettype = 'trigger'::regtype AND p.pronamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace)
   AND NOT EXISTS (SELECT FROM t.functions() f WHERE f LIKE '%' || p.proname || '(%');

-- every timing, level and event, where each column has a wrong type
SELECT t.attached_table($$other integer, id bigint DEFAULT 7, user_id bigint DEFAULT 7, project_id integer DEFAULT 7, job_id bigint DEFAULT 7,
  status text DEFAULT 'READY', state text DEFAULT 'failed', updated_at text DEFAULT 'x', type integer DEFAULT 7, amount bigint DEFAULT 7,
  balance bigint DEFAULT 0, reserved bigint DEFAULT 0, entries integer DEFAULT 0, raw_user_meta_data bigint DEFAULT 7, name integer DEFAULT 7,
  cost_credits_final text DEFAULT 'x', priority bigint DEFAULT 7, created_at timestamp DEFAULT '2001-01-01',
  system_prompt_used varchar DEFAULT 'x', processing_time_ms bigint DEFAULT 7$$);
SET ROLE regress_attacher;
SELECT * FROM t.all_attached() WHERE answer NOT LIKE '39P01%' ORDER BY function, answer;
SELECT function, at AS of_14_refused FROM t.all_attached() WHERE answer LIKE '39P01%' ORDER BY function;
RESET ROLE;

-- the columns are not there at all
SELECT t.attached_table('other integer');
SET ROLE regress_attacher;
SELECT * FROM t.all_attached() WHERE answer NOT LIKE '39P01%' ORDER BY function, answer;
RESET ROLE;

-- a domain over the right type, NULL where there must be something, labels of
-- somebody else, some columns only
CREATE DOMAIN attached.d AS uuid;
CREATE TYPE attached.e AS ENUM ('OPEN', 'SHUT');
SELECT t.attached_table('other integer, id attached.d DEFAULT t.id(1)');
SELECT t.attached('public.handle_new_user()', 'AFTER INSERT', 'ROW') AS domain;
SELECT t.attached_table($$other integer, id uuid, user_id uuid, type text, amount integer, status attached.e DEFAULT 'OPEN', state attached.e, updated_at timestamptz$$);
SET ROLE regress_attacher;
SELECT * FROM t.all_attached() WHERE answer NOT LIKE '39P01%' ORDER BY function, answer;
RESET ROLE;
SELECT t.attached_table($$other integer, status public.job_status DEFAULT 'PENDING', state public.step_status DEFAULT 'pending', progress text, progress_pct text$$);
SELECT t.attached($$studio_engine.enforce_workflow('jobs')$$, 'BEFORE INSERT', 'ROW') AS wrong_progress;
SELECT t.attached($$studio_engine.enforce_workflow('job_steps')$$, 'BEFORE UPDATE', 'ROW') AS wrong_progress;

-- the queue: all is there but the priority, a time or a status that is known
SELECT t.attached_table($$other integer, id uuid DEFAULT t.id(1), job_id uuid DEFAULT t.id(1), user_id uuid DEFAULT t.id(1), priority text, created_at timestamptz, status text$$);
SELECT t.attached($$studio_engine.maintain_queue('jobs')$$, 'AFTER INSERT', 'ROW') AS wrong_priority;
SELECT t.attached_table($$other integer, id uuid DEFAULT t.id(1), job_id uuid DEFAULT t.id(1), user_id uuid DEFAULT t.id(1), priority integer, created_at date, status text$$);
SELECT t.attached($$studio_engine.maintain_queue('studio_jobs')$$, 'AFTER DELETE', 'ROW') AS wrong_time;
SELECT t.attached_table($$other integer, id uuid DEFAULT t.id(1), job_id uuid DEFAULT t.id(1), user_id uuid DEFAULT t.id(1), priority integer, created_at timestamptz, run_at date, status text$$);
SELECT t.attached($$studio_engine.maintain_queue('studio_jobs')$$, 'AFTER DELETE', 'ROW') AS wrong_start;
SELECT t.attached_table($$other integer, id uuid DEFAULT t.id(1), job_id uuid DEFAULT t.id(1), user_id uuid DEFAULT t.id(1), priority integer, created_at timestamptz, run_at timestamptz, status attached.e DEFAULT 'OPEN'$$);
SELECT t.attached($$studio_engine.maintain_queue('jobs')$$, 'AFTER INSERT', 'ROW') AS unknown_status,
       t.attached($$studio_engine.maintain_queue('studio_jobs')$$, 'AFTER UPDATE', 'ROW') AS unknown_status;
SELECT count(*) AS queued FROM studio_engine.queue;
-- a status that is known, of a job that is not: the queue has it, a worker finds
-- no job behind it, nobody can write to it, and rebuild_queue() takes it out
SELECT t.attached_table($$other integer, job_id uuid DEFAULT t.id(1), user_id uuid DEFAULT t.id(1), priority integer, created_at timestamptz, run_at timestamptz, status text DEFAULT 'NEW'$$);
SELECT t.attached($$studio_engine.maintain_queue('studio_jobs')$$, 'AFTER INSERT', 'ROW') AS queued;
SELECT system, state, rank, turn, t.n(job_id) AS job, t.n(user_id) AS "user" FROM studio_engine.queue;
SELECT t.n(job_id) AS job, attempt, job IS NULL AS no_row, lease_token AS token FROM claim_jobs('studio_jobs', 'w') \gset lost_
SELECT :'lost_job' AS job, :lost_attempt AS attempt, :'lost_no_row' AS no_row;
SELECT t.ask(format('SELECT store_transcript(t.id(1), ''x'', %L)', :'lost_token')) AS store,
       t.ask(format('SELECT fail_studio_job(t.id(1), ''{}'', true, %L)', :'lost_token')) AS fail,
       t.ask(format('SELECT snooze_job(t.id(1), %L, ''0'')', :'lost_token')) AS snooze \gx
SELECT release_leases('w') AS released, studio_engine.rebuild_queue() AS added;
SELECT (SELECT count(*) FROM studio_engine.attempts) AS attempts, (SELECT count(*) FROM studio_engine.queue) AS queued;

-- arguments: missing, unknown, too many
SET ROLE regress_attacher;
SELECT t.attached('studio_engine.maintain_queue()', 'AFTER INSERT', 'ROW') AS missing;
SELECT t.attached($$studio_engine.maintain_queue('job_steps')$$, 'AFTER INSERT', 'ROW') AS unknown;
SELECT t.attached($$studio_engine.maintain_queue('')$$, 'AFTER DELETE', 'ROW') AS empty;
SELECT t.attached($$studio_engine.maintain_queue('jobs', 'jobs')$$, 'AFTER INSERT', 'ROW') AS too_many;
SELECT t.attached('studio_engine.clear_queue()', 'AFTER TRUNCATE', 'STATEMENT') AS missing;
SELECT t.attached($$studio_engine.clear_queue('profiles')$$, 'AFTER TRUNCATE', 'STATEMENT') AS unknown;
SELECT t.attached($$studio_engine.default_studio_job('studio_jobs')$$, 'BEFORE INSERT', 'ROW') AS too_many;
SELECT t.attached($$studio_engine.limit_studio_jobs('studio_jobs')$$, 'AFTER INSERT', 'ROW') AS too_many;
SELECT t.attached('studio_engine.enforce_workflow()', 'BEFORE INSERT', 'ROW') AS missing;
SELECT t.attached($$studio_engine.enforce_workflow('profiles')$$, 'BEFORE INSERT', 'ROW') AS unknown;
SELECT t.attached($$studio_engine.enforce_workflow('')$$, 'BEFORE UPDATE', 'ROW') AS empty;
SELECT t.attached($$studio_engine.enforce_workflow('jobs', 'jobs')$$, 'BEFORE INSERT', 'ROW') AS too_many;
SELECT t.attached($$public.update_updated_at('x')$$, 'BEFORE UPDATE', 'ROW') AS too_many;
SELECT t.attached($$studio_engine.inherit_company('profiles')$$, 'BEFORE INSERT', 'ROW') AS unknown;
SELECT t.attached($$studio_engine.forbid_delete_of_leased_job('profiles')$$, 'BEFORE DELETE', 'ROW') AS unknown,
       t.attached($$studio_engine.forbid_delete_of_leased_renderings('profiles')$$, 'BEFORE DELETE', 'ROW') AS unknown;
-- no trigger at all, and in the place of a view
SELECT f AS function, t.ask('SELECT ' || regexp_replace(f, '\(.*', '()')) AS called FROM t.functions() f GROUP BY 1, 2 ORDER BY 1;
CREATE VIEW attached.v AS SELECT 1 AS id;
CREATE TRIGGER r INSTEAD OF INSERT ON attached.v FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
SELECT t.try('INSERT INTO attached.v VALUES (1)');
RESET ROLE;

-- sign-up of a table that has what is needed, but the name in another type
SELECT t.attached_table($$other integer, id uuid DEFAULT t.id(1), raw_user_meta_data text DEFAULT '{"name": "x"}'$$);
SET ROLE regress_attacher;
SELECT t.attached('public.handle_new_user()', 'AFTER INSERT', 'ROW') AS with_a_warning;
RESET ROLE;
SELECT * FROM t.books();

DROP SCHEMA attached CASCADE;
REVOKE ALL ON SCHEMA studio_engine FROM regress_attacher;
DROP OWNED BY regress_attacher;
DROP ROLE regress_attacher;
DROP FUNCTION t.attached, t.attached_table, t.all_attached, t.functions;

--
-- Rows that are dropped
--

BEGIN;
CREATE TRIGGER zz_drop BEFORE INSERT ON draft_prompts FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$SELECT save_draft_prompt('a token of 16 or more', 'A prompt')$$);
DROP TRIGGER zz_drop ON draft_prompts;
CREATE TRIGGER zz_drop BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$SELECT create_job(t.id(11), 3)$$);
DROP TRIGGER zz_drop ON jobs;
CREATE TRIGGER zz_drop BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5)$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 5, 'pi_1')$$);
SELECT t.quiet($$SELECT create_job(t.id(11), 3)$$);
ALTER TRIGGER zz_drop ON credit_ledger RENAME TO a_drop;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5)$$) AS before_ours;
SELECT t.quiet($$SELECT create_job(t.id(11), 3)$$) AS before_ours;
DROP TRIGGER a_drop ON credit_ledger;
CREATE TRIGGER zz_drop BEFORE UPDATE ON credit_accounts FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5)$$);
SELECT t.entry(1, 5, 'account is not updated');
DROP TRIGGER zz_drop ON credit_accounts;
CALL t.job(11, 21);
CREATE TRIGGER zz_drop BEFORE INSERT ON assets FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$SELECT record_asset(t.id(21), 'video', 'https://example.com/v', 'video/v')$$);
SELECT (SELECT count(*) FROM draft_prompts) AS drafts, (SELECT count(*) FROM jobs) AS jobs,
       (SELECT count(*) FROM job_steps) AS steps, (SELECT count(*) FROM assets) AS assets;
SELECT * FROM t.books();
ROLLBACK;

-- of studio jobs and the queue: a worker never gets what is not there
BEGIN;
CREATE TRIGGER zz_drop BEFORE INSERT ON studio_jobs FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$SELECT create_studio_job(t.id(1), 'a')$$);
SELECT (SELECT count(*) FROM studio_jobs) AS jobs, (SELECT count(*) FROM studio_engine.queue) AS queued;
DROP TRIGGER zz_drop ON studio_jobs;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(61), t.id(1), 'a'), (t.id(62), t.id(1), 'a');
CREATE TRIGGER zz_drop BEFORE DELETE ON studio_engine.queue FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT count(*) AS claimed FROM claim_jobs('studio_jobs', 'w', 10);
DROP TRIGGER zz_drop ON studio_engine.queue;
SELECT lease_token AS token FROM claim_jobs('studio_jobs', 'w') \gset
CREATE TRIGGER zz_drop BEFORE UPDATE ON studio_engine.attempts FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.ask(format('SELECT heartbeat_job(t.id(61), %L)', :'token')) AS not_prolonged;
DROP TRIGGER zz_drop ON studio_engine.attempts;
CREATE TRIGGER zz_drop BEFORE UPDATE ON studio_jobs FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.ask(format('SELECT update_studio_job_status(t.id(61), ''TRANSCRIBING'', %L) ->> ''status''', :'token')) AS stays;
SELECT t.ask('SELECT cancel_studio_job(t.id(62)) ->> ''status''') AS stays;
SELECT t.n(job_id) AS job, state FROM t.open_jobs ORDER BY job_id;
ROLLBACK;

--
-- Rows that are changed
--

BEGIN;
-- the prompt and the limits hold for what comes of the row in the end
CREATE FUNCTION t.raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.priority := 5; NEW.raw_audio_url := 'changed'; RETURN NEW; END $$;
CREATE TRIGGER zz_raise BEFORE INSERT OR UPDATE ON studio_jobs FOR EACH ROW EXECUTE FUNCTION t.raise();
SELECT create_studio_job(t.id(1), 'a', 'p', 1) ->> 'raw_audio_url' AS url;
SELECT j.priority, q.rank FROM studio_jobs j JOIN studio_engine.queue q USING (job_id);
UPDATE studio_jobs SET priority = 9;
SELECT j.priority, q.rank FROM studio_jobs j JOIN studio_engine.queue q USING (job_id);
ROLLBACK;

BEGIN;
CREATE FUNCTION t.change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.amount := TG_ARGV[0]; RETURN NEW; END $$;
CREATE TRIGGER zz_mint BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.change('1000');
SELECT t.entry(1, 5, 'changed after it was booked');
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5)$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 5, 'pi_1')$$);
SELECT t.quiet($$SELECT create_job(t.id(11), 3)$$);
SELECT t.entry(1, 1000, 'changed to what it is');
SELECT * FROM t.books();
ROLLBACK;

--
-- Triggers that write further rows
--

BEGIN;
CREATE FUNCTION t.fee() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.credit_ledger (user_id, type, amount, note) VALUES (NEW.user_id, 'usage', TG_ARGV[0]::integer, 'fee');
  RETURN NULL;
END $$;
CREATE TRIGGER zz_fee AFTER INSERT ON credit_ledger FOR EACH ROW WHEN (NEW.type = 'purchase') EXECUTE FUNCTION t.fee('-500');
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'purchase', 100) RETURNING 1$$) AS by_plain_sql;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, 'pi_1')$$) AS by_function;
DROP TRIGGER zz_fee ON credit_ledger;
-- a fee that can be paid is one entry like any other
CREATE TRIGGER zz_fee AFTER INSERT ON credit_ledger FOR EACH ROW WHEN (NEW.type = 'purchase') EXECUTE FUNCTION t.fee('-3');
SELECT purchase_credits(t.id(1), 100, 'pi_1') IS NOT NULL AS bought;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'purchase', 100, 'by plain SQL');
SELECT * FROM t.ledger WHERE "user" = '1';
SELECT * FROM t.books();
ROLLBACK;

-- a second UPDATE of the account in the shadow of ours
BEGIN;
CREATE FUNCTION t.bonus() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() < 4 THEN
    UPDATE public.credit_accounts SET balance = balance + 1000 WHERE user_id = NEW.user_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER zz_bonus AFTER UPDATE ON credit_accounts FOR EACH ROW EXECUTE FUNCTION t.bonus();
SELECT t.entry(1, 5, 'with a bonus');
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5)$$);
DROP TRIGGER zz_bonus ON credit_accounts;
CREATE TRIGGER zz_bonus AFTER INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.bonus();
SELECT t.entry(1, 5, 'with a bonus');
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5)$$);
ROLLBACK;
SELECT * FROM t.accounts;
SELECT * FROM t.books();

--
-- The same statement again, further down, after a change of schemas that makes
-- the plans of the statements above it stale
--

BEGIN;
CREATE FUNCTION t.anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE SCHEMA anew_%s', NEW.amount);
  PERFORM public.grant_credits(NEW.user_id, 1, 'first for ' || NEW.amount);
  EXECUTE format('CREATE TABLE anew_%s.t (id integer)', NEW.amount);
  EXECUTE format('ALTER SCHEMA anew_%s RENAME TO again_%s', NEW.amount, NEW.amount);
  PERFORM public.grant_credits(NEW.user_id, 2, 'second for ' || NEW.amount);
  RETURN NULL;
END $$;
CREATE TRIGGER zz_anew AFTER INSERT ON credit_ledger FOR EACH ROW WHEN (NEW.type = 'purchase') EXECUTE FUNCTION t.anew();
SELECT purchase_credits(t.id(1), 101, 'pi_1') AS id \gset
SELECT amount FROM credit_ledger WHERE id = :'id';
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'purchase', 102, 'by plain SQL'), (t.id(2), 'purchase', 103, 'by plain SQL');
SELECT purchase_credits(t.id(2), 104, 'pi_2') AS id \gset
SELECT amount FROM credit_ledger WHERE id = :'id';
SELECT * FROM t.ledger;
SELECT * FROM t.books();
-- a job within a job
DROP TRIGGER zz_anew ON credit_ledger;
CREATE FUNCTION t.anew_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM public.jobs) < 3 THEN
    EXECUTE format('CREATE SCHEMA job_%s', (SELECT count(*) FROM public.jobs));
    PERFORM public.create_job(NEW.project_id, 2);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_anew AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION t.anew_job();
SELECT create_job(t.id(11), 4) AS id \gset
SELECT cost_credits_reserved AS the_outer_one FROM jobs WHERE id = :'id';
SELECT status, cost_credits_reserved, (SELECT count(*) FROM job_steps s WHERE s.job_id = j.id) AS steps FROM jobs j ORDER BY 2, 1;
SELECT * FROM t.books();
ROLLBACK;
-- and once more with the plans of a session in which all that never happened
SELECT t.entry(1, 1, 'afterwards') AS plain, grant_credits(t.id(1), 1, 'afterwards') IS NOT NULL AS by_function;
SELECT * FROM t.books();

--
-- ON CONFLICT DO NOTHING: whichever row is lost, nothing of the statement stays
--

INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(500), t.id(1), 'grant', 1);
CREATE FUNCTION t.conflict(VARIADIC p_ids integer[]) RETURNS text
LANGUAGE sql AS $$
  SELECT t.quiet('INSERT INTO public.credit_ledger (id, user_id, type, amount) VALUES '
    || string_agg(format('(t.id(%s), t.id(1), ''grant'', 5)', i), ', ' ORDER BY o)
    || ' ON CONFLICT DO NOTHING RETURNING amount') FROM unnest(p_ids) WITH ORDINALITY u (i, o)
$$;
SELECT t.conflict(500, 501, 502) AS first, t.conflict(501, 500, 502) AS middle, t.conflict(501, 502, 500) AS last,
       t.conflict(500) AS all_one, t.conflict(500, 500, 500) AS all_three, t.conflict(501, 501) AS of_the_statement \gx
BEGIN;
SELECT t.conflict(501, 502, 503) AS none;
SELECT * FROM t.books();
ROLLBACK;
SELECT * FROM t.accounts WHERE "user" = '1';
SELECT * FROM t.books();

--
-- A statement that failed is forgotten: the next one of the transaction meets
-- no false alarm
--

BEGIN;
SAVEPOINT a;
INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(501), t.id(1), 'grant', 7), (t.id(500), t.id(1), 'grant', 8);
ROLLBACK TO a;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'grant', 2, 'after the savepoint');
SAVEPOINT b;
INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(501), t.id(1), 'grant', 7), (t.id(502), t.id(1), 'usage', -1000000);
ROLLBACK TO b;
SELECT grant_credits(t.id(1), 3, 'after the savepoint') IS NOT NULL AS granted;
SAVEPOINT c;
INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(501), t.id(1), 'grant', 7), (t.id(500), t.id(1), 'grant', 8) ON CONFLICT DO NOTHING;
ROLLBACK TO c;
SAVEPOINT d;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'grant', 4, 'in a released savepoint');
RELEASE d;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'usage', -4, 'at the end'), (t.id(2), 'grant', 4, 'at the end');
COMMIT;
DO $$
BEGIN
  FOR i IN 1..3 LOOP
    BEGIN
      INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(600 + i), t.id(2), 'grant', 70), (t.id(500), t.id(1), 'grant', 80);
    EXCEPTION WHEN unique_violation THEN
      INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(2), 'grant', i, 'handler ' || i);
    END;
    BEGIN
      BEGIN
        INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(2), 'grant', 90), (t.id(2), 'usage', -1000000);
      EXCEPTION WHEN division_by_zero THEN NULL;
      END;
    EXCEPTION WHEN SQLSTATE 'PT402' THEN
      INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(2), 'grant', 10 * i, 'outer handler ' || i);
    END;
  END LOOP;
END
$$;
SELECT * FROM t.ledger WHERE note ~ 'savepoint|end|handler';
SELECT * FROM t.books();

--
-- An UPDATE that becomes the end of a job
--

BEGIN;
CREATE FUNCTION t.give_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status_message = 'hopeless' THEN
    NEW.status := 'FAILED';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_give_up BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION t.give_up();
CALL t.job(11, 21);
CALL t.job(11, 22);
SELECT reserve_credits(t.id(1), t.id(21), 3), reserve_credits(t.id(1), t.id(22), 4);
UPDATE jobs SET status_message = 'hopeless' WHERE id = t.id(21);
ALTER TRIGGER a_give_up ON jobs RENAME TO zz_give_up;
UPDATE jobs SET status_message = 'hopeless' WHERE id = t.id(22);
SELECT t.n(id) AS job, status, cost_credits_reserved, cost_credits_final FROM jobs ORDER BY id;
SELECT * FROM t.ledger WHERE job IN ('21', '22');
SELECT * FROM t.books();
ROLLBACK;

--
-- Prices that somebody writes into jobs: a retry pays what the last hold took
--

CALL t.job(11, 21);
SELECT grant_credits(t.id(1), 50, 'for retries') IS NOT NULL AS granted;
SELECT reserve_credits(t.id(1), t.id(21), 3);
CREATE FUNCTION t.retried(p_price integer) RETURNS TABLE (price integer, status text, reserved integer, held integer, balance_moved integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_before integer := get_credit_balance(t.id(1));
BEGIN
  UPDATE jobs j SET cost_credits_reserved = p_price WHERE j.id = t.id(21);
  PERFORM fail_job(t.id(21));
  PERFORM retry_job(t.id(21));
  RETURN QUERY SELECT p_price, j.status::text, j.cost_credits_reserved, a.reserved, a.balance - v_before
    FROM jobs j, credit_accounts a WHERE j.id = t.id(21) AND a.user_id = t.id(1);
END
$$;
SELECT r.* FROM unnest(ARRAY[-4, 0, NULL, -2147483648]) WITH ORDINALITY p (price, o), LATERAL t.retried(p.price) r ORDER BY o;
-- written after the failure as well
SELECT fail_job(t.id(21)) ->> 'cost_credits_final' AS final;
UPDATE jobs SET cost_credits_reserved = -4 WHERE id = t.id(21);
SELECT retry_job(t.id(21)) ->> 'cost_credits_reserved' AS reserved;
SELECT * FROM t.accounts WHERE "user" = '1';
SELECT * FROM t.books();

--
-- A reservation that is repeated late, when the hold was settled already
--

CALL t.job(11, 22);
SELECT reserve_credits(t.id(1), t.id(22), 5), settle_credits(t.id(22), 4);
SELECT t.quiet($$SELECT reserve_credits(t.id(1), t.id(22), 5)$$) AS same_amount;
SELECT t.quiet($$SELECT reserve_credits(t.id(1), t.id(22), 4)$$) AS the_price;
SELECT t.quiet($$SELECT reserve_credits(t.id(1), t.id(22), 6)$$) AS another_amount;
-- released is not charged: the next attempt may be paid for
CALL t.job(11, 23);
SELECT reserve_credits(t.id(1), t.id(23), 5), release_credits(t.id(23));
SELECT reserve_credits(t.id(1), t.id(23), 6) AS after_a_release;
SELECT settle_credits(t.id(23), 0) AS for_nothing;
SELECT reserve_credits(t.id(1), t.id(23), 2) AS after_nothing_was_charged;
SELECT * FROM t.ledger WHERE job IN ('22', '23');
SELECT * FROM t.books();

--
-- A deferred trigger would run when we have left, as whoever called us
--

CREATE TABLE t.seen (who text);
GRANT ALL ON t.seen TO PUBLIC;
CREATE FUNCTION t.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t.seen VALUES (current_user); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER zz_see AFTER INSERT OR UPDATE ON profiles DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t.see();
BEGIN;
INSERT INTO auth.users (id) VALUES (t.id(3));
COMMIT;
SELECT (SELECT count(*) FROM auth.users WHERE id = t.id(3)) AS users, (SELECT count(*) FROM profiles WHERE id = t.id(3)) AS profiles,
       (SELECT count(*) FROM credit_accounts WHERE user_id = t.id(3)) AS accounts;
CALL t.as_user(t.id(3));
BEGIN;
SELECT t.try($$SELECT ensure_profile(t.id(3))$$) AS by_the_user;
COMMIT;
CALL t.as_admin();
SELECT * FROM t.seen;
-- told to run at once it does, as the owner of the data
CALL t.as_user(t.id(3));
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT ensure_profile(t.id(3)) IS NOT NULL AS by_the_user;
COMMIT;
CALL t.as_admin();
SELECT who = (SELECT n.nspowner::regrole::text FROM pg_namespace n WHERE n.nspname = 'studio_engine') AS as_the_owner FROM t.seen;
DROP TRIGGER zz_see ON profiles;
DROP FUNCTION t.see;
DROP TABLE t.seen;
SELECT * FROM t.books();

--
-- One retry within another: each opens its own job only
--

CALL t.job(12, 31);
CALL t.job(12, 32);
CALL t.job(12, 33);
SELECT grant_credits(t.id(2), 50, 'for retries') IS NOT NULL AS granted;
SELECT reserve_credits(t.id(2), t.id(j), 3), create_job_steps(t.id(j), '["one", "two"]') FROM generate_series(31, 33) j;
SELECT update_job_step(t.id(j), 'one', 'started') ->> 'state' FROM generate_series(31, 33) j;
SELECT fail_job(t.id(j)) ->> 'status' AS status FROM generate_series(31, 33) j;
CREATE FUNCTION t.with_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id = t.id(31) THEN
    BEGIN
      UPDATE public.jobs SET status = 'QUEUED' WHERE id = t.id(33);
      RAISE WARNING 'the retry of one job opened another';
    EXCEPTION WHEN check_violation THEN NULL;
    END;
    PERFORM public.retry_job(t.id(32));
    BEGIN
      UPDATE public.jobs SET status = 'QUEUED' WHERE id = t.id(33);
      RAISE WARNING 'the retry of one job opened another';
    EXCEPTION WHEN check_violation THEN NULL;
    END;
    BEGIN
      PERFORM public.retry_job(t.id(999));
    EXCEPTION WHEN SQLSTATE 'PT404' THEN NULL;
    END;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER zz_with_it AFTER UPDATE ON jobs FOR EACH ROW WHEN (OLD.status = 'FAILED' AND NEW.status = 'QUEUED') EXECUTE FUNCTION t.with_it();
SELECT retry_job(t.id(31)) ->> 'status' AS status;
SELECT t.n(j.id) AS job, j.status, j.cost_credits_reserved, string_agg(s.step_name || ' ' || s.state, ', ' ORDER BY s.step_order) AS steps
  FROM jobs j JOIN job_steps s ON s.job_id = j.id WHERE j.project_id = t.id(12) GROUP BY j.id ORDER BY j.id;
SELECT * FROM t.ledger WHERE job IN ('31', '32', '33');
-- nothing stays open, also when the inner retry fails
SELECT t.try($$UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(33)$$);
SELECT fail_job(t.id(j)) ->> 'status' AS status FROM generate_series(31, 32) j;
CREATE OR REPLACE FUNCTION t.with_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id = t.id(31) THEN
    PERFORM public.retry_job(t.id(32));
    PERFORM 1 / 0;
  END IF;
  RETURN NULL;
END $$;
SELECT t.quiet($$SELECT retry_job(t.id(31))$$);
SELECT t.try($$UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(31)$$), t.try($$UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(32)$$);
DROP TRIGGER zz_with_it ON jobs;
SELECT * FROM t.books();

--
-- Columns that come and go: entries of before and after still lose their job
--

CALL t.project(2, 13);
CALL t.job(13, 41);
CALL t.job(13, 42);
CALL t.job(13, 43);
SELECT reserve_credits(t.id(2), t.id(41), 1), reserve_credits(t.id(2), t.id(42), 2);
ALTER TABLE credit_ledger ADD COLUMN mine text DEFAULT 'd', ADD COLUMN gone integer DEFAULT 7, ADD COLUMN empty text;
SELECT reserve_credits(t.id(2), t.id(43), 3), settle_credits(t.id(43), 2);
SELECT t.try($$DELETE FROM jobs WHERE id = t.id(41)$$) AS after_add;
ALTER TABLE credit_ledger DROP COLUMN gone;
INSERT INTO credit_ledger (user_id, type, amount, job_id, mine) VALUES (t.id(2), 'usage', -1, t.id(43), 'x');
SELECT t.try($$DELETE FROM jobs WHERE id = t.id(43)$$) AS after_drop;
SELECT t.try($$DELETE FROM projects WHERE id = t.id(13)$$) AS project;
SELECT t.quiet($$UPDATE credit_ledger SET mine = 'y' WHERE user_id = t.id(2) RETURNING 1$$) AS mine_is_append_only;
ALTER TABLE credit_ledger DROP COLUMN mine, DROP COLUMN empty;
SELECT t.try($$DELETE FROM jobs WHERE id = t.id(31)$$) AS job, t.try($$DELETE FROM projects WHERE id = t.id(12)$$) AS project;
SELECT * FROM t.moved WHERE "user" = '2' AND note IN ('Job deleted', 'Reserved for job');
SELECT * FROM t.books();
SELECT t.try($$DELETE FROM auth.users WHERE id = t.id(2)$$) AS deleted;
SELECT count(*) AS left_behind FROM credit_ledger WHERE user_id = t.id(2);

DROP FUNCTION t.drop_row, t.entry, t.conflict, t.retried, t.with_it;
SELECT * FROM t.books();
SELECT * FROM t.clean();
