# A database that runs the design document alone, with good and with damaged
# books, is taken over by studio_engine_import_seed.sql: every row, every credit, a report,
# and a product that works on.  What fails in the middle changes nothing.
#
# Pitfall: the histories are played with the functions of the document, which
# do the damage themselves, each in a transaction of its own so that the times
# differ.  What is expected is counted by hand, not by the script's own rules.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('import_seed');

# --- the document ------------------------------------------------------------

my $seed_schema = q{
CREATE TABLE profiles (
  id UUID PRIMARY KEY REFERENCES auth.users(id) ON DELETE CASCADE,
  display_name TEXT,
  avatar_url TEXT,
  notification_prefs JSONB DEFAULT '{"job_complete": true, "job_failed": true}',
  stripe_customer_id TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX idx_profiles_stripe ON profiles(stripe_customer_id);
CREATE TABLE projects (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES auth.users(id) ON DELETE CASCADE,
  title TEXT NOT NULL,
  prompt_text TEXT NOT NULL,
  niche_preset TEXT NOT NULL CHECK (niche_preset IN (
    'motivation', 'explainer', 'facts', 'history', 'finance', 'science'
  )),
  target_minutes INTEGER NOT NULL DEFAULT 1 CHECK (target_minutes BETWEEN 1 AND 10),
  voice_profile_id UUID,
  transcript_mode TEXT DEFAULT 'auto' CHECK (transcript_mode IN ('auto', 'manual')),
  transcript_text TEXT,
  settings JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX idx_projects_user ON projects(user_id);
CREATE INDEX idx_projects_created ON projects(created_at DESC);
CREATE TYPE job_status AS ENUM (
  'PENDING', 'QUEUED', 'SCRIPTING', 'VOICE_GEN', 'ALIGNMENT',
  'VISUAL_PLAN', 'IMAGE_GEN', 'TIMELINE', 'RENDERING',
  'PACKAGING', 'READY', 'FAILED'
);
CREATE TABLE jobs (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  project_id UUID NOT NULL REFERENCES projects(id) ON DELETE CASCADE,
  user_id UUID NOT NULL REFERENCES auth.users(id) ON DELETE CASCADE,
  status job_status NOT NULL DEFAULT 'PENDING',
  progress INTEGER DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
  status_message TEXT,
  cost_credits_reserved INTEGER DEFAULT 0,
  cost_credits_final INTEGER,
  failed_step TEXT,
  error_code TEXT,
  error_message TEXT,
  output_url TEXT,
  manifest_json JSONB,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ
);
CREATE INDEX idx_jobs_user ON jobs(user_id);
CREATE INDEX idx_jobs_project ON jobs(project_id);
CREATE INDEX idx_jobs_status ON jobs(status);
CREATE INDEX idx_jobs_created ON jobs(created_at DESC);
CREATE TABLE credit_ledger (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES auth.users(id) ON DELETE CASCADE,
  type TEXT NOT NULL CHECK (type IN (
    'purchase', 'usage', 'refund', 'grant', 'expire', 'reserve', 'subscription'
  )),
  amount INTEGER NOT NULL,
  balance_after INTEGER,
  note TEXT,
  job_id UUID REFERENCES jobs(id),
  stripe_payment_id TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX idx_credit_user ON credit_ledger(user_id);
CREATE INDEX idx_credit_job ON credit_ledger(job_id);
CREATE INDEX idx_credit_created ON credit_ledger(created_at DESC);

CREATE OR REPLACE FUNCTION get_credit_balance(p_user_id UUID)
RETURNS INTEGER AS $$
  SELECT COALESCE(SUM(amount), 0)::INTEGER
  FROM credit_ledger
  WHERE user_id = p_user_id;
$$ LANGUAGE sql STABLE;

CREATE OR REPLACE FUNCTION reserve_credits(
  p_user_id UUID,
  p_job_id UUID,
  p_amount INTEGER
) RETURNS BOOLEAN AS $$
DECLARE
  v_balance INTEGER;
BEGIN
  SELECT get_credit_balance(p_user_id) INTO v_balance;
  
  IF v_balance < p_amount THEN
    RETURN FALSE;
  END IF;
  
  INSERT INTO credit_ledger (user_id, type, amount, job_id, note)
  VALUES (p_user_id, 'reserve', -p_amount, p_job_id, 'Reserved for job');
  
  RETURN TRUE;
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION handle_new_user()
RETURNS TRIGGER AS $$
BEGIN
  -- Create profile
  INSERT INTO profiles (id, display_name)
  VALUES (NEW.id, NEW.raw_user_meta_data->>'name');
  
  -- Grant trial credits
  INSERT INTO credit_ledger (user_id, type, amount, note)
  VALUES (NEW.id, 'grant', 10, 'Welcome bonus: 1 free video trial');
  
  RETURN NEW;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

CREATE TRIGGER on_auth_user_created
AFTER INSERT ON auth.users
FOR EACH ROW EXECUTE FUNCTION handle_new_user();

CREATE OR REPLACE FUNCTION update_updated_at()
RETURNS TRIGGER AS $$
BEGIN
  NEW.updated_at = NOW();
  RETURN NEW;
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER tr_profiles_updated
BEFORE UPDATE ON profiles
FOR EACH ROW EXECUTE FUNCTION update_updated_at();

CREATE TRIGGER tr_projects_updated
BEFORE UPDATE ON projects
FOR EACH ROW EXECUTE FUNCTION update_updated_at();

ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;

CREATE POLICY profiles_select ON profiles
  FOR SELECT USING (auth.uid() = id);

CREATE POLICY profiles_update ON profiles
  FOR UPDATE USING (auth.uid() = id);

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;

CREATE POLICY projects_all ON projects
  USING (auth.uid() = user_id);

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;

CREATE POLICY jobs_select ON jobs
  FOR SELECT USING (auth.uid() = user_id);

ALTER TABLE credit_ledger ENABLE ROW LEVEL SECURITY;

CREATE POLICY credit_select ON credit_ledger
  FOR SELECT USING (auth.uid() = user_id);
};

# tables that came with later migrations; a database may be older
my $seed_later = q{
CREATE TABLE draft_prompts (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  session_token TEXT NOT NULL,
  user_id UUID REFERENCES auth.users(id) ON DELETE CASCADE,
  prompt_text TEXT NOT NULL,
  template_id TEXT,
  options JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  expires_at TIMESTAMPTZ DEFAULT NOW() + INTERVAL '7 days'
);
CREATE INDEX idx_draft_session ON draft_prompts(session_token);
CREATE INDEX idx_draft_user ON draft_prompts(user_id);
CREATE INDEX idx_draft_expires ON draft_prompts(expires_at);
CREATE TYPE step_status AS ENUM ('pending', 'started', 'succeeded', 'failed');
CREATE TABLE job_steps (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  job_id UUID NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  step_name TEXT NOT NULL,
  step_order INTEGER NOT NULL,
  state step_status DEFAULT 'pending',
  progress_pct INTEGER DEFAULT 0,
  status_message TEXT,
  error_message TEXT,
  logs_url TEXT,
  artifacts_json JSONB DEFAULT '{}',
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ
);
CREATE INDEX idx_job_steps_job ON job_steps(job_id);
CREATE UNIQUE INDEX idx_job_steps_unique ON job_steps(job_id, step_name);
CREATE TABLE assets (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  job_id UUID NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  type TEXT NOT NULL CHECK (type IN (
    'video', 'audio', 'image', 'captions', 'manifest', 'zip'
  )),
  url TEXT NOT NULL,
  storage_path TEXT NOT NULL,
  size_bytes BIGINT,
  mime_type TEXT,
  metadata_json JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX idx_assets_job ON assets(job_id);
CREATE INDEX idx_assets_type ON assets(type);
CREATE OR REPLACE FUNCTION claim_draft_prompt(
  p_session_token TEXT,
  p_user_id UUID
) RETURNS UUID AS $$
DECLARE
  v_draft_id UUID;
BEGIN
  UPDATE draft_prompts
  SET user_id = p_user_id, updated_at = NOW()
  WHERE session_token = p_session_token
    AND user_id IS NULL
    AND expires_at > NOW()
  RETURNING id INTO v_draft_id;
  
  RETURN v_draft_id;
END;
$$ LANGUAGE plpgsql;
};

# --- players -------------------------------------------------------------------

sub script_path
{
	my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);

	return "$sharedir/extension/studio_engine_import_seed.sql";
}

# Runs the script; status, output and messages.
sub import_into
{
	my ($db, @options) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', $db,
			'-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1', @options, '-f', script_path() ],
		'>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub seed_database
{
	my ($db, $later) = @_;

	query($node, 'postgres', qq(CREATE DATABASE "$db"));
	load_stub($node, $db);
	query($node, $db, $seed_schema . ($later // $seed_later));
	return;
}

sub user { return "'" . uuid_of('user', @_) . "'" }
sub job { return "'" . uuid_of('job', @_) . "'" }
sub entry { return "'" . uuid_of('entry', @_) . "'" }

# A user with a project; sign-up gives 10 credits.
sub sign_up
{
	my ($name) = @_;

	return sprintf q{
		INSERT INTO auth.users (id, email, raw_user_meta_data) VALUES (%1$s, '%2$s@example.com', '{"name": "%2$s"}');
		INSERT INTO projects (id, user_id, title, prompt_text, niche_preset)
			VALUES (%1$s, %1$s, 'Project of %2$s', 'A prompt', 'science');}, user($name), $name;
}

# A job named after its user and a number.
sub add_job
{
	my ($name, $number, $status, $columns) = @_;

	return sprintf q{INSERT INTO jobs (id, project_id, user_id, status) VALUES (%s, %s, %s, '%s');},
		job($name, $number), user($name), user($name), $status // 'QUEUED';
}

sub reserve
{
	my ($name, $number, $amount) = @_;

	return sprintf 'SELECT reserve_credits(%s, %s, %d);', user($name), job($name, $number), $amount;
}

# A plain entry, as the applications of the document made them.
sub enter
{
	my ($name, $number, $type, $amount, %columns) = @_;

	return sprintf "INSERT INTO credit_ledger (id, user_id, type, amount, job_id, note, stripe_payment_id)
		VALUES (%s, %s, '%s', %d, %s, %s, %s);",
		$columns{id} // 'gen_random_uuid()', user($name), $type, $amount, defined $number ? job($name, $number) : 'NULL',
		$columns{note} // 'NULL', defined $columns{payment} ? "'$columns{payment}'" : 'NULL';
}

my $good_history = join "\n", map { sign_up($_) } qw(newcomer buyer);
$good_history .= join "\n",
	# paid, and settled in one transaction: both entries have one time
	enter('buyer', undef, 'purchase', 100, payment => 'pi_buyer'),
	add_job('buyer', 1, 'READY'),
	reserve('buyer', 1, 110),
	'BEGIN;', enter('buyer', 1, 'reserve', 110), enter('buyer', 1, 'usage', -110), 'COMMIT;',
	# failed and given back, then running
	enter('buyer', undef, 'subscription', 50, payment => 'in_buyer'),
	add_job('buyer', 2, 'FAILED'), reserve('buyer', 2, 5), enter('buyer', 2, 'reserve', 5),
	add_job('buyer', 3, 'RENDERING'), reserve('buyer', 3, 7),
	# charged, and refunded in part
	add_job('buyer', 4, 'READY'), reserve('buyer', 4, 4), enter('buyer', 4, 'reserve', 4),
	enter('buyer', 4, 'usage', -4), enter('buyer', 4, 'refund', 3),
	# a payment that was taken back
	enter('buyer', undef, 'purchase', 20, payment => 'pi_back'),
	enter('buyer', undef, 'purchase', -20, payment => 'pi_back'),
	"UPDATE profiles SET stripe_customer_id = 'cus_1' WHERE id = " . user('buyer') . ';';

my $rows_of_video = sprintf q{
	INSERT INTO job_steps (job_id, step_name, step_order, state, progress_pct) VALUES (%1$s, 'scripting', 1, 'succeeded', 100), (%1$s, 'rendering', 7, 'started', 40);
	INSERT INTO assets (job_id, type, url, storage_path, size_bytes) VALUES (%2$s, 'video', 'https://example.com/v', 'v.mp4', 5000000000);
	INSERT INTO draft_prompts (session_token, prompt_text) VALUES ('open token', 'Still to be claimed');
	INSERT INTO draft_prompts (session_token, prompt_text) VALUES ('claimed token', 'Claimed');
	SELECT claim_draft_prompt('claimed token', %3$s);}, job('buyer', 3), job('buyer', 1), user('buyer');

my $bad_history = join "\n", map { sign_up($_) } qw(minter payer holder twice debtor odd);
$bad_history .= join "\n",
	# reserve_credits() with a negative amount makes credit
	add_job('minter', 1), reserve('minter', 1, -50), add_job('minter', 2), reserve('minter', 2, 20),
	# one payment, delivered twice
	enter('payer', undef, 'purchase', 100, payment => 'pi_twice', id => entry('payer', 1)),
	enter('payer', undef, 'purchase', 100, payment => 'pi_twice', id => entry('payer', 2)),
	# jobs that ended with their reservations open; one of them was charged besides
	add_job('holder', 1, 'FAILED'), reserve('holder', 1, 3),
	add_job('holder', 2, 'READY'), reserve('holder', 2, 2), enter('holder', 2, 'usage', -2),
	add_job('holder', 3, 'READY'), reserve('holder', 3, 1),
	# two reservations, one of them of the same amount as before
	add_job('twice', 1, 'SCRIPTING'), reserve('twice', 1, 2), reserve('twice', 1, 2), reserve('twice', 1, 3),
	# the later of two was closed, the older one stays
	add_job('twice', 2, 'RENDERING'), reserve('twice', 2, 1), reserve('twice', 2, 2), enter('twice', 2, 'reserve', 2),
	enter('holder', undef, 'grant', 5),
	add_job('holder', 4, 'FAILED'), reserve('holder', 4, 3), reserve('holder', 4, 1), enter('holder', 4, 'reserve', 1),
	# nothing kept the balance above zero
	enter('debtor', undef, 'usage', -25, id => entry('debtor', 1)), enter('debtor', undef, 'grant', 40),
	# what no function would write
	add_job('odd', 1), reserve('odd', 1, 0),
	sprintf('SELECT reserve_credits(%s, NULL, 4);', user('odd')),
	sprintf('SELECT reserve_credits(%s, %s, 1);', user('odd'), job('minter', 1)),
	enter('odd', 1, 'refund', 6), enter('odd', undef, 'grant', -2),
	# given back the way that some applications did it
	add_job('odd', 2, 'FAILED'), reserve('odd', 2, 5), enter('odd', 2, 'refund', 5);

# --- good books ------------------------------------------------------------------

sub import_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name, @options) = @_;
	my ($status, $out, $err) = import_into($db, '-1', @options);

	ok($status == 0, $name) or diag($err);
	unlike($err, qr/WARNING|ERROR/, '... without a warning');
	return $out;
}

# Rows of a table, without the table's name in them.
sub rows_of
{
	my ($db, $schema, $table) = @_;

	return query($node, $db, "SELECT to_jsonb(t) FROM $schema.$table t ORDER BY id;");
}

sub balances
{
	my ($db, $schema) = @_;

	return query($node, $db, "SELECT user_id, sum(amount) FROM $schema.credit_ledger GROUP BY user_id ORDER BY user_id;");
}

my @tables = qw(profiles draft_prompts projects jobs job_steps assets);

seed_database('good');
query($node, 'good', $good_history);
query($node, 'good', $rows_of_video);
query($node, 'good', 'ALTER PUBLICATION supabase_realtime ADD TABLE jobs;');
my %before = map { $_ => rows_of('good', 'public', $_) } @tables;
my $balances = balances('good', 'public');

import_ok('good', 'a sound database is imported');
foreach my $table (@tables)
{
	my $after = rows_of('good', 'public', $table);

	isnt($before{$table}, '', "there are rows of $table to compare");
	# a job that has ended says what it cost, and a held one how much is held
	s/"cost_credits_(?:final|reserved)": (?:null|\d+)//g foreach $before{$table}, $after;
	# columns that the design document does not have
	$after =~ s/"priority": 0, |"(?:run_at|idempotency_key|max_attempts|cancel_requested_at)": null, //g if $table eq 'jobs';
	$after =~ s/"user_id": "[^"]*", //g if $table =~ /^(?:job_steps|assets)$/;
	is($after, $before{$table}, "all rows of $table are there, unchanged");
}
is(query($node, 'good', q{SELECT count(*) FROM jobs j JOIN (SELECT job_id, user_id FROM job_steps UNION ALL SELECT job_id, user_id FROM assets) b
	ON b.job_id = j.id WHERE b.user_id <> j.user_id;}), '0', 'what belongs to a job has its user');
is(query($node, 'good', q{SELECT count(*) FROM jobs WHERE status NOT IN ('PENDING', 'READY', 'FAILED')
	AND id NOT IN (SELECT job_id FROM studio_engine.queue WHERE state = 'waiting');}), '0', 'workers can claim the jobs that go on');
is(balances('good', 'public'), $balances, 'every sum is what it was');
is(query($node, 'good', 'SELECT * FROM seed_backup.import_report;'), '', 'nothing is reported');
is(query($node, 'good', 'SELECT * FROM verify_credit_ledger();'), '', 'verify_credit_ledger() is empty');
is(query($node, 'good', sprintf(q{
	SELECT status, cost_credits_reserved, cost_credits_final FROM jobs ORDER BY id = %s, id = %s, id = %s;},
		map { job('buyer', $_) } 4, 3, 2)),
	"READY|0|110\nFAILED|0|0\nRENDERING|7|\nREADY|0|4", 'jobs say what they hold and what they cost');
is(query($node, 'good', q{
	SELECT count(*) FROM credit_ledger c JOIN credit_ledger h ON h.id = c.reverses
	 WHERE c.type = 'reserve' AND h.type = 'reserve' AND c.amount = -h.amount AND c.job_id = h.job_id AND h.entry_no < c.entry_no;}),
	'3', 'closing entries name the reservation that they close');
is(query($node, 'good', q{
	SELECT c.amount, h.amount FROM credit_ledger c JOIN credit_ledger h ON h.id = c.reverses WHERE c.type = 'purchase';}),
	'-20|20', 'a negative payment is the reversal of the payment');
is(query($node, 'good', q{SELECT count(*) FROM credit_ledger WHERE balance_after < 0;}), '0',
	'entries of one transaction are in an order that does not overdraw');
is(query($node, 'good', q{SELECT count(*) FROM studio_engine.lint();}), '0', 'lint() finds nothing');
is(query($node, 'good', q{
	SELECT string_agg(schemaname || '.' || tablename, ', ') FROM pg_publication_tables WHERE pubname = 'supabase_realtime';}),
	'public.jobs', 'the publication sends the new table');
is(query($node, 'good', q{
	SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'seed_backup'::regnamespace AND c.relkind = 'r'
	   AND has_table_privilege('authenticated', c.oid, 'SELECT') AND has_schema_privilege('authenticated', 'seed_backup', 'USAGE');}),
	'0', 'no API role reads the backup');

# --- it works on -------------------------------------------------------------------

alive_ok($node, 'good', 'after the import');
books_ok($node, 'good', 'after the import');
is(query($node, 'good', sprintf q{
	SELECT count(*) FROM (SELECT ensure_profile(%1$s)) e;
	SELECT count(*), sum(amount) FROM credit_ledger WHERE user_id = %1$s;}, user('newcomer')),
	"1\n1|10", 'ensure_profile() welcomes nobody again');
is(query($node, 'good', sprintf(q{
	SELECT get_credit_balance(%1$s);
	SELECT purchase_credits(%1$s, 100, 'pi_buyer') = (SELECT id FROM credit_ledger WHERE stripe_payment_id = 'pi_buyer');
	SELECT reserve_credits(%1$s, %2$s, 7);
	SELECT refund_credits(%3$s, 1);
	SELECT reverse_purchase('pi_back');
	SELECT settle_credits(%2$s, 6);
	SELECT get_credit_balance(%1$s);}, user('buyer'), job('buyer', 3), job('buyer', 4))),
	join("\n", '42', 't', 't', '1', '0', '6', '44'),
	'payments, holds, refunds and reversals of before are known');
is(query($node, 'good', sprintf q{SELECT claim_draft_prompt('open token', %s) = (SELECT id FROM draft_prompts WHERE session_token = 'open token');},
	user('newcomer')), 't', 'a draft of before is claimed');
is(query($node, 'good', sprintf(q{
	DELETE FROM projects WHERE id = %1$s;
	SELECT reserved FROM credit_accounts WHERE user_id = %1$s;
	DELETE FROM auth.users WHERE id = %1$s;
	SELECT count(*) FROM credit_ledger WHERE user_id = %1$s;
	SELECT count(*) FROM seed_backup.credit_ledger WHERE user_id = %1$s;
	SELECT count(*) FROM auth.users;}, user('buyer'))),
	join("\n", 0, 0, 0, 1), 'a user is deleted, in the backup too');

my ($status, $out, $err) = import_into('good', '-1');
is("$status $err", '0 ', 'a second run does nothing');
like($out, qr/\ANothing to import: .*\n\z/, '... and says so');

# --- damaged books ------------------------------------------------------------------

seed_database('bad');
query($node, 'bad', $good_history);
query($node, 'bad', $bad_history);
query($node, 'bad', q{
	ALTER TABLE projects ADD COLUMN colour text DEFAULT 'red';
	ALTER TABLE credit_ledger DROP CONSTRAINT credit_ledger_type_check;
	CREATE TABLE own (id integer, updated_at timestamptz);
	CREATE TRIGGER own_updated BEFORE UPDATE ON own FOR EACH ROW EXECUTE FUNCTION update_updated_at();
	CREATE POLICY jobs_own ON jobs FOR UPDATE USING (false);
	CREATE ROLE analyst;
	GRANT SELECT, UPDATE ON jobs TO analyst;
	CREATE OR REPLACE FUNCTION handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
		INSERT INTO profiles (id) VALUES (NEW.id);
		RETURN NEW;
	END $$;});
query($node, 'bad', enter('odd', undef, 'bonus', 9));
query($node, 'postgres', 'CREATE DATABASE bad_settled TEMPLATE bad');
query($node, 'postgres', 'CREATE DATABASE bad_again TEMPLATE bad');
$balances = balances('bad', 'public');
my $printed = import_ok('bad', 'a damaged database is imported');

# user, what was wrong, amount; as many lines as there is damage
sub damage_of
{
	my ($db, $name) = @_;

	return query($node, $db, sprintf q{
		SELECT r.damage, r.amount FROM seed_backup.import_report r WHERE r.user_id = %s ORDER BY r.no;}, user($name));
}

is(damage_of('bad', 'minter'), 'negative reservation|50', 'report: the negative reservation');
is(damage_of('bad', 'payer'), 'duplicate payment|100', 'report: the duplicate payment');
is(damage_of('bad', 'holder'), join("\n", map { "reservation of a dead job|$_" } -3, -2, -1, -3),
	'report: the reservations of dead jobs');
is(damage_of('bad', 'twice'), join("\n", map { "two reservations of one job|$_" } -2, -2, -1),
	'report: the further reservations of one job');
is(damage_of('bad', 'debtor'), 'overdrawn balance|-15', 'report: the overdrawn balance, at its lowest');
is(join("\n", sort split /\n/, damage_of('bad', 'odd')),
	join("\n", sort map { "odd entry|$_" } 9, -1, -1, 0, -2, 6, 5, -4), 'report: every odd entry');
is(query($node, 'bad', sprintf q{SELECT count(*) FROM seed_backup.import_report WHERE user_id IN (%s, %s);},
	user('newcomer'), user('buyer')), '0', 'report: nothing about the others');
is(query($node, 'bad', q{SELECT damage FROM seed_backup.import_report WHERE user_id IS NULL ORDER BY no;}),
	"own column\nown policy\nown grant\nown function\nown trigger", 'report: what is not of the document');
is(scalar(() = $printed =~ /^[-0-9a-f]{36}\|(?:odd entry|negative res|duplicate|reservation|two res|overdrawn balance)/mg),
	query($node, 'bad', 'SELECT count(*) FROM seed_backup.import_report WHERE user_id IS NOT NULL;'), 'the report is printed');

# what the sums became: only reservations were given back
is(query($node, 'bad', sprintf q{
	SELECT n.user_id = %s, n.sum - o.sum
	  FROM (SELECT user_id, sum(amount) FROM credit_ledger GROUP BY user_id) n
	  JOIN (SELECT user_id, sum(amount) FROM seed_backup.credit_ledger GROUP BY user_id) o USING (user_id)
	 WHERE n.sum <> o.sum ORDER BY n.sum - o.sum, n.user_id = %1$s;}, user('holder')),
	"f|4\nf|5\nt|9", 'sums differ by the reservations that were given back');
is(query($node, 'bad', sprintf q{SELECT balance, reserved FROM credit_accounts WHERE user_id = %s;}, user('twice')),
	'6|4', 'one reservation of each job stays');
is(query($node, 'bad', sprintf(q{
	SELECT settle_credits(%s, 1), settle_credits(%s);
	SELECT balance, reserved FROM credit_accounts WHERE user_id = %s;}, job('twice', 2), job('twice', 1), user('twice'))),
	"1|3\n6|0", '... and is settled');
is(query($node, 'bad', sprintf q{SELECT balance, reserved FROM credit_accounts WHERE user_id = %s;}, user('minter')),
	'40|20', 'credit out of nothing stays, as a grant');
is(query($node, 'bad', sprintf q{
	SELECT l.stripe_payment_id, l.note FROM credit_ledger l WHERE l.id IN (%s, %s) ORDER BY l.entry_no;},
	entry('payer', 1), entry('payer', 2)),
	"pi_twice|\n|[import: payment pi_twice was booked before]", 'the first entry keeps the payment, the second says so');
is(query($node, 'bad', 'SELECT problem, user_id, entry_id FROM verify_credit_ledger();'),
	'overdrawn without a reversal|' . (user('debtor') . '|' . entry('debtor', 1)) =~ s/'//gr,
	'verify_credit_ledger() names the overdrawn history and nothing else');
is(query($node, 'bad', q{
	SELECT count(*) FROM seed_backup.credit_ledger o LEFT JOIN credit_ledger n USING (id)
	 WHERE (o.user_id, o.amount, o.created_at) IS DISTINCT FROM (n.user_id, n.amount, n.created_at);}),
	'0', 'every entry kept its id, user, amount and time');
is(query($node, 'bad', q{
	SELECT rows_before, rows_after > rows_before, credits_after - credits_before FROM seed_backup.import_summary WHERE kind = 'credit_ledger';}),
	query($node, 'bad', q{SELECT count(*), true, 18 FROM seed_backup.credit_ledger;}), 'the summary counts entries and credits');
is(query($node, 'bad', q{SELECT count(*) FROM projects p JOIN seed_backup.projects b USING (id) WHERE b.colour = 'red';}),
	query($node, 'bad', 'SELECT count(*) FROM projects;'), 'an own column is in the backup');
is(query($node, 'bad', q{
	INSERT INTO own VALUES (1);
	UPDATE own SET id = 2;
	SELECT updated_at IS NOT NULL FROM own;}), 't', 'an own trigger goes on');
query($node, 'bad', sprintf 'DELETE FROM auth.users WHERE id = %s;', user('debtor'));
is(query($node, 'bad', 'SELECT * FROM verify_credit_ledger();'), '', 'without the debtor the books are sound');
alive_ok($node, 'bad', 'after mending');

# the books do not depend on the run
my $numbers = q{
	SELECT n.id, n.type, n.entry_no, n.balance_after, n.reverses FROM credit_ledger n
	  JOIN seed_backup.credit_ledger o USING (id) ORDER BY n.id;};
my $numbers_of_bad = query($node, 'bad', $numbers);
import_ok('bad_again', 'the same database again');
query($node, 'bad_again', sprintf 'DELETE FROM auth.users WHERE id = %s;', user('debtor'));
is(query($node, 'bad_again', $numbers), $numbers_of_bad, 'the same history gives the same books');

import_ok('bad_settled', 'READY jobs may be charged instead', '-v', 'ready_holds=settle');
is(query($node, 'bad_settled', sprintf q{
	SELECT a.balance, a.reserved, get_credit_summary(a.user_id) -> 'lifetime_used' FROM credit_accounts a WHERE a.user_id = %s;}, user('holder')),
	'12|0|3', 'a READY job without another charge costs its reservation');

# --- what is refused, and what fails -----------------------------------------------------

# The import fails, and the database is the one before.
sub fails_unchanged
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, $change, $sqlstate, $expected, @options) = @_;

	query($node, 'postgres', 'CREATE DATABASE failing TEMPLATE seed_good');
	query($node, 'failing', $change) if $change ne '';
	my $dump = dump_text($node, 'failing');
	my ($status, $out, $err) = import_into('failing', @options ? @options : '-1');

	ok($status != 0 && $err =~ /ERROR:  $sqlstate: / && $err =~ $expected, $name) or diag("status $status: $err");
	same_text(dump_text($node, 'failing'), $dump, '... and nothing has changed');
	query($node, 'postgres', 'DROP DATABASE failing');
	return;
}

seed_database('seed_good');
query($node, 'seed_good', $good_history);
query($node, 'seed_good', $rows_of_video);

fails_unchanged('without -1 it does not start', '', '25P01', qr/-1 \(--single-transaction\)/, '-q');
fails_unchanged('an unknown choice is refused', '', '22023', qr/release or settle/, '-1', '-v', 'ready_holds=perhaps');
fails_unchanged('a missing column is refused', 'ALTER TABLE jobs DROP COLUMN error_code', '55000', qr/column jobs\.error_code is missing/);
fails_unchanged('another type of column is refused', 'ALTER TABLE credit_ledger ALTER COLUMN amount TYPE numeric', '55000',
	qr/column credit_ledger\.amount is numeric, not integer/);
fails_unchanged('a missing table is refused', 'DROP TABLE credit_ledger', '55000', qr/table public\.credit_ledger is missing/);
fails_unchanged('a view on the tables is refused', 'CREATE VIEW busy AS SELECT * FROM jobs', '55000', qr/rule _RETURN on view busy|rule _RETURN on view public\.busy/);
fails_unchanged('a foreign key to the tables is refused', 'CREATE TABLE likes (job_id uuid REFERENCES jobs)', '55000',
	qr/constraint likes_job_id_fkey on table (?:public\.)?likes depends on/);
fails_unchanged('another use of the sign-up function is refused',
	'CREATE TRIGGER again AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION handle_new_user()', '55000', qr/trigger again on table auth\.users/);
fails_unchanged('a schema of that name is refused', 'CREATE SCHEMA seed_backup', '55000', qr/schema seed_backup exists already/);
fails_unchanged('an own function with a name of ours is refused',
	q{CREATE FUNCTION grant_credits(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'}, '42723', qr/grant_credits\(integer\)/);
fails_unchanged('a row that the new tables do not take fails in the middle',
	q{ALTER TABLE projects DROP CONSTRAINT projects_niche_preset_check; UPDATE projects SET niche_preset = 'travel'}, '23514',
	qr/projects_niche_preset_check/);
fails_unchanged('a status that is not of the document fails in the middle',
	q{ALTER TABLE jobs ALTER status DROP DEFAULT, ALTER status TYPE text; UPDATE jobs SET status = 'PAUSED'}, '22P02', qr/job_status: "PAUSED"/);
fails_unchanged('a balance out of range fails near the end',
	join(';', map { "INSERT INTO credit_ledger (user_id, type, amount) VALUES (" . user('buyer') . ", 'grant', 2147483647)" } 1 .. 2),
	'22003', qr/Users [-0-9a-f]{36}/);

# --- who, and which database -----------------------------------------------------------

query($node, 'postgres', 'CREATE ROLE keeper LOGIN; CREATE DATABASE kept OWNER keeper');
load_stub($node, 'kept');
query($node, 'kept', q{
	GRANT ALL ON SCHEMA public TO keeper;
	GRANT USAGE ON SCHEMA auth TO keeper;
	GRANT ALL ON auth.users TO keeper;});
query($node, 'kept', $seed_schema, user => 'keeper');
query($node, 'kept', $good_history);
query($node, 'kept', 'ALTER TABLE projects FORCE ROW LEVEL SECURITY;');
{
	local $ENV{PGUSER} = 'keeper';
	my ($refused, undef, $why) = import_into('kept', '-1');
	ok($refused != 0 && $why =~ /42501: query would be affected by row-level security policy/,
		'rows that a policy hides from the owner are not left behind');
}
query($node, 'kept', 'ALTER TABLE projects NO FORCE ROW LEVEL SECURITY;');
{
	my ($refused, undef, $why) = import_into('kept', '-1');
	ok($refused != 0 && $why =~ /public\.projects belongs to keeper/,
		'a superuser does not run what the owner of the tables may have put on them');
}
{
	local $ENV{PGUSER} = 'keeper';
	import_ok('kept', 'the owner of the tables, no superuser, imports an older database');
}
is(query($node, 'kept', q{SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'studio_engine', 'seed_backup');}),
	'keeper', '... and owns everything');
is(query($node, 'kept', 'SELECT * FROM verify_credit_ledger();', user => 'keeper'), '', '... with sound books');
alive_ok($node, 'kept', 'imported by its owner');

query($node, 'postgres', 'CREATE DATABASE fresh');
load_stub($node, 'fresh');
($status, $out, $err) = import_into('fresh', '-1');
like($err, qr/55000: this database cannot be imported as it is\nDETAIL:  table public\.credit_ledger is missing; /,
	'a database without the tables is refused');
sql_ok($node, 'fresh', 'CREATE EXTENSION studio_engine', 'studio_engine installs there');
($status, $out, $err) = import_into('fresh', '-1');
like("$status $out", qr/\A0 Nothing to import/, 'a database of studio_engine has nothing to import');

done_testing();
