# What the TAP tests share: a cluster, a database with the extension, errors by
# SQLSTATE, and what must be true of the books.
#
# Pitfall: an invariant is a query that returns what is wrong.  A query over
# tables that are not there would return nothing, so a failed query is a failed
# test, and broken_invariants() is itself tested (030_crash.pl breaks a book).

package StudioTest;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

our @EXPORT = qw(
  new_cluster new_cluster_of prepare_database load_stub load_storage stub_path
  give_up run_sql query sql_ok refused_ok books_ok broken_invariants
  indexes_ok broken_indexes
  dump_text same_text alive_ok uuid_of kill_server
);

# A started cluster.  Its superuser is postgres whoever runs the tests, as the
# stand-in has rules for a role of that name.
sub new_cluster
{
	return new_cluster_of('postgres', @_);
}

# ... or another role, as on Supabase.
sub new_cluster_of
{
	my ($superuser, $name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$ENV{PGUSER} = $superuser;
	$node->init(
		extra => [
			"--username=$superuser", '--encoding=UTF8', '--locale=C.UTF-8'
		]);
	$node->append_conf(
		'postgresql.conf', join "\n",
		'wal_level = logical', 'max_wal_senders = 4',
		'log_statement = none', 'max_connections = 40',
		@settings);
	$node->start;
	return $node;
}

sub stub_path
{
	my ($node) = @_;
	my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);

	return "$sharedir/extension/studio_engine_supabase_stub.sql";
}

sub load_stub
{
	my ($node, $db) = @_;

	$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $db, '-f', stub_path($node) ],
		"the stand-in loads into $db");
	return;
}

# The stand-in for Supabase Storage, in whose schema a role has the rights that postgres has on the platform.
sub load_storage
{
	my ($node, $db, $role) = @_;

	$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $db, '-f', "$FindBin::RealBin/../sql/include/storage_stub.sql",
			'-c', "GRANT supabase_storage_admin TO $role" ], "the stand-in for Storage loads into $db");
	return;
}

# A database with the stand-in and the extension.
sub prepare_database
{
	my ($node, $db) = @_;

	$node->safe_psql('postgres', qq(CREATE DATABASE "$db"));
	load_stub($node, $db);
	sql_ok($node, $db, 'CREATE EXTENSION studio_engine', "the extension installs into $db");
	return;
}

# Exit status, output and messages of a psql script; messages carry SQLSTATEs.
# Options: user, options (of the connection).
sub run_sql
{
	my ($node, $db, $sql, %options) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGUSER} = $options{user} // $ENV{PGUSER};
	local $ENV{PGOPTIONS} = $options{options} // $ENV{PGOPTIONS} // '';
	my $status = $node->psql($db, "\\set VERBOSITY verbose\n$sql",
		stdout => \$out, stderr => \$err, on_error_die => 0);

	return ($status, $out, $err);
}

# Ends this test file; die() alone would leave its words in the log.
sub give_up
{
	my ($words) = @_;

	diag($words);
	die "$words\n";
}

# The output of SQL that must not fail.
sub query
{
	my ($node, $db, $sql, %options) = @_;
	my ($status, $out, $err) = run_sql($node, $db, $sql, %options);

	give_up("query failed in $db: $err\n$sql") if $status != 0;
	return $out;
}

sub sql_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $db, $sql, $name, %options) = @_;
	my ($status, $out, $err) = run_sql($node, $db, $sql, %options);

	ok($status == 0, $name) or diag($err);
	return $out;
}

# The SQL fails with this SQLSTATE, and all of these expressions match what is said.
sub refused_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $db, $sql, $sqlstate, $expected, $name, %options) = @_;
	my ($status, $out, $err) = run_sql($node, $db, $sql, %options);
	my @errors = $err =~ /ERROR:  (\w{5}):/g;
	my @unsaid = grep { $err !~ $_ } @$expected;

	ok($status != 0 && @errors == 1 && $errors[0] eq $sqlstate && !@unsaid, $name)
	  or diag("status $status, expected $sqlstate with @$expected, got: "
		  . ($err ne '' ? $err : "no error, output: $out"));
	return;
}

# SPEC section 3, one query per sentence.  %s is the schema of the tables.
my @invariants = (
	[ 'the balance of an account is the sum of its entries', q{
		SELECT a.user_id, a.balance, COALESCE(sum(l.amount), 0)
		  FROM %1$s.credit_accounts a LEFT JOIN %1$s.credit_ledger l USING (user_id)
		 GROUP BY a.user_id HAVING a.balance <> COALESCE(sum(l.amount), 0)} ],
	[ 'the balance of an account is the last balance_after', q{
		SELECT a.user_id, a.balance, l.balance_after
		  FROM %1$s.credit_accounts a
		  JOIN (SELECT DISTINCT ON (user_id) user_id, balance_after FROM %1$s.credit_ledger
				 ORDER BY user_id, entry_no DESC) l USING (user_id)
		 WHERE a.balance IS DISTINCT FROM l.balance_after} ],
	[ 'balance_after is the sum up to its entry', q{
		SELECT s.user_id, s.entry_no, s.balance_after, s.total
		  FROM (SELECT user_id, entry_no, balance_after,
					   sum(amount) OVER (PARTITION BY user_id ORDER BY entry_no) AS total
				  FROM %1$s.credit_ledger) s
		 WHERE s.balance_after IS DISTINCT FROM s.total} ],
	[ 'entries are numbered without a gap, and the account counts them', q{
		SELECT a.user_id, a.entries, count(l.id), min(l.entry_no), max(l.entry_no)
		  FROM %1$s.credit_accounts a LEFT JOIN %1$s.credit_ledger l USING (user_id)
		 GROUP BY a.user_id
		HAVING a.entries <> count(l.id) OR a.entries <> COALESCE(max(l.entry_no), 0)
			OR COALESCE(min(l.entry_no), 1) <> 1 OR count(l.id) <> count(DISTINCT l.entry_no)} ],
	[ 'the account knows what is held', q{
		SELECT a.user_id, a.reserved, -COALESCE(sum(l.amount), 0)
		  FROM %1$s.credit_accounts a
		  LEFT JOIN %1$s.credit_ledger l ON l.user_id = a.user_id AND l.type = 'reserve'
		 GROUP BY a.user_id HAVING a.reserved <> -COALESCE(sum(l.amount), 0)} ],
	[ 'a job has one open hold at most, and each hold is closed once', q{
		SELECT h.job_id, h.entry_no, h.amount, h.before
		  FROM (SELECT job_id, entry_no, amount,
					   COALESCE(sum(amount) OVER (PARTITION BY job_id ORDER BY entry_no
							ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
				  FROM %1$s.credit_ledger WHERE type = 'reserve' AND job_id IS NOT NULL) h
		 WHERE h.amount < 0 AND h.before <> 0 OR h.amount > 0 AND h.before <> -h.amount} ],
	[ 'holds of deleted jobs are closed', q{
		SELECT user_id, sum(amount) FROM %1$s.credit_ledger
		 WHERE type = 'reserve' AND job_id IS NULL AND reference IS NULL GROUP BY user_id HAVING sum(amount) <> 0} ],
	[ 'a job that has ended holds nothing', q{
		SELECT j.id, j.status, sum(l.amount) FROM %1$s.jobs j
		  JOIN %1$s.credit_ledger l ON l.job_id = j.id AND l.type = 'reserve'
		 WHERE j.status IN ('READY', 'FAILED') GROUP BY j.id HAVING sum(l.amount) <> 0} ],
	[ 'cost_credits_reserved is the hold that is open', q{
		SELECT j.id, j.cost_credits_reserved, -sum(l.amount) FROM %1$s.jobs j
		  JOIN %1$s.credit_ledger l ON l.job_id = j.id AND l.type = 'reserve'
		 GROUP BY j.id
		HAVING sum(l.amount) <> 0 AND j.cost_credits_reserved IS DISTINCT FROM -sum(l.amount)} ],
	[ 'cost_credits_final is what was charged when the last hold was closed', q{
		SELECT j.id, j.cost_credits_final, u.charged
		  FROM %1$s.jobs j
		 CROSS JOIN LATERAL (SELECT sum(l.amount) AS held, max(l.entry_no) FILTER (WHERE l.amount < 0) AS entry_no
							   FROM %1$s.credit_ledger l WHERE l.job_id = j.id AND l.type = 'reserve') h
		 CROSS JOIN LATERAL (SELECT COALESCE(-sum(l.amount), 0) AS charged FROM %1$s.credit_ledger l
							  WHERE l.job_id = j.id AND l.type = 'usage' AND l.entry_no > h.entry_no) u
		 WHERE h.held = 0 AND j.cost_credits_final IS DISTINCT FROM u.charged} ],
	[ 'nothing but the reversal of a payment takes a balance below zero; a hold from before it is still charged', q{
		SELECT user_id, 'account', balance, reserved FROM %1$s.credit_accounts WHERE reserved < 0
		UNION ALL
		SELECT l.user_id, l.type, l.entry_no, l.balance_after FROM %1$s.credit_ledger l
		  LEFT JOIN %1$s.credit_ledger b ON b.user_id = l.user_id AND b.entry_no = l.entry_no - 1
		 WHERE l.balance_after < 0 AND l.amount < 0
		   AND NOT (l.type IN ('purchase', 'subscription') AND l.reverses IS NOT NULL AND l.transfer_id IS NULL AND NOT COALESCE(l.metadata ? 'void', false))
		   AND (l.type = 'usage' AND b.type = 'reserve' AND b.amount >= -l.amount) IS NOT TRUE} ],
	[ 'what closes a hold names it', q{
		SELECT c.user_id, c.entry_no, c.reverses FROM %1$s.credit_ledger c
		  LEFT JOIN %1$s.credit_ledger h ON h.id = c.reverses AND h.user_id = c.user_id
			AND h.type = 'reserve' AND h.amount = -c.amount AND h.entry_no < c.entry_no
		 WHERE c.type = 'reserve' AND c.amount > 0 AND h.id IS NULL
		UNION ALL
		SELECT user_id, count(*), reverses FROM %1$s.credit_ledger WHERE type = 'reserve' AND amount > 0
		 GROUP BY user_id, reverses HAVING count(*) > 1} ],
	[ 'what charges a hold by reference names it and follows its end', q{
		SELECT u.user_id, u.entry_no, u.idempotency_key FROM %1$s.credit_ledger u
		  LEFT JOIN %1$s.credit_ledger c ON c.user_id = u.user_id AND c.type = 'reserve' AND c.entry_no = u.entry_no - 1
			AND 'captures:' || c.reverses = u.idempotency_key AND c.reference = u.reference
		 WHERE u.type = 'usage' AND u.idempotency_key LIKE 'captures:%%' AND c.id IS NULL} ],
	[ 'no payment is reversed by more than was booked, no lot expires that cannot, no job is refunded more than its price', q{
		SELECT p.id, p.amount, sum(r.amount) FROM %1$s.credit_ledger p JOIN %1$s.credit_ledger r ON r.reverses = p.id
		 WHERE r.type = p.type AND p.type <> 'reserve' AND r.transfer_id IS NULL AND NOT COALESCE(r.metadata ? 'void', false)
		 GROUP BY p.id HAVING sum(r.amount) NOT BETWEEN -p.amount AND 0
		UNION ALL
		SELECT p.id, p.amount, sum(r.amount) FROM %1$s.credit_ledger p JOIN %1$s.credit_ledger r ON r.stripe_payment_id = p.stripe_payment_id
		 WHERE p.type IN ('purchase', 'subscription') AND p.reverses IS NULL AND r.reverses IS NOT NULL AND r.transfer_id IS NULL
		 GROUP BY p.id HAVING sum(r.amount) NOT BETWEEN -p.amount AND 0
		UNION ALL
		SELECT r.id, r.amount, p.amount FROM %1$s.credit_ledger r LEFT JOIN %1$s.credit_ledger p ON p.id = r.reverses
		 WHERE r.reverses IS NOT NULL AND r.amount < 0 AND (p.user_id = r.user_id AND p.amount > 0 AND p.entry_no < r.entry_no) IS NOT TRUE
		UNION ALL
		SELECT e.id, e.amount, p.amount FROM %1$s.credit_ledger e LEFT JOIN %1$s.credit_ledger p ON p.id = e.reverses
		 WHERE e.type = 'expire' AND (p.user_id = e.user_id AND p.expires_at IS NOT NULL) IS NOT TRUE
		UNION ALL
		SELECT job_id, 0, sum(amount) FROM %1$s.credit_ledger WHERE job_id IS NOT NULL AND type IN ('usage', 'refund')
		 GROUP BY job_id HAVING sum(amount) > 0} ],
	[ 'a transfer moves its amount, in lots that keep their expiry, priority and payment', q{
		SELECT t.id, s.user_id, s.amount, sum(l.amount) FROM studio_engine.transfers t
		 CROSS JOIN LATERAL (VALUES (t.from_user_id, -t.amount), (t.to_user_id, t.amount)) s (user_id, amount)
		  LEFT JOIN %1$s.credit_ledger l ON l.transfer_id = t.id AND l.user_id = s.user_id
		 WHERE s.user_id IS NOT NULL GROUP BY t.id, s.user_id, s.amount HAVING sum(l.amount) IS DISTINCT FROM s.amount
		UNION ALL
		SELECT i.id, i.user_id, i.amount, o.amount FROM %1$s.credit_ledger i
		  LEFT JOIN studio_engine.transfers t ON t.id = i.transfer_id
		  LEFT JOIN %1$s.credit_ledger o ON o.id = i.reverses AND o.transfer_id = i.transfer_id AND o.user_id = t.from_user_id
		  LEFT JOIN %1$s.credit_ledger p ON p.id = o.reverses AND p.user_id = o.user_id AND p.amount > 0
		 WHERE i.transfer_id IS NOT NULL AND i.amount > 0 AND (t.id IS NULL OR t.from_user_id IS NOT NULL)
		   AND (i.amount, i.type, i.expires_at, i.priority, i.stripe_payment_id)
			   IS DISTINCT FROM (-o.amount, CASE p.type WHEN 'refund' THEN 'grant' ELSE p.type END, p.expires_at, p.priority,
								 CASE WHEN p.type IN ('purchase', 'subscription') THEN p.stripe_payment_id END)} ],
	[ 'verify_credit_ledger() finds nothing', 'SELECT * FROM %1$s.verify_credit_ledger()' ],
	[ 'an entry and its job have the same user', q{
		SELECT l.id, l.user_id, j.user_id FROM %1$s.credit_ledger l JOIN %1$s.jobs j ON j.id = l.job_id
		 WHERE l.user_id <> j.user_id} ],
	[ 'a payment and a key move credits once', q{
		SELECT stripe_payment_id, count(*) FROM %1$s.credit_ledger
		 WHERE stripe_payment_id IS NOT NULL AND reverses IS NULL GROUP BY stripe_payment_id HAVING count(*) > 1
		UNION ALL
		SELECT idempotency_key, count(*) FROM %1$s.credit_ledger
		 WHERE idempotency_key IS NOT NULL GROUP BY user_id, idempotency_key HAVING count(*) > 1} ],
	[ 'events of a run are numbered without a gap, up to the counter of the run', q{
		SELECT j.run_id, j.last_event_seq, count(e.id), max(e.seq) /* %1$s */
		  FROM pipeline.jobs j LEFT JOIN pipeline.job_events e USING (run_id)
		 GROUP BY j.run_id
		HAVING j.last_event_seq <> COALESCE(max(e.seq), 0) OR count(e.id) <> COALESCE(max(e.seq), 0)} ],
	[ 'what belongs to a run has its owner', q{
		SELECT j.run_id, j.owner_id, c.owner_id /* %1$s */
		  FROM pipeline.jobs j
		  JOIN (SELECT run_id, owner_id FROM pipeline.job_events UNION ALL SELECT run_id, owner_id FROM pipeline.artifacts) c USING (run_id)
		 WHERE c.owner_id IS DISTINCT FROM j.owner_id} ],
	[ 'every user has one welcome grant', q{
		SELECT u.id, count(l.id) FROM auth.users u
		  LEFT JOIN %1$s.credit_ledger l ON l.user_id = u.id AND l.idempotency_key = 'welcome'
		 GROUP BY u.id HAVING count(l.id) <> 1} ],
);

# One line per broken invariant.
sub broken_invariants
{
	my ($node, $db, $schema) = @_;
	my @broken;

	foreach my $invariant (@invariants)
	{
		my ($name, $sql) = @$invariant;
		my $rows = query($node, $db, sprintf($sql, $schema // 'public') . ';');
		push @broken, "$name: $rows" if $rows ne '';
	}
	return @broken;
}

# All invariants hold, and there are books to look at.
sub books_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $db, $name, $schema) = @_;
	my @broken = broken_invariants($node, $db, $schema);
	my $entries = query($node, $db, sprintf 'SELECT count(*) FROM %s.credit_ledger', $schema // 'public');

	ok(!@broken && $entries > 0, "$name: the invariants hold for $entries entries")
	  or diag(join "\n", @broken);
	return;
}

# One line per btree index of ours that is not sound or lacks a row.
sub broken_indexes
{
	my ($node, $db, $schema) = @_;
	my $indexes = query($node, $db, sprintf q{
		CREATE SCHEMA IF NOT EXISTS index_check;
		CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA index_check;
		SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
		  JOIN pg_class r ON r.oid = i.indrelid
		 WHERE a.amname = 'btree' AND i.indisvalid AND r.relnamespace IN ('%s'::regnamespace, 'studio_engine'::regnamespace);},
		$schema // 'public');
	my @broken;

	foreach my $index (split /\n/, $indexes)
	{
		my ($status, $out, $err) = run_sql($node, $db, "SELECT index_check.bt_index_parent_check($index, true);");
		push @broken, $err if $status != 0;
	}
	query($node, $db, 'SET client_min_messages = warning; DROP SCHEMA index_check CASCADE;');
	give_up("no index was checked in $db") if $indexes eq '';
	return @broken;
}

# Every row is in every index.
sub indexes_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $db, $name, $schema) = @_;
	my @broken = broken_indexes($node, $db, $schema);

	ok(!@broken, "$name: every row is in every index") or diag(join "\n", @broken);
	return;
}

# The rows of a table have no order: where they differ in length, a copy fills
# the gaps at the end of pages in another way.  The rows of each COPY are sorted.
sub sort_copied_rows
{
	my ($text) = @_;

	$text =~ s{^(COPY [^\n]+ FROM stdin;\n)(.*?)^(\\\.\n)}{$1 . join('', sort split /^/m, $2) . $3}gmse;
	return $text;
}

# What pg_dump says, without the lines that are random or name a version.
sub dump_text
{
	my ($node, $db, @options) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-d', $db, @options ], '>', \$out, '2>', \$err)
	  or die "pg_dump $db failed: $err";
	return sort_copied_rows(join '', grep { !/^\\(un)?restrict / && !/^-- Dumped (from|by)/ } split /^/m, $out);
}

# Two texts are equal; if not, the first lines that are in one only.
sub same_text
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($got, $expected, $name) = @_;
	my @got = split /\n/, $got;
	my @expected = split /\n/, $expected;
	my %in_got = map { $_ => 1 } @got;
	my %in_expected = map { $_ => 1 } @expected;

	return 1 if ok($got eq $expected && $got ne '', $name);
	my @added = map { "+ $_" } grep { !$in_expected{$_} } @got;
	my @lost = map { "- $_" } grep { !$in_got{$_} } @expected;
	my ($first) = grep { ($got[$_] // '') ne ($expected[$_] // '') } 0 .. $#got;
	diag(join "\n", splice(@lost, 0, 15), splice(@added, 0, 15));
	diag("first at line $first: $got[$first], wanted: ", $expected[$first] // 'nothing') if defined $first;
	return 0;
}

# Plays a whole story in this database as the roles that it happens to, and
# tries what must be refused; all of it is rolled back.  It starts in a session
# as a dump that was loaded in it leaves it behind.
my $story = q{
BEGIN;
SET row_security = off;
SET check_function_bodies = off;
DO $alive$
DECLARE
	v_user uuid := gen_random_uuid();
	v_project uuid;
	v_draft uuid;
	v_job uuid;
	v_other uuid;
	v_studio uuid;
	v_token uuid;
	v_summary jsonb;
	v_welcome integer := (SELECT value::integer FROM studio_engine.settings WHERE name = 'welcome_credits');
	v_status text;
	v_table text;
	v_tables integer := 0;
	v_rows bigint;
	v_wait interval := '20 milliseconds';
	v_soon timestamptz;
BEGIN
	SET LOCAL ROLE supabase_auth_admin;
	SET LOCAL search_path = auth;
	INSERT INTO auth.users (id, email, raw_user_meta_data)
		VALUES (v_user, v_user || '@example.com', '{"name": "Alive"}');
	SET LOCAL ROLE NONE;
	SET LOCAL search_path = pg_catalog;
	ASSERT (SELECT display_name FROM SCHEMA.profiles WHERE id = v_user) = 'Alive', 'profile at sign-up';
	ASSERT (SELECT array_agg(amount) FROM SCHEMA.credit_ledger WHERE user_id = v_user) = ARRAY[v_welcome], 'one welcome grant';

	SET LOCAL row_security = on;
	SET LOCAL ROLE anon;
	v_draft := SCHEMA.save_draft_prompt('the token of a story', 'Why is the sky blue?');
	SET LOCAL ROLE authenticated;
	PERFORM set_config('request.jwt.claims', json_build_object('sub', v_user, 'role', 'authenticated')::text, true);
	ASSERT SCHEMA.claim_draft_prompt('the token of a story', v_user) = v_draft, 'claim';
	INSERT INTO SCHEMA.projects (user_id, title, prompt_text, niche_preset)
		VALUES (v_user, 'Sky', 'Why is the sky blue?', 'science') RETURNING id INTO v_project;
	ASSERT (SELECT count(*) FROM SCHEMA.profiles) = 1, 'a user sees own rows only';
	UPDATE SCHEMA.profiles SET display_name = 'Me' WHERE true;

	SET LOCAL ROLE service_role;
	v_job := SCHEMA.create_job(v_project, 3);
	ASSERT SCHEMA.get_credit_balance(v_user) = v_welcome - 3, 'balance with a hold';
	FOREACH v_status IN ARRAY ARRAY['SCRIPTING', 'VOICE_GEN', 'ALIGNMENT', 'VISUAL_PLAN',
									'IMAGE_GEN', 'TIMELINE', 'RENDERING', 'PACKAGING'] LOOP
		PERFORM SCHEMA.update_job_step(v_job, lower(v_status), 'started');
		PERFORM SCHEMA.advance_job(v_job, v_status);
		PERFORM SCHEMA.update_job_step(v_job, lower(v_status), 'succeeded');
	END LOOP;
	PERFORM SCHEMA.record_asset(v_job, 'video', 'https://example.com/v', 'video/v.mp4');
	PERFORM SCHEMA.log_job(v_job, 'info', 'done');
	PERFORM SCHEMA.complete_job(v_job, 'https://example.com/v', NULL, 2);
	ASSERT SCHEMA.get_credit_balance(v_user) = v_welcome - 2, 'balance after settlement';
	ASSERT (SELECT j.status::text || j.cost_credits_final FROM SCHEMA.jobs j WHERE j.id = v_job) = 'READY2', 'READY settles';

	v_other := SCHEMA.create_job(v_project, 1);
	PERFORM SCHEMA.fail_job(v_other, 'BROKEN', 'It broke.', 'scripting');
	ASSERT SCHEMA.get_credit_balance(v_user) = v_welcome - 2, 'FAILED gives back';
	INSERT INTO SCHEMA.jobs (project_id, user_id) VALUES (v_project, v_user) RETURNING id INTO v_other;
	ASSERT NOT SCHEMA.reserve_credits(v_user, v_other, 1000000), 'no overspending';
	ASSERT SCHEMA.reserve_credits(v_user, v_other, 2), 'reserve';
	ASSERT SCHEMA.settle_credits(v_other, 1) = 1, 'settle';

	ASSERT SCHEMA.refund_credits(v_other, 1, NULL, 'refund of a story') = 1, 'refund';
	ASSERT SCHEMA.subscription_credits(v_user, 20, 'month of ' || v_user, NULL, '2999-01-01') IS NOT NULL, 'subscription';
	ASSERT SCHEMA.reverse_purchase('month of ' || v_user, 15) = 15, 'reversal';
	ASSERT SCHEMA.reinstate_purchase('month of ' || v_user) = 15, 'reinstatement';
	ASSERT SCHEMA.reinstate_purchase('month of ' || v_user, NULL, 'early') = 0 AND SCHEMA.reverse_purchase('month of ' || v_user, 5, NULL, 'early') = 0, 'early';
	-- longer, if the machine was too slow
	LOOP
		BEGIN
			v_soon := clock_timestamp() + v_wait;
			PERFORM SCHEMA.grant_credits(v_user, 7, NULL, NULL, v_soon);
			EXIT;
		EXCEPTION WHEN invalid_parameter_value THEN
			v_wait := 2 * v_wait;
			ASSERT v_wait < INTERVAL '5 minutes', 'never in time';
		END;
	END LOOP;
	PERFORM pg_sleep_until(v_soon);
	v_summary := SCHEMA.get_credit_summary(v_user);
	ASSERT (v_summary ->> 'balance')::integer = (v_summary ->> 'spendable')::integer + 7, 'what has expired cannot be spent';
	ASSERT SCHEMA.expire_credits(100000) >= 1, 'expiry';
	ASSERT SCHEMA.get_credit_summary(v_user) ->> 'balance' = v_summary ->> 'spendable', 'it is gone';
	ASSERT NOT EXISTS (SELECT FROM SCHEMA.verify_credit_ledger()), 'the books are sound';

	SET LOCAL ROLE authenticated;
	v_studio := SCHEMA.create_studio_job(v_user, 'audio.mp3') ->> 'job_id';
	SET LOCAL ROLE service_role;
	UPDATE SCHEMA.studio_jobs SET priority = 2147483647 WHERE job_id = v_studio;
	v_token := (SELECT lease_token FROM SCHEMA.claim_jobs('studio_jobs', 'alive', 1) WHERE job_id = v_studio);
	ASSERT SCHEMA.heartbeat_job(v_studio, v_token) ->> 'cancel' = 'false', 'heartbeat';
	PERFORM SCHEMA.update_studio_job_status(v_studio, 'TRANSCRIBING', v_token);
	PERFORM SCHEMA.store_transcript(v_studio, 'What was said', v_token);
	BEGIN
		PERFORM SCHEMA.store_refined_text(v_studio, 'What is meant');
		ASSERT false, 'a write without the lease';
	EXCEPTION WHEN SQLSTATE 'PT409' THEN NULL;
	END;
	PERFORM SCHEMA.store_refined_text(v_studio, 'What is meant', 'model', v_token);
	ASSERT (SELECT status FROM SCHEMA.studio_jobs WHERE job_id = v_studio) = 'COMPLETE', 'refinement';
	ASSERT (SELECT outcome FROM SCHEMA.get_job_attempts(v_studio)) = 'completed', 'attempts';

	SET LOCAL ROLE authenticated;
	PERFORM pipeline.create_job('run of a story', '{"a": 1}');
	SET LOCAL ROLE service_role;
	PERFORM pipeline.set_job_status('run of a story', 'running');
	ASSERT pipeline.record_event('run of a story', 'bot', 'x') = 3, 'the third event';
	ASSERT pipeline.register_artifact('run of a story', 'zip', 'u', '{}', 1, 't', 'c') = pipeline.register_artifact('run of a story', 'zip', 'v', p_checksum => 'c'), 'one artifact';
	PERFORM pipeline.set_job_status('run of a story', 'failed', 'It broke.');
	BEGIN
		UPDATE pipeline.jobs SET status = 'completed' WHERE run_id = 'run of a story';
		ASSERT false, 'illegal transition of a run';
	EXCEPTION WHEN check_violation THEN NULL;
	END;
	PERFORM pipeline.upsert_prompt('prompt of a story', 'c', 'x', 't');
	SET LOCAL ROLE authenticated;
	ASSERT pipeline.retry_job('run of a story') ->> 'last_event_seq' = '5', 'retry';
	ASSERT pipeline.cancel_job('run of a story') ->> 'status' = 'cancelled', 'cancel';
	ASSERT (SELECT string_agg(e.seq::text, ' ') FROM pipeline.events_since('run of a story') e) = '1 2 3 4 5 6', 'events';
	ASSERT (SELECT count(*) FROM pipeline.job_events) = 6, 'a user sees own events only';
	ASSERT pipeline.get_prompt('prompt of a story') ->> 'prompt_text' = 't', 'prompt';

	SET LOCAL ROLE anon;
	BEGIN
		PERFORM 1 FROM pipeline.prompts;
		ASSERT false, 'anon reads prompts';
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;
	BEGIN
		PERFORM 1 FROM SCHEMA.credit_ledger;
		ASSERT false, 'anon reads the ledger';
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;
	SET LOCAL ROLE authenticated;
	BEGIN
		PERFORM SCHEMA.grant_credits(v_user, 5);
		ASSERT false, 'a user grants credits';
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;

	SET LOCAL ROLE NONE;
	SET LOCAL row_security = off;
	UPDATE SCHEMA.profiles SET updated_at = '2001-01-01' WHERE id = v_user;
	ASSERT (SELECT updated_at FROM SCHEMA.profiles WHERE id = v_user) = now(), 'updated_at';
	BEGIN
		UPDATE SCHEMA.jobs SET status = 'READY' WHERE id = v_other;
		ASSERT false, 'illegal transition';
	EXCEPTION WHEN check_violation THEN NULL;
	END;
	BEGIN
		UPDATE SCHEMA.credit_ledger SET amount = 1 WHERE user_id = v_user;
		ASSERT false, 'update of the ledger';
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;
	BEGIN
		DELETE FROM SCHEMA.credit_ledger WHERE user_id = v_user;
		ASSERT false, 'delete from the ledger';
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;
	BEGIN
		TRUNCATE SCHEMA.credit_ledger;
		ASSERT false, 'truncate of the ledger';
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;
	BEGIN
		UPDATE SCHEMA.credit_accounts SET balance = 1000 WHERE user_id = v_user;
		ASSERT false, 'update of an account';
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;

	DELETE FROM auth.users WHERE id = v_user;
	FOR v_table IN SELECT attrelid::regclass FROM pg_attribute
		WHERE attname = 'user_id' AND NOT attisdropped
		  AND attrelid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
						   AND relnamespace IN ('SCHEMA'::regnamespace, 'studio_engine'::regnamespace)) LOOP
		EXECUTE format('SELECT count(*) FROM %s WHERE user_id = $1', v_table) INTO v_rows USING v_user;
		ASSERT v_rows = 0, v_table || ' keeps rows of a deleted user';
		v_tables := v_tables + 1;
	END LOOP;
	ASSERT NOT EXISTS (SELECT FROM pipeline.jobs WHERE owner_id = v_user) AND NOT EXISTS (SELECT FROM pipeline.job_events WHERE owner_id = v_user)
	   AND NOT EXISTS (SELECT FROM pipeline.artifacts WHERE owner_id = v_user), 'runs of a deleted user';
	ASSERT v_tables >= 20, 'there are twenty tables with a user_id or more, not ' || v_tables;
	ASSERT NOT EXISTS (SELECT FROM studio_engine.attempts WHERE job_id = v_studio), 'attempts at jobs of a deleted user';
END
$alive$;
ROLLBACK;
};

# The installation in this database works.
sub alive_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $db, $name, $schema) = @_;
	my $sql = $story;

	$schema //= 'public';
	$sql =~ s/\bSCHEMA\b/$schema/g;
	sql_ok($node, $db, $sql, "$name: sign-up, draft, jobs, workers, credits, run and guards work");
	return;
}

# A readable id: the same words give the same uuid.
sub uuid_of
{
	my (@words) = @_;
	require Digest::MD5;
	my $hex = Digest::MD5::md5_hex(join ' ', @words);

	return join '-', $hex =~ /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;
}

# Kills the postmaster and every backend, the postmaster first, so that it sees
# nobody die.
sub kill_server
{
	my ($node) = @_;
	my @pids = split /\n/, query($node, 'postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid();');
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];

	$node->kill9;
	kill 'KILL', @pids;
	forget_postmaster($node, $postmaster) if !wait_for_end($postmaster, @pids);
	return;
}

# A process that was killed counts as running until its parent has heard of it,
# for us as for the next postmaster.
sub wait_for_end
{
	my (@pids) = @_;
	my $until = time() + 15;

	sleep 0.02 while (grep { kill 0, $_ } @pids) && time() < $until;
	return !grep { kill 0, $_ } @pids;
}

# Where process 1 is a program that waits for nobody, the dead postmaster would
# be taken for a running one for ever.
sub forget_postmaster
{
	my ($node, $pid) = @_;

	give_up("the postmaster did not die") if slurp_file("/proc/$pid/stat") !~ /\) Z /;
	unlink $node->data_dir . '/postmaster.pid';
	return;
}

1;
