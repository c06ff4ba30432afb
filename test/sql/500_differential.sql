-- 500_differential.sql
--
-- 2,000 random operations, done by the seed's own SQL bodies and by ours: after
-- each of them both gave the same answer and every user has the same balance.
-- Pitfall: the seed is an oracle only where it is right: positive amounts, one
-- reservation per job, no races; twin/seed_video.sql lists the rest.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\getenv tests PG_ABS_SRCDIR
\set seed :tests /twin/seed_video.sql
\set ECHO none
\i :seed
\set ECHO all

CREATE TABLE t.operations (nr integer, operation text, answer_of_seed text, answer_of_ours text, other_balances bigint);
CREATE TABLE t.holds (job_id uuid, user_id uuid, held integer);
CREATE TABLE t.tokens (nr serial, token text);

CREATE FUNCTION t.below(p_limit bigint) RETURNS integer
LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * p_limit)::integer $$;
CREATE FUNCTION t.random_user() RETURNS uuid
LANGUAGE sql VOLATILE AS $$
  SELECT id FROM seed.users ORDER BY id LIMIT 1 OFFSET (SELECT t.below(count(*)) FROM seed.users)
$$;

CREATE PROCEDURE t.sign_up_in_both()
LANGUAGE plpgsql AS $$
DECLARE
  v_id uuid := t.id(1000 + (SELECT count(*) FROM seed.users)::integer);
BEGIN
  INSERT INTO seed.users (id, raw_user_meta_data) VALUES (v_id, '{"name": "Ada"}');
  INSERT INTO auth.users (id, raw_user_meta_data) VALUES (v_id, '{"name": "Ada"}');
  INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset) VALUES (v_id, v_id, 'P', 'p', 'facts');
END
$$;

-- one operation; both answers as text
CREATE FUNCTION t.operate(p_operation text, OUT seed text, OUT ours text)
LANGUAGE plpgsql AS $$
DECLARE
  v_user uuid := t.random_user();
  v_job uuid;
  v_amount integer := 1 + t.below(12);
  v_hold t.holds;
  v_token text;
  v_draft uuid;
BEGIN
  CASE p_operation
  WHEN 'sign up' THEN
    CALL t.sign_up_in_both();
    SELECT string_agg(concat_ws(' ', id, display_name), ',' ORDER BY id) INTO seed FROM seed.profiles;
    SELECT string_agg(concat_ws(' ', id, display_name), ',' ORDER BY id) INTO ours FROM public.profiles;
  WHEN 'get_credit_balance' THEN
    seed := seed.get_credit_balance(v_user);
    ours := public.get_credit_balance(v_user);
  WHEN 'purchase' THEN
    INSERT INTO seed.credit_ledger (user_id, type, amount) VALUES (v_user, 'purchase', v_amount);
    PERFORM public.purchase_credits(v_user, v_amount, gen_random_uuid()::text);
  WHEN 'usage' THEN
    -- a plain entry of a client that looks at the balance first, as the seed's do
    IF seed.get_credit_balance(v_user) >= v_amount THEN
      INSERT INTO seed.credit_ledger (user_id, type, amount) VALUES (v_user, 'usage', -v_amount);
      seed := 'true';
    ELSE
      seed := 'false';
    END IF;
    BEGIN
      INSERT INTO public.credit_ledger (user_id, type, amount) VALUES (v_user, 'usage', -v_amount);
      ours := 'true';
    EXCEPTION WHEN SQLSTATE 'PT402' THEN
      ours := 'false';
    END;
  WHEN 'reserve_credits' THEN
    INSERT INTO public.jobs (project_id, user_id, status) VALUES (v_user, v_user, 'QUEUED') RETURNING id INTO v_job;
    seed := seed.reserve_credits(v_user, v_job, v_amount);
    ours := public.reserve_credits(v_user, v_job, v_amount);
    IF seed::boolean THEN
      INSERT INTO t.holds VALUES (v_job, v_user, v_amount);
    END IF;
  WHEN 'settle', 'settle all', 'release', 'READY', 'FAILED' THEN
    SELECT * INTO v_hold FROM t.holds ORDER BY user_id, held LIMIT 1 OFFSET (SELECT t.below(count(*)) FROM t.holds);
    IF NOT FOUND THEN
      seed := 'none'; ours := 'none';
      RETURN;
    END IF;
    v_amount := t.below(v_hold.held + 1);
    CASE p_operation
    WHEN 'settle' THEN
      seed := seed.settle_credits(v_hold.job_id, v_amount);
      ours := public.settle_credits(v_hold.job_id, v_amount);
    WHEN 'settle all' THEN
      seed := seed.settle_credits(v_hold.job_id);
      ours := public.settle_credits(v_hold.job_id);
    WHEN 'release' THEN
      seed := seed.release_credits(v_hold.job_id);
      ours := public.release_credits(v_hold.job_id);
    WHEN 'READY' THEN
      seed := seed.settle_credits(v_hold.job_id, v_amount);
      UPDATE public.jobs SET status = 'SCRIPTING' WHERE id = v_hold.job_id;
      PERFORM public.advance_job(v_hold.job_id, s)
         FROM unnest('{VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
      ours := public.complete_job(v_hold.job_id, NULL, NULL, v_amount) ->> 'cost_credits_final';
    WHEN 'FAILED' THEN
      seed := seed.release_credits(v_hold.job_id) - v_hold.held;
      UPDATE public.jobs SET status = 'FAILED' WHERE id = v_hold.job_id RETURNING cost_credits_final INTO ours;
    END CASE;
    DELETE FROM t.holds WHERE job_id = v_hold.job_id;
  WHEN 'draft' THEN
    INSERT INTO t.tokens (token) SELECT 'token ' || count(*) FROM t.tokens RETURNING token INTO v_token;
    v_draft := gen_random_uuid();
    v_amount := v_amount % 4;
    INSERT INTO seed.draft_prompts (id, session_token, prompt_text, expires_at)
    VALUES (v_draft, v_token, 'p', now() + (v_amount - 0.5) * INTERVAL '1 day');
    INSERT INTO public.draft_prompts (id, session_token, prompt_text, expires_at)
    VALUES (v_draft, v_token, 'p', now() + (v_amount - 0.5) * INTERVAL '1 day');
  WHEN 'claim_draft_prompt' THEN
    v_amount := 1 + t.below((SELECT count(*) FROM t.tokens));
    SELECT token INTO v_token FROM t.tokens WHERE nr = v_amount;
    v_token := coalesce(v_token, 'unknown token');
    seed := coalesce(seed.claim_draft_prompt(v_token, v_user)::text, 'NULL');
    ours := coalesce(public.claim_draft_prompt(v_token, v_user)::text, 'NULL');
  END CASE;
END
$$;

CREATE FUNCTION t.other_balances() RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT count(*) FROM seed.users u
   WHERE seed.get_credit_balance(u.id) <> public.get_credit_balance(u.id)
$$;

SELECT setseed(0.003);
CALL t.sign_up_in_both();
CALL t.sign_up_in_both();
CALL t.sign_up_in_both();
-- a transaction for each
DO $$
DECLARE
  v_operations CONSTANT text[] := ARRAY[
    'get_credit_balance', 'purchase', 'purchase', 'usage',
    'reserve_credits', 'reserve_credits', 'reserve_credits', 'reserve_credits', 'reserve_credits', 'reserve_credits',
    'settle', 'settle all', 'release', 'READY', 'FAILED',
    'draft', 'claim_draft_prompt', 'claim_draft_prompt'];
  v_operation text;
BEGIN
  FOR i IN 1..2000 LOOP
    v_operation := CASE WHEN i % 125 = 0 THEN 'sign up' ELSE v_operations[1 + t.below(cardinality(v_operations))] END;
    INSERT INTO t.operations (nr, operation, answer_of_seed, answer_of_ours)
    SELECT i, v_operation, o.seed, o.ours FROM t.operate(v_operation) o;
    UPDATE t.operations SET other_balances = t.other_balances() WHERE nr = i;
    COMMIT;
  END LOOP;
END
$$;

-- what was done, with which answers of the seed: each kind many times
SELECT operation, outcome, count(*) AS times
  FROM (SELECT operation,
               CASE WHEN operation IN ('reserve_credits', 'usage') THEN upper(answer_of_seed)
                    WHEN operation = 'claim_draft_prompt' THEN CASE answer_of_seed WHEN 'NULL' THEN 'NULL' ELSE 'an id' END
                    WHEN operation IN ('settle', 'settle all', 'READY', 'FAILED', 'release')
                      THEN CASE answer_of_seed WHEN 'none' THEN 'no hold' WHEN '0' THEN '0' ELSE 'an amount' END
                    ELSE '' END AS outcome
          FROM t.operations) o
 GROUP BY operation, outcome ORDER BY operation, outcome;
SELECT count(*) AS operations,
       count(*) FILTER (WHERE answer_of_seed IS DISTINCT FROM answer_of_ours) AS other_answers,
       count(*) FILTER (WHERE other_balances <> 0) AS other_balances
  FROM t.operations;
SELECT * FROM t.operations
 WHERE answer_of_seed IS DISTINCT FROM answer_of_ours OR other_balances <> 0 ORDER BY nr LIMIT 5;

-- at the end: drafts and the sums of each type of entry, user by user
SELECT count(*) AS drafts_claimed, count(*) FILTER (WHERE o.user_id IS DISTINCT FROM s.user_id) AS by_others
  FROM seed.draft_prompts s FULL JOIN public.draft_prompts o USING (id) WHERE s.user_id IS NOT NULL OR o.user_id IS NOT NULL;
SELECT count(*) > 20 AS sums, count(*) FILTER (WHERE s.sum IS DISTINCT FROM o.sum) AS different
  FROM (SELECT user_id, type, sum(amount) FROM seed.credit_ledger GROUP BY user_id, type) s
  FULL JOIN (SELECT user_id, type, sum(amount) FROM public.credit_ledger GROUP BY user_id, type) o USING (user_id, type);
SELECT * FROM t.books();

-- the comparison sees a difference
INSERT INTO seed.credit_ledger (user_id, type, amount) VALUES (t.id(1001), 'grant', 1);
SELECT t.other_balances();

SET client_min_messages = warning;
DROP SCHEMA seed CASCADE;
RESET client_min_messages;
DROP FUNCTION t.operate, t.other_balances, t.random_user, t.below;
DROP PROCEDURE t.sign_up_in_both;
DROP TABLE t.operations, t.holds, t.tokens;
SELECT * FROM t.clean();
