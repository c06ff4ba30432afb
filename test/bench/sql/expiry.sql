-- Two users, md5('1000') and md5('100000'), with so many entries and credit that
-- expires.  Pitfall: triggers are skipped, since so many entries of one user in
-- one transaction leave so many versions of one account to look through.  So the
-- first call of each replays all of them; the procedure leaves it out.

SET session_replication_role = replica;
INSERT INTO auth.users (id, email) VALUES (md5('1000')::uuid, 'few@example.com'), (md5('100000')::uuid, 'many@example.com');
INSERT INTO public.credit_ledger (user_id, type, amount, entry_no, balance_after)
SELECT md5(u)::uuid, e.type, e.amount, n, sum(e.amount) OVER (PARTITION BY u ORDER BY n)
  FROM unnest('{1000,100000}'::text[]) u, generate_series(1, u::integer) n,
       LATERAL (SELECT CASE n % 3 WHEN 1 THEN 'grant' ELSE 'usage' END AS type, CASE n % 3 WHEN 1 THEN 4 ELSE -1 END AS amount) e;
INSERT INTO public.credit_accounts (user_id, balance, entries)
SELECT user_id, sum(amount), count(*) FROM public.credit_ledger GROUP BY user_id;
RESET session_replication_role;
VACUUM (FREEZE, ANALYZE);

-- Time of a call that expires one lot, without its commit, the median: one call is
-- too short for the clock of the processor.
CREATE PROCEDURE bench.expiries(p_user_id uuid, p_calls integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_from timestamptz;
  v_us double precision[];
BEGIN
  FOR i IN -4..p_calls LOOP
    PERFORM public.grant_credits(p_user_id, 10, p_expires_at => clock_timestamp() + INTERVAL '15 ms');
    COMMIT;
    PERFORM pg_sleep(0.016);
    v_from := clock_timestamp();
    PERFORM public.charge_credits(p_user_id, 1);
    IF i > 0 THEN
      v_us[i] := bench.us(v_from);
    END IF;
    COMMIT;
    -- the balance stays as it is
    PERFORM public.grant_credits(p_user_id, 1);
    COMMIT;
  END LOOP;
  us := bench.median(v_us);
END
$$;

SELECT 1 / (count(*) = 0)::integer FROM public.verify_credit_ledger() \g /dev/null
