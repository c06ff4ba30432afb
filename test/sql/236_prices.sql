-- 236_prices.sql
--
-- Studio jobs and renderings with a price: it is held while they are open, charged
-- when they succeed and given back otherwise, by every road.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.entries AS
SELECT t.n(l.user_id) AS "user", l.entry_no AS no, l.type, l.amount, l.balance_after AS balance, l.note, t.masked(l.reference) AS reference,
       h.entry_no AS closes, l.expires_at, l.metadata
  FROM credit_ledger l LEFT JOIN credit_ledger h ON h.id = l.reverses ORDER BY l.user_id, l.entry_no;
CREATE VIEW t.priced AS
SELECT 'studio job ' || t.n(job_id) AS job, status, cost_credits_reserved AS price FROM studio_jobs
UNION ALL SELECT 'rendering ' || t.n(render_id), status, cost_credits_reserved FROM mm_rendering_queue ORDER BY job;
GRANT SELECT ON t.priced, t.entries TO service_role;
CREATE PROCEDURE t.paid_job(p_id integer, p_user integer DEFAULT 1, p_status text DEFAULT 'NEW')
LANGUAGE sql AS $$ INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, status) VALUES (t.id(p_id), t.id(p_user), 'a', p_status) $$;
CREATE PROCEDURE t.paid_rendering(p_id integer, p_user integer DEFAULT 1, p_status text DEFAULT 'queued')
LANGUAGE sql AS $$ INSERT INTO public.mm_rendering_queue (render_id, user_id, session_id, status) VALUES (t.id(p_id), t.id(p_user), t.id(51), p_status) $$;
CREATE FUNCTION t.held(p_user integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN (SELECT reserved FROM public.credit_accounts WHERE user_id = t.id(p_user)); END $$;

CALL t.sign_up(1, 2);
INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(50), 'M');
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(51), t.id(50));

-- no price, nothing held; a price concerns jobs that are made from then on
CALL t.paid_job(21);
CALL t.paid_rendering(31);
UPDATE studio_engine.settings SET value = CASE name WHEN 'price_studio_job' THEN '3' ELSE '2' END WHERE name LIKE 'price_%';
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(21);
SELECT fail_studio_job(t.id(21), '{}') ->> 'status' AS status, retry_studio_job(t.id(21)) ->> 'cost_credits_reserved' AS price;
SELECT t.held(1);
DELETE FROM studio_jobs;
DELETE FROM mm_rendering_queue;
SELECT * FROM t.entries;

-- by function: held, then charged by each stage to the end
SELECT create_studio_job(t.id(1), 'https://example.com/a') ->> 'job_id' AS job \gset
SELECT t.held(1);
SELECT update_studio_job_status(:'job', 'TRANSCRIBING') ->> 'status', t.held(1);
SELECT store_transcript(:'job', 'x') ->> 'status', store_enrichment(:'job', '{}') ->> 'status', t.held(1);
SELECT store_refined_text(:'job', 'y') ->> 'status', t.held(1);
SELECT * FROM t.entries WHERE "user" = '1';
-- by plain SQL of a user, who cannot set the price; too little creates nothing
CALL t.as_user(t.id(1));
SELECT t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url, cost_credits_reserved) VALUES (t.id(1), 'a', 0)$$);
INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(1), 'a'), (t.id(1), 'a') RETURNING status, cost_credits_reserved AS price;
SELECT t.try($$UPDATE studio_jobs SET cost_credits_reserved = 0$$);
SELECT t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(1), 'a')$$) AS too_little;
SELECT t.try($$SELECT create_studio_job(t.id(1), 'a')$$) AS too_little;
UPDATE studio_jobs SET status = 'FAILED' WHERE status = 'NEW';
CALL t.as_admin();
SELECT count(*) AS jobs, t.held(1) FROM studio_jobs;
SELECT * FROM t.books();
-- retry, cancel, delete, by function and by hand
SELECT job_id AS failed FROM studio_jobs WHERE status = 'FAILED' LIMIT 1 \gset
SELECT retry_studio_job(:'failed') ->> 'status' AS status, t.held(1);
SELECT t.held(1), cancel_studio_job(:'failed') ->> 'status' AS status;
SELECT retry_studio_job(:'failed') ->> 'status' AS status;
DELETE FROM studio_jobs WHERE job_id = :'failed';
SELECT t.held(1);
SELECT job_id AS failed FROM studio_jobs WHERE status = 'FAILED' LIMIT 1 \gset
UPDATE studio_engine.settings SET value = '8' WHERE name = 'price_studio_job';
SELECT retry_studio_job(:'failed') ->> 'cost_credits_reserved' AS the_price_it_was_made_with, t.held(1);
-- what holds a price keeps its id and its user, and is not for capture or release
SELECT t.try(format('UPDATE studio_jobs SET job_id = t.id(9) WHERE job_id = %L', :'failed')), t.try(format('UPDATE studio_jobs SET user_id = t.id(2) WHERE job_id = %L', :'failed'));
SELECT t.quiet(format('SELECT capture_hold(%L)', id)), t.quiet(format('SELECT release_hold(%L)', id)) FROM credit_ledger WHERE amount = -3 AND type = 'reserve' ORDER BY entry_no DESC LIMIT 1;
SELECT charge_credits(t.id(1), 4) AS balance;
SELECT t.quiet(format('SELECT fail_studio_job(%L, ''{}'') ->> ''status''', :'failed'));
SELECT charge_credits(t.id(1), get_credit_balance(t.id(1)) - 2) AS balance;
SELECT t.quiet(format('SELECT retry_studio_job(%L)', :'failed')) AS too_little;
SELECT status FROM studio_jobs WHERE job_id = :'failed';
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- renderings: of a user; by worker and by hand
CALL t.sign_up(1, 2);
INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(50), 'M');
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(51), t.id(50));
CALL t.as_role('service_role');
CALL t.paid_rendering(31);
CALL t.paid_rendering(32);
CALL t.paid_rendering(33);
CALL t.paid_rendering(34, 2);
CALL t.paid_rendering(35, 1, 'completed');
INSERT INTO mm_rendering_queue (render_id, session_id, cost_credits_reserved) VALUES (t.id(36), t.id(51), 5);
SELECT * FROM t.priced;
SELECT enqueue_rendering(t.id(51), p_user_id => t.id(1)) AS another \gset
SELECT t.held(1), t.held(2);
SELECT t.try('CALL t.paid_rendering(37)') AS room_for_one_more, t.try('CALL t.paid_rendering(38)') AS too_little;
SELECT update_rendering(t.id(31), 'rendering') ->> 'status', complete_rendering(t.id(31)) ->> 'status', t.held(1);
SELECT complete_rendering(t.id(31)) ->> 'status' AS again, t.held(1);
SELECT fail_rendering(t.id(32), 'BROKEN') ->> 'status', cancel_rendering(t.id(33)) ->> 'status', t.held(1);
SELECT retry_rendering(t.id(32)) ->> 'status', t.held(1);
UPDATE mm_rendering_queue SET status = 'rendering' WHERE render_id = t.id(34);
UPDATE mm_rendering_queue SET status = 'completed' WHERE render_id = t.id(34);
CALL t.as_admin();
SELECT * FROM t.entries WHERE "user" = '2';
-- cascades: of the content, and of a user, whose renderings stay
SELECT t.held(1);
DELETE FROM auth.users WHERE id = t.id(2);
SELECT * FROM t.priced WHERE job = 'rendering 34';
DELETE FROM cm_module_content WHERE content_id = t.id(50);
SELECT t.held(1);
SELECT * FROM t.books();
INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(50), 'M');
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(51), t.id(50));
CALL t.paid_rendering(31);
UPDATE mm_rendering_queue SET user_id = NULL;
SELECT t.held(1) AS without_a_user;
CALL t.paid_rendering(32);
UPDATE studio_engine.settings SET value = '1' WHERE name = 'price_studio_job';
CALL t.paid_job(21);
DELETE FROM auth.users WHERE id = t.id(1);
SELECT * FROM t.priced;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- jobs that ended with the triggers off, and that are gone: the audit names their holds, the sweep gives them back
CALL t.sign_up(1);
CALL t.paid_job(21);
CALL t.paid_job(22);
CALL t.paid_job(23);
SET session_replication_role = replica;
UPDATE studio_jobs SET status = 'COMPLETE' WHERE job_id = t.id(21);
DELETE FROM studio_jobs WHERE job_id = t.id(22);
DELETE FROM studio_engine.queue WHERE job_id = t.id(22);
SET session_replication_role = origin;
SELECT problem, expected, actual, l.entry_no FROM verify_credit_ledger() v JOIN credit_ledger l ON l.id = v.entry_id ORDER BY l.entry_no;
SELECT sweep_stale_holds(1), sweep_stale_holds(), t.quiet('SELECT sweep_stale_holds()');
SELECT t.held(1);
SELECT * FROM t.entries OFFSET 1;
SELECT * FROM t.books();
-- both paths do the same
SET studio_engine.direct_rows = off;
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(23);
SELECT store_transcript(t.id(23), 'x') ->> 'status', store_enrichment(t.id(23), '{}') ->> 'status', store_refined_text(t.id(23), 'y') ->> 'status', t.held(1);
RESET studio_engine.direct_rows;
SELECT * FROM t.entries OFFSET 6;

UPDATE studio_engine.settings SET value = '0' WHERE name LIKE 'price_%';
DROP VIEW t.entries, t.priced;
DROP FUNCTION t.held;
DROP PROCEDURE t.paid_job, t.paid_rendering;
SELECT * FROM t.clean();
