-- Sign-up, as the auth server does it: its own role, its own search_path.

\echo '== 2. Alice and Bob sign up (supabase_auth_admin)'
\echo
SET SESSION AUTHORIZATION supabase_auth_admin;
SET search_path = auth;
INSERT INTO users (id, email, raw_user_meta_data) VALUES
  (:'alice', 'alice@example.com', '{"name": "Alice"}'),
  (:'bob', 'bob@example.com', '{"name": "Bob"}');
RESET search_path;
RESET SESSION AUTHORIZATION;

SELECT p.display_name AS profile, a.balance, l.type, l.amount, l.note
  FROM profiles p
  JOIN credit_accounts a ON a.user_id = p.id
  JOIN credit_ledger l ON l.user_id = p.id
 ORDER BY p.display_name;

DO $check$
BEGIN
  ASSERT (SELECT count(*) FROM profiles) = 2, 'a profile each';
  ASSERT (SELECT array_agg(amount) FROM credit_ledger) = '{10, 10}', 'one welcome grant each';
END
$check$;
