-- The twin of the credits (test/twin/credits.sql), made ready to be measured.
-- The oracle is written to be read; this is written to be fast: one function a
-- call, no statement that is not needed, static plans.  It checks and writes
-- what ours does, in tables with the same columns, indexes and guards; users
-- who have credit that expired are left to the functions of the oracle.
-- The pitfall: ours can be called by a service only, which is checked with each
-- call.  The twin leaves that to GRANT, so it has a little less to do.

ALTER TABLE twin.jobs
	ADD COLUMN project_id uuid,
	ADD COLUMN progress integer DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
	ADD COLUMN status_message text,
	ADD COLUMN failed_step text,
	ADD COLUMN error_code text,
	ADD COLUMN error_message text,
	ADD COLUMN output_url text,
	ADD COLUMN manifest_json jsonb,
	ADD COLUMN created_at timestamptz DEFAULT now(),
	ADD COLUMN started_at timestamptz,
	ADD COLUMN finished_at timestamptz,
	ADD COLUMN priority integer NOT NULL DEFAULT 0,
	SET (fillfactor = 70);
CREATE INDEX jobs_user ON twin.jobs (user_id);
CREATE INDEX jobs_project ON twin.jobs (project_id);
CREATE INDEX jobs_status ON twin.jobs (status);
CREATE INDEX jobs_created ON twin.jobs (created_at DESC);
CREATE INDEX jobs_project_created ON twin.jobs (project_id, created_at DESC);
CREATE INDEX jobs_user_active ON twin.jobs (user_id) WHERE status NOT IN ('READY', 'FAILED');
CREATE INDEX credit_ledger_user ON twin.credit_ledger (user_id);
CREATE INDEX credit_ledger_created ON twin.credit_ledger (created_at DESC);
ALTER TABLE twin.credit_accounts ADD CHECK (entries >= 0);

-- Accounts change by entries only, entries never: WHEN keeps the guards cheap.
CREATE FUNCTION twin.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.refuse('42501', 'the books are closed');
	RETURN NULL;
END
$$;
CREATE TRIGGER guard_account BEFORE UPDATE ON twin.credit_accounts
	FOR EACH ROW WHEN (current_setting('twin.booking', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION twin.refuse_change();
CREATE TRIGGER guard_ledger BEFORE UPDATE OR DELETE ON twin.credit_ledger
	FOR EACH ROW EXECUTE FUNCTION twin.refuse_change();
CREATE TRIGGER guard_status BEFORE UPDATE ON twin.jobs
	FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION twin.refuse_change();

CREATE OR REPLACE FUNCTION twin.reserve_credits(p_user_id uuid, p_job_id uuid, p_amount integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	v_job record;
	v_account record;
	v_hold record;
BEGIN
	IF p_user_id IS NULL OR p_job_id IS NULL OR p_amount IS NULL THEN
		PERFORM twin.refuse('22004', 'argument must not be null');
	ELSIF p_amount <= 0 THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'An amount must be positive.');
	END IF;

	SELECT j.user_id, j.status INTO v_job FROM twin.jobs j WHERE j.id = p_job_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM twin.refuse('PT404', 'not found', format('There is no job %s.', p_job_id));
	ELSIF v_job.user_id <> p_user_id THEN
		PERFORM twin.refuse('42501', 'not allowed');
	ELSIF v_job.status IN ('READY', 'FAILED') THEN
		PERFORM twin.refuse('PT409', 'job has ended', format('Job %s.', p_job_id));
	END IF;

	IF EXISTS (SELECT FROM twin.credit_ledger l WHERE l.job_id = p_job_id AND l.type = 'reserve') THEN
		SELECT * INTO v_hold FROM twin.read_hold(p_job_id);
		IF v_hold.open > 0 OR v_hold.charged > 0 THEN
			IF v_hold.taken <> p_amount THEN
				PERFORM twin.refuse('PT409', 'credits are held differently', format('Job %s, %s credits.', p_job_id, v_hold.taken));
			END IF;
			RETURN true;
		END IF;
	END IF;

	PERFORM set_config('twin.booking', 'on', true);
	IF EXISTS (SELECT FROM twin.credit_ledger l WHERE l.user_id = p_user_id AND l.expires_at <= clock_timestamp()) THEN
		IF NOT twin.spend(twin.lock_account(p_user_id), 'reserve', p_amount, 'Reserved for job', p_job_id) THEN
			RETURN false;
		END IF;
	ELSE
		UPDATE twin.credit_accounts a
		   SET balance = a.balance - p_amount, reserved = a.reserved + p_amount,
		       entries = a.entries + 1, updated_at = clock_timestamp()
		 WHERE a.user_id = p_user_id AND a.balance >= p_amount
		RETURNING a.balance, a.entries INTO v_account;
		IF NOT FOUND THEN
			RETURN false;
		END IF;
		INSERT INTO twin.credit_ledger (user_id, type, amount, balance_after, note, job_id, entry_no)
		VALUES (p_user_id, 'reserve', -p_amount, v_account.balance, 'Reserved for job', p_job_id, v_account.entries);
	END IF;
	PERFORM set_config('twin.booking', '', true);
	UPDATE twin.jobs SET cost_credits_reserved = p_amount, cost_credits_final = NULL WHERE id = p_job_id;
	RETURN true;
END
$$;

-- Closing a hold and charging are two entries, but one write of the account.
CREATE OR REPLACE FUNCTION twin.settle_credits(p_job_id uuid, p_final_cost integer DEFAULT NULL, p_overrun text DEFAULT 'error')
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	v_job twin.jobs;
	v_hold record;
	v_account record;
	v_price integer;
	v_closed boolean;
BEGIN
	IF p_job_id IS NULL OR p_overrun IS NULL THEN
		PERFORM twin.refuse('22004', 'argument must not be null');
	ELSIF p_final_cost < 0 OR p_overrun NOT IN ('error', 'charge', 'cap') THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds');
	END IF;

	SELECT * INTO v_job FROM twin.jobs j WHERE j.id = p_job_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM twin.refuse('PT404', 'not found', format('There is no job %s.', p_job_id));
	END IF;
	SELECT l.id, -l.amount AS held INTO v_hold
	  FROM twin.credit_ledger l WHERE l.job_id = p_job_id AND l.type = 'reserve' ORDER BY l.entry_no DESC LIMIT 1;
	v_price := coalesce(p_final_cost, v_hold.held);

	PERFORM set_config('twin.booking', 'on', true);
	IF v_hold.held > 0 AND v_price <= v_hold.held
	   AND NOT EXISTS (SELECT FROM twin.credit_ledger l WHERE l.user_id = v_job.user_id AND l.expires_at IS NOT NULL) THEN
		UPDATE twin.credit_accounts a
		   SET balance = a.balance + v_hold.held - v_price, reserved = a.reserved - v_hold.held,
		       entries = a.entries + CASE WHEN v_price > 0 THEN 2 ELSE 1 END, updated_at = clock_timestamp()
		 WHERE a.user_id = v_job.user_id
		RETURNING a.balance, a.entries INTO STRICT v_account;
		IF v_price > 0 THEN
			INSERT INTO twin.credit_ledger (user_id, type, amount, balance_after, note, job_id, entry_no, reverses)
			VALUES (v_job.user_id, 'reserve', v_hold.held, v_account.balance + v_price, 'Hold settled', p_job_id,
			        v_account.entries - 1, v_hold.id),
			       (v_job.user_id, 'usage', -v_price, v_account.balance, 'Charged for job', p_job_id, v_account.entries, NULL);
		ELSE
			INSERT INTO twin.credit_ledger (user_id, type, amount, balance_after, note, job_id, entry_no, reverses)
			VALUES (v_job.user_id, 'reserve', v_hold.held, v_account.balance, 'Hold released', p_job_id, v_account.entries, v_hold.id);
		END IF;
		v_closed := true;
	ELSE
		SELECT * INTO v_price, v_closed FROM twin.settle(v_job, p_final_cost, p_overrun);
	END IF;
	PERFORM set_config('twin.booking', '', true);
	IF v_closed THEN
		UPDATE twin.jobs SET cost_credits_final = v_price WHERE id = p_job_id;
	END IF;
	RETURN v_price;
END
$$;
