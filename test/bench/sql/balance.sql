-- Two users, md5('10') and md5('100000'), with so many entries, for ours and for
-- the seed.  Pitfall: ours are made by triggers, one version of the account
-- after the other; VACUUM leaves one, as autovacuum would.

INSERT INTO auth.users (id, email) VALUES (md5('10')::uuid, 'few@example.com'), (md5('100000')::uuid, 'many@example.com');
INSERT INTO public.credit_ledger (user_id, type, amount)
SELECT md5(u)::uuid, 'grant', 1 + n % 5
  FROM unnest('{10,100000}'::text[]) u, generate_series(2, u::integer) n;
INSERT INTO seed.credit_ledger (user_id, type, amount)
SELECT user_id, type, amount FROM public.credit_ledger ORDER BY entry_no;
VACUUM (FREEZE, ANALYZE);

-- the entry of the sign-up is the first
SELECT 1 / (array_agg(entries ORDER BY entries) = '{10,100000}')::integer FROM public.credit_accounts \g /dev/null
SELECT 1 / bool_and(public.get_credit_balance(user_id) = seed.get_credit_balance(user_id))::integer FROM public.credit_accounts \g /dev/null
