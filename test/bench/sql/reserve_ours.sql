-- holds credits of a job; the clients share the jobs of bench.pairs, :jobs is how
-- many this one has had
\set n :jobs * 8 + :client_id
\set jobs :jobs + 1
SELECT reserve_credits(md5('user ' || :n % 10000)::uuid, md5('job ' || :n)::uuid, 3);
