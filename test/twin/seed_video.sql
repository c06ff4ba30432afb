/*
 * seed_video.sql
 *
 * The Video system's SQL functions as the seed document (003, sections 5 and 6)
 * words them, in a schema of their own: the oracle of the differential test and
 * the baseline of the measurements.  Load it into a throwaway database only.
 *
 * The four seed bodies are unchanged.  What differs: the schema, found through
 * SET search_path; tables reduced to what the bodies touch, with plain uuid
 * columns instead of foreign keys; and seed.users in the place of auth.users.
 * The seed leaves settling and releasing to its callers' plain INSERTs, so
 * seed.settle_credits and seed.release_credits say what such a caller would do.
 *
 * The pitfall: as an oracle the seed is right only for positive amounts, one
 * reservation per job, settlements up to the reservation, and one session.
 * Known to be wrong, hence not to be compared:
 *   - races: two sessions can reserve, or settle, the same credits, since the
 *     balance is read and the entry written without a lock between them;
 *   - a negative amount mints credits, zero writes an empty entry, NULL breaks
 *     with 23502 instead of a clear refusal;
 *   - reserving twice for one job takes the credits twice, and the user and job
 *     are not checked at all (unknown, of someone else, finished);
 *   - settling above the reservation charges what nobody checked, below zero if
 *     it comes to that; a negative final cost mints credits;
 *   - balance_after stays NULL, and jobs.cost_credits_* are not kept;
 *   - claiming a token that has several live drafts breaks with P0003;
 *   - the second sign-up with one id breaks on the profile's primary key, and an
 *     error in handle_new_user blocks the sign-up.
 */
CREATE SCHEMA seed;

CREATE TABLE seed.users (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	raw_user_meta_data jsonb
);

CREATE TABLE seed.profiles (
	id uuid PRIMARY KEY,
	display_name text,
	created_at timestamptz DEFAULT now(),
	updated_at timestamptz DEFAULT now()
);

CREATE TABLE seed.draft_prompts (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	session_token text NOT NULL,
	user_id uuid,
	prompt_text text NOT NULL,
	template_id text,
	options jsonb DEFAULT '{}',
	created_at timestamptz DEFAULT now(),
	updated_at timestamptz DEFAULT now(),
	expires_at timestamptz DEFAULT now() + INTERVAL '7 days'
);
CREATE INDEX idx_draft_session ON seed.draft_prompts (session_token);
CREATE INDEX idx_draft_user ON seed.draft_prompts (user_id);
CREATE INDEX idx_draft_expires ON seed.draft_prompts (expires_at);

CREATE TABLE seed.jobs (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	project_id uuid,
	user_id uuid NOT NULL,
	status text NOT NULL DEFAULT 'PENDING',
	cost_credits_reserved integer DEFAULT 0,
	cost_credits_final integer,
	created_at timestamptz DEFAULT now()
);

CREATE TABLE seed.credit_ledger (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid NOT NULL,
	type text NOT NULL CHECK (type IN (
		'purchase', 'usage', 'refund', 'grant', 'expire', 'reserve', 'subscription'
	)),
	amount integer NOT NULL,
	balance_after integer,
	note text,
	job_id uuid,
	stripe_payment_id text,
	created_at timestamptz DEFAULT now()
);
CREATE INDEX idx_credit_user ON seed.credit_ledger (user_id);
CREATE INDEX idx_credit_job ON seed.credit_ledger (job_id);
CREATE INDEX idx_credit_created ON seed.credit_ledger (created_at DESC);

--------------------------------------------------------------------------------
-- Section 5 of the seed
--------------------------------------------------------------------------------

CREATE FUNCTION seed.get_credit_balance(p_user_id UUID)
RETURNS INTEGER AS $$
  SELECT COALESCE(SUM(amount), 0)::INTEGER
  FROM credit_ledger
  WHERE user_id = p_user_id;
$$ LANGUAGE sql STABLE SET search_path = seed;

CREATE FUNCTION seed.reserve_credits(
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
$$ LANGUAGE plpgsql SET search_path = seed;

CREATE FUNCTION seed.claim_draft_prompt(
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
$$ LANGUAGE plpgsql SET search_path = seed;

--------------------------------------------------------------------------------
-- Section 6 of the seed
--------------------------------------------------------------------------------

CREATE FUNCTION seed.handle_new_user()
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
$$ LANGUAGE plpgsql SECURITY DEFINER SET search_path = seed;

CREATE TRIGGER on_auth_user_created
AFTER INSERT ON seed.users
FOR EACH ROW EXECUTE FUNCTION seed.handle_new_user();

--------------------------------------------------------------------------------
-- What a caller of the seed does at the end of a job
--------------------------------------------------------------------------------

-- The open reservation of a job: who pays, and how much is held.  No row when
-- nothing was reserved or the reservation is closed already.
CREATE FUNCTION seed.open_hold(p_job_id uuid, OUT user_id uuid, OUT held integer)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = seed AS $$
	SELECT l.user_id, -SUM(l.amount)::integer
	FROM credit_ledger l
	WHERE l.job_id = p_job_id AND l.type = 'reserve'
	GROUP BY l.user_id
	HAVING SUM(l.amount) <> 0;
$$;

-- Gives the reservation back and charges p_final (NULL: all of it).  Returns what
-- was charged, or NULL, writing nothing, when the job has no open reservation.
CREATE FUNCTION seed.settle_credits(p_job_id uuid, p_final integer DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = seed AS $$
DECLARE
	v_hold record;
BEGIN
	SELECT * INTO v_hold FROM open_hold(p_job_id);
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;

	INSERT INTO credit_ledger (user_id, type, amount, job_id, note)
	VALUES (v_hold.user_id, 'reserve', v_hold.held, p_job_id, 'Reservation closed'),
		   (v_hold.user_id, 'usage', -COALESCE(p_final, v_hold.held), p_job_id, 'Charged for job');

	RETURN COALESCE(p_final, v_hold.held);
END;
$$;

-- Gives the reservation back.  Returns how much, or NULL, writing nothing, when
-- the job has no open reservation.
CREATE FUNCTION seed.release_credits(p_job_id uuid) RETURNS integer
LANGUAGE plpgsql SET search_path = seed AS $$
DECLARE
	v_hold record;
BEGIN
	SELECT * INTO v_hold FROM open_hold(p_job_id);
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;

	INSERT INTO credit_ledger (user_id, type, amount, job_id, note)
	VALUES (v_hold.user_id, 'reserve', v_hold.held, p_job_id, 'Reservation closed');

	RETURN v_hold.held;
END;
$$;
