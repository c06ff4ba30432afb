-- reserve_ours.sql with the twin
\set n :jobs * 8 + :client_id
\set jobs :jobs + 1
SELECT twin.reserve_credits(md5('user ' || :n % 10000)::uuid, md5('job ' || :n)::uuid, 3);
