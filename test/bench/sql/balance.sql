-- Two users, md5('10') and md5('100000'), with so many entries, for ours and for
-- the seed.  Pitfall: triggers are skipped, since so many entries of one user in
-- one transaction leave so many versions of one account to look through.

SET session_replication_role = replica;
INSERT INTO auth.users (id, email) VALUES (md5('10')::uuid, 'few@example.com'), (md5('100000')::uuid, 'many@example.com');
INSERT INTO public.credit_ledger (user_id, type, amount, entry_no, balance_after)
SELECT md5(u)::uuid, 'grant', 1 + n % 5, n, sum(1 + n % 5) OVER (PARTITION BY u ORDER BY n)
  FROM unnest('{10,100000}'::text[]) u, generate_series(1, u::integer) n;
INSERT INTO public.credit_accounts (user_id, balance, entries)
SELECT user_id, sum(amount), count(*) FROM public.credit_ledger GROUP BY user_id;
INSERT INTO seed.credit_ledger (user_id, type, amount)
SELECT user_id, type, amount FROM public.credit_ledger ORDER BY entry_no;
RESET session_replication_role;
VACUUM (FREEZE, ANALYZE);

SELECT 1 / (count(*) = 0)::integer FROM public.verify_credit_ledger() \g /dev/null
SELECT 1 / bool_and(public.get_credit_balance(user_id) = seed.get_credit_balance(user_id))::integer FROM public.credit_accounts \g /dev/null
