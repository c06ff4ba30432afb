/*
 * audit.c
 *	  The credit summary of a user, the audit of the ledger, and its hash chain.
 *
 * Pitfall: the audit must not trust what it checks.  Every problem is computed
 * from the rows of the ledger; accounts, jobs and numbers that triggers wrote
 * are only compared with them.
 *
 * Lock order: none; no function here locks a row.  All queries of the audit use
 * the snapshot of the calling query, so that what other sessions do meanwhile is
 * not reported as a problem.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "audit.h"
#include "caller.h"
#include "checks.h"
#include "expiry.h"
#include "ledger_rows.h"
#include "lots.h"
#include "prices.h"
#include "reference_holds.h"
#include "refunds.h"
#include "restore.h"
#include "settings.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(get_credit_summary);
PG_FUNCTION_INFO_V1(verify_credit_ledger);
PG_FUNCTION_INFO_V1(chain_entry);

#define WEEK (7 * USECS_PER_DAY)

static Statement select_summary = {
	.force_index_plan = true,
	.text = "SELECT pg_catalog.jsonb_build_object("
	"  'balance', COALESCE((SELECT a.balance FROM @extschema@.credit_accounts a WHERE a.user_id = $1), 0),"
	"  'reserved', COALESCE((SELECT a.reserved FROM @extschema@.credit_accounts a WHERE a.user_id = $1), 0),"
	"  'spendable', GREATEST(COALESCE((SELECT a.balance FROM @extschema@.credit_accounts a WHERE a.user_id = $1), 0) - $2, 0),"
	"  'lifetime_purchased', COALESCE(pg_catalog.sum(l.amount) FILTER (WHERE l.type IN ('purchase', 'subscription') AND l.transfer_id IS NULL), 0),"
	"  'lifetime_granted', COALESCE(pg_catalog.sum(l.amount) FILTER (WHERE l.type = 'grant' AND l.transfer_id IS NULL), 0),"
	"  'lifetime_used', COALESCE(-pg_catalog.sum(l.amount) FILTER (WHERE l.type IN ('usage', 'refund')), 0),"
	"  'expiring_in_7_days', $3, 'next_expiry', $4)"
	"  FROM @extschema@.credit_ledger l WHERE l.user_id = $1",
	.nargs = 4,.argtypes = {UUIDOID, INT8OID, INT8OID, TIMESTAMPTZOID}
};

/*
 * The hash of an entry l, over the hash of the entry before it, h.hash, and all
 * columns that never change, which are all but job_id.  An entry whose texts are
 * beyond all limits and may not fit into jsonb has an empty hash, as no other has.
 */
#define ENTRY_HASH \
	"CASE WHEN COALESCE(pg_catalog.octet_length(l.note), 0)::pg_catalog.int8" \
	"  + COALESCE(pg_catalog.octet_length(l.stripe_payment_id), 0)" \
	"  + COALESCE(pg_catalog.octet_length(l.idempotency_key), 0) + COALESCE(pg_catalog.octet_length(l.reference), 0)" \
	"  + COALESCE(pg_catalog.pg_column_size(l.metadata), 0) > 100000000 THEN ''::pg_catalog.bytea ELSE" \
	" pg_catalog.sha256(COALESCE(h.hash, '') || pg_catalog.convert_to(pg_catalog.jsonb_build_array(" \
	"l.id, l.user_id, l.entry_no, l.type, l.amount, l.balance_after, l.note, l.stripe_payment_id," \
	"l.idempotency_key, pg_catalog.encode(pg_catalog.timestamptz_send(l.expires_at), 'hex'), l.reverses," \
	"l.reference, l.metadata, l.priority, l.transfer_id," \
	"pg_catalog.encode(pg_catalog.timestamptz_send(l.created_at), 'hex'))::pg_catalog.text, 'UTF8')) END"

/*
 * The entries that are not in the chain yet, after its last one and up to the
 * given one; where there is no chain yet, it begins with the given one.
 */
static Statement select_unchained = {
	.force_index_plan = true,
	.text = "SELECT l.id FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND l.entry_no <= $2"
	"   AND l.entry_no > COALESCE((SELECT pg_catalog.max(h.entry_no) FROM studio_engine.ledger_hashes h"
	"                               WHERE h.user_id = $1), $2 - 1)"
	" ORDER BY l.entry_no",
	.nargs = 2,.argtypes = {UUIDOID, INT8OID}
};
static Statement insert_hash = {
	.force_index_plan = true,
	.text = "INSERT INTO studio_engine.ledger_hashes (entry_id, user_id, entry_no, hash)"
	" SELECT l.id, l.user_id, l.entry_no, " ENTRY_HASH
	"   FROM @extschema@.credit_ledger l"
	"   LEFT JOIN studio_engine.ledger_hashes h ON h.user_id = l.user_id AND h.entry_no = l.entry_no - 1"
	"  WHERE l.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* The users whose entries take from lots that they name, or who have a checkpoint. */
static Statement select_users_with_lots = {
	.text = "SELECT a.user_id FROM @extschema@.credit_accounts a WHERE ($1 IS NULL OR a.user_id = $1)"
	"   AND (EXISTS (SELECT 1 FROM studio_engine.lot_checkpoints c WHERE c.user_id = a.user_id)"
	"        OR EXISTS (SELECT 1 FROM @extschema@.credit_ledger l"
	"                    WHERE l.user_id = a.user_id AND l.reverses IS NOT NULL AND l.amount < 0 AND l.type <> 'reserve'))",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* Each returns (user_id, problem, expected, actual, entry_id); $1 is a user, NULL is all. */
static Statement problems[] = {
	{
		.text = "SELECT e.user_id, 'entry number', e.expected::pg_catalog.text, e.entry_no::pg_catalog.text, e.id"
		"  FROM (SELECT l.*, pg_catalog.row_number() OVER (PARTITION BY l.user_id ORDER BY l.entry_no) AS expected"
		"          FROM @extschema@.credit_ledger l WHERE $1 IS NULL OR l.user_id = $1) e"
		" WHERE e.entry_no <> e.expected",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT e.user_id, 'balance after entry', e.expected::pg_catalog.text, e.balance_after::pg_catalog.text, e.id"
		"  FROM (SELECT l.*, l.amount + COALESCE(pg_catalog.lag(l.balance_after)"
		"                 OVER (PARTITION BY l.user_id ORDER BY l.entry_no), 0)::pg_catalog.int8 AS expected"
		"          FROM @extschema@.credit_ledger l WHERE $1 IS NULL OR l.user_id = $1) e"
		" WHERE e.balance_after IS DISTINCT FROM e.expected",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT COALESCE(a.user_id, s.user_id), p.problem, p.expected::pg_catalog.text, p.actual::pg_catalog.text, NULL::pg_catalog.uuid"
		"  FROM @extschema@.credit_accounts a"
		"  FULL JOIN (SELECT l.user_id, pg_catalog.sum(l.amount) AS amount, pg_catalog.count(*) AS entries,"
		"                    COALESCE(-pg_catalog.sum(l.amount) FILTER (WHERE l.type = 'reserve'), 0) AS reserved"
		"               FROM @extschema@.credit_ledger l WHERE $1 IS NULL OR l.user_id = $1 GROUP BY l.user_id) s ON s.user_id = a.user_id,"
		"  LATERAL (VALUES ('account balance', COALESCE(s.amount, 0), a.balance::pg_catalog.numeric),"
		"                  ('account reserved', COALESCE(s.reserved, 0), a.reserved::pg_catalog.numeric),"
		"                  ('account entries', COALESCE(s.entries, 0)::pg_catalog.numeric, a.entries::pg_catalog.numeric)"
		"          ) p (problem, expected, actual)"
		" WHERE ($1 IS NULL OR COALESCE(a.user_id, s.user_id) = $1) AND p.expected IS DISTINCT FROM p.actual",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT h.user_id, 'open holds of a job', '0 or 1', h.holds::pg_catalog.text, h.last_id"
		"  FROM (SELECT l.user_id, l.job_id, pg_catalog.count(*) AS holds,"
		"               (pg_catalog.array_agg(l.id ORDER BY l.entry_no DESC))[1] AS last_id"
		"          FROM @extschema@.credit_ledger l"
		"         WHERE l.type = 'reserve' AND l.amount < 0 AND l.job_id IS NOT NULL AND ($1 IS NULL OR l.user_id = $1)"
		"           AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger c"
		"                            WHERE c.reverses = l.id AND c.type = 'reserve')"
		"         GROUP BY l.user_id, l.job_id) h"
		" WHERE h.holds > 1",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT l.user_id, 'hold of an ended job', 'closed', 'open', l.id"
		"  FROM @extschema@.credit_ledger l LEFT JOIN @extschema@.jobs j ON j.id = l.job_id"
		" WHERE l.type = 'reserve' AND l.amount < 0 AND l.reference IS NULL AND ($1 IS NULL OR l.user_id = $1)"
		"   AND (j.id IS NULL OR j.status IN ('READY', 'FAILED'))"
		"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger c WHERE c.reverses = l.id AND c.type = 'reserve')",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT l.user_id, 'hold of an ended job', 'closed', 'open', l.id" STALE_PRICES " AND ($1 IS NULL OR l.user_id = $1)",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT l.user_id, 'hold past its expiry', 'closed',"
		"       CASE WHEN e.hold_id IS NULL THEN 'open and not in the list of the sweep' ELSE 'open' END, l.id"
		"  FROM @extschema@.credit_ledger l"
		"  LEFT JOIN studio_engine.expiring_holds e ON e.hold_id = l.id AND e.user_id = l.user_id AND e.expires_at = l.expires_at"
		" WHERE l.type = 'reserve' AND l.amount < 0 AND ($1 IS NULL OR l.user_id = $1)"
		"   AND l.expires_at < pg_catalog.clock_timestamp()"
		"   AND (e.hold_id IS NULL OR l.expires_at < pg_catalog.clock_timestamp() - '1 hour'::pg_catalog.interval)"
		"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger c WHERE c.reverses = l.id AND c.type = 'reserve')",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT u.user_id, 'capture without its hold', 'a hold that was closed before', COALESCE(u.reference, 'no reference'), u.id"
		"  FROM @extschema@.credit_ledger u"
		" WHERE u.type = 'usage' AND u.idempotency_key LIKE '" CAPTURES "%' AND ($1 IS NULL OR u.user_id = $1)"
		"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger l"
		"                     JOIN @extschema@.credit_ledger c ON c.reverses = l.id AND c.type = 'reserve' AND c.entry_no < u.entry_no"
		"                    WHERE '" CAPTURES "' || l.id::pg_catalog.text = u.idempotency_key AND l.user_id = u.user_id"
		"                      AND l.type = 'reserve' AND l.amount < 0 AND l.reference = u.reference)",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT c.user_id, 'closing of a hold', COALESCE(-l.amount, 0)::pg_catalog.text, c.amount::pg_catalog.text, c.id"
		"  FROM (SELECT o.*, pg_catalog.row_number() OVER (PARTITION BY o.reverses ORDER BY o.entry_no) AS nth"
		"          FROM @extschema@.credit_ledger o"
		"         WHERE o.type = 'reserve' AND o.amount > 0 AND ($1 IS NULL OR o.user_id = $1)) c"
		"  LEFT JOIN @extschema@.credit_ledger l ON l.id = c.reverses AND l.user_id = c.user_id"
		"        AND l.type = 'reserve' AND l.amount < 0 AND l.entry_no < c.entry_no AND c.nth = 1"
		" WHERE l.id IS NULL OR c.amount <> -l.amount",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT r.user_id, 'refund above the charge', r.charged::pg_catalog.text, r.refunded::pg_catalog.text, r.last_id"
		"  FROM (SELECT l.user_id, l.job_id,"
		"               COALESCE(-pg_catalog.sum(l.amount) FILTER (WHERE l.type = 'usage'), 0) AS charged,"
		"               pg_catalog.sum(l.amount) FILTER (WHERE l.type = 'refund') AS refunded,"
		"               (pg_catalog.array_agg(l.id ORDER BY l.entry_no DESC) FILTER (WHERE l.type = 'refund'))[1] AS last_id"
		"          FROM @extschema@.credit_ledger l"
		"         WHERE l.job_id IS NOT NULL AND l.type IN ('usage', 'refund') AND ($1 IS NULL OR l.user_id = $1)"
		"         GROUP BY l.user_id, l.job_id) r"
		" WHERE r.refunded > r.charged",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT r.user_id, 'reversal of a payment', pg_catalog.concat('0 to ', COALESCE(p.amount, 0)), r.reversed::pg_catalog.text, r.last_id"
		"  FROM (SELECT l.user_id, l.reverses, -pg_catalog.sum(l.amount) AS reversed,"
		"               (pg_catalog.array_agg(l.id ORDER BY l.entry_no DESC))[1] AS last_id"
		"          FROM @extschema@.credit_ledger l"
		"         WHERE l.reverses IS NOT NULL AND l.transfer_id IS NULL AND NOT " IS_VOID("l")
		"           AND l.type IN ('purchase', 'subscription') AND ($1 IS NULL OR l.user_id = $1)"
		"         GROUP BY l.user_id, l.reverses) r"
		"  LEFT JOIN @extschema@.credit_ledger p ON p.id = r.reverses"
		" WHERE p.id IS NULL OR r.reversed > p.amount OR r.reversed < 0",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT b.user_id, 'reinstatement without its reversal', COALESCE(-r.amount, 0)::pg_catalog.text, b.amount::pg_catalog.text, b.id"
		"  FROM @extschema@.credit_ledger b"
		"  LEFT JOIN @extschema@.credit_ledger r ON b.idempotency_key = '" REINSTATES "' || r.id::pg_catalog.text"
		"        AND r.reverses = b.reverses AND r.user_id = b.user_id AND r.type = b.type AND r.amount < 0 AND r.entry_no < b.entry_no"
		"        AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger o"
		"                         WHERE o.reverses = r.reverses AND o.type = r.type AND o.amount > 0 AND o.idempotency_key IS NULL"
		"                           AND o.entry_no > r.entry_no AND o.entry_no < b.entry_no)"
		" WHERE b.reverses IS NOT NULL AND b.transfer_id IS NULL AND b.type IN ('purchase', 'subscription') AND b.amount > 0"
		"   AND b.idempotency_key IS NOT NULL AND ($1 IS NULL OR b.user_id = $1)"
		"   AND (r.id IS NULL OR b.amount <> -r.amount)",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		/* without a key: of the time when it undid all that was reversed */
		.text = "SELECT b.user_id, 'reinstatement without its reversal', b.reversed::pg_catalog.text, b.amount::pg_catalog.text, b.id"
		"  FROM (SELECT l.*, COALESCE(-pg_catalog.sum(l.amount) OVER (PARTITION BY l.reverses ORDER BY l.entry_no"
		"                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS reversed"
		"          FROM @extschema@.credit_ledger l"
		"         WHERE l.reverses IS NOT NULL AND l.transfer_id IS NULL AND l.type IN ('purchase', 'subscription')"
		"           AND NOT " IS_VOID("l") " AND ($1 IS NULL OR l.user_id = $1)) b"
		" WHERE b.amount > 0 AND b.idempotency_key IS NULL AND b.amount <> b.reversed",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT e.user_id, 'expiry above the lot', COALESCE(p.amount, 0)::pg_catalog.text, e.expired::pg_catalog.text, e.last_id"
		"  FROM (SELECT l.user_id, l.reverses, -pg_catalog.sum(l.amount) AS expired,"
		"               (pg_catalog.array_agg(l.id ORDER BY l.entry_no DESC))[1] AS last_id"
		"          FROM @extschema@.credit_ledger l"
		"         WHERE l.type = 'expire' AND l.reverses IS NOT NULL AND ($1 IS NULL OR l.user_id = $1)"
		"         GROUP BY l.user_id, l.reverses) e"
		"  LEFT JOIN @extschema@.credit_ledger p ON p.id = e.reverses AND p.user_id = e.user_id AND p.expires_at IS NOT NULL"
		" WHERE p.id IS NULL OR e.expired > p.amount + COALESCE(("
		"         SELECT pg_catalog.sum(b.amount) FROM @extschema@.credit_ledger b"
		"          WHERE b.reverses = p.id AND b.type = p.type AND b.amount > 0), 0)",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT s.user_id, 'transfer with one side', s.expected::pg_catalog.text, COALESCE(e.moved, 0)::pg_catalog.text, e.last_id"
		"  FROM studio_engine.transfers t"
		"  CROSS JOIN LATERAL (VALUES (t.from_user_id, -t.amount), (t.to_user_id, t.amount)) s (user_id, expected)"
		"  LEFT JOIN (SELECT l.transfer_id, l.user_id, pg_catalog.sum(l.amount) AS moved,"
		"                    (pg_catalog.array_agg(l.id ORDER BY l.entry_no DESC))[1] AS last_id"
		"               FROM @extschema@.credit_ledger l"
		"              WHERE l.transfer_id IS NOT NULL AND ($1 IS NULL OR l.user_id = $1)"
		"              GROUP BY l.transfer_id, l.user_id) e ON e.transfer_id = t.id AND e.user_id = s.user_id"
		" WHERE s.user_id IS NOT NULL AND ($1 IS NULL OR s.user_id = $1) AND e.moved IS DISTINCT FROM s.expected",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		/*
		 * where the user who gave it is there still, each lot that came names
		 * the entry that took it
		 */
		.text = "SELECT l.user_id, 'transfer with one side', COALESCE(-o.amount, 0)::pg_catalog.text, l.amount::pg_catalog.text, l.id"
		"  FROM @extschema@.credit_ledger l"
		"  LEFT JOIN studio_engine.transfers t ON t.id = l.transfer_id"
		"        AND l.user_id = CASE WHEN l.amount < 0 THEN t.from_user_id ELSE t.to_user_id END"
		"  LEFT JOIN @extschema@.credit_ledger o ON o.id = l.reverses AND o.transfer_id = l.transfer_id"
		" WHERE l.transfer_id IS NOT NULL AND ($1 IS NULL OR l.user_id = $1)"
		"   AND (t.id IS NULL OR l.amount > 0 AND t.from_user_id IS NOT NULL AND o.amount IS DISTINCT FROM -l.amount)",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT l.user_id, 'overdrawn without a reversal', '0', l.balance_after::pg_catalog.text, l.id"
		"  FROM @extschema@.credit_ledger l"
		" WHERE l.balance_after < 0 AND ($1 IS NULL OR l.user_id = $1)"
		"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger r"
		"                    WHERE r.user_id = l.user_id AND r.entry_no <= l.entry_no AND r.reverses IS NOT NULL"
		"                      AND r.transfer_id IS NULL AND NOT " IS_VOID("r") " AND r.amount < 0 AND r.type IN ('purchase', 'subscription'))",
		.nargs = 1,.argtypes = {UUIDOID}
	},
	{
		.text = "SELECT k.user_id, 'hash of entry', pg_catalog.encode(" ENTRY_HASH ", 'hex'), pg_catalog.encode(k.hash, 'hex'), k.entry_id"
		"  FROM studio_engine.ledger_hashes k"
		"  LEFT JOIN @extschema@.credit_ledger l ON l.id = k.entry_id"
		"  LEFT JOIN studio_engine.ledger_hashes h ON h.user_id = k.user_id AND h.entry_no = k.entry_no - 1"
		" WHERE ($1 IS NULL OR k.user_id = $1) AND (l.id IS NULL OR " ENTRY_HASH " <> k.hash)",
		.nargs = 1,.argtypes = {UUIDOID}
	},
};

/*
 * get_credit_summary(p_user_id uuid) returns jsonb
 */
Datum
get_credit_summary(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	user_id;
	LotSummary	lots;
	Datum		summary;

	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);

	lots = expiry_summarize(&user_id, GetCurrentTimestamp() + WEEK);
	argument_uuid(&args, &user_id);
	argument_add(&args, Int64GetDatum(lots.expired), false);
	argument_add(&args, Int64GetDatum(lots.expiring), false);
	argument_time(&args, TIMESTAMP_IS_NOEND(lots.next_expiry) ? NULL : &lots.next_expiry);
	statement_execute_read_only(&select_summary, &args);
	summary = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(summary);
}

/* Add what a replay of the ledger of a user finds. */
static void
put_lot_problems(ReturnSetInfo *rsinfo, const pg_uuid_t *user_id)
{
	ListCell   *cell;

	foreach(cell, lots_audit(user_id))
	{
		LotProblem *problem = lfirst(cell);
		bool		whole = problem->taken == 0;	/* of no single entry */
		bool		nulls[5] = {false, false, whole, whole, whole};
		Datum		values[5] = {
			UUIDPGetDatum(user_id), CStringGetTextDatum(problem->problem),
			CStringGetTextDatum(psprintf(INT64_FORMAT, problem->left)),
			CStringGetTextDatum(psprintf(INT64_FORMAT, problem->taken)), UUIDPGetDatum(&problem->entry_id)
		};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* Replay the ledgers that name lots or have a checkpoint. */
static void
audit_lots(ReturnSetInfo *rsinfo, const Arguments *args)
{
	FoundRows	users = statement_execute_read_only_rows(&select_users_with_lots, args);

	for (uint64 i = 0; i < users.n; i++)
	{
		/* a scope of its own frees what it used */
		StatementResult *outer = statements_begin();
		bool		isnull;
		Datum		user_id = SPI_getbinval(users.rows[i], users.desc, 1, &isnull);

		put_lot_problems(rsinfo, DatumGetUUIDP(user_id));
		statements_end(outer);
	}
}

/*
 * verify_credit_ledger(p_user_id uuid) returns setof (user_id, problem,
 * expected, actual, entry_id)
 */
Datum
verify_credit_ledger(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	argument_uuid(&args, optional_uuid(fcinfo, 0));
	for (int i = 0; i < (int) lengthof(problems); i++)
		statement_execute_read_only_each(&problems[i], &args, put_result_row, fcinfo->resultinfo);
	audit_lots((ReturnSetInfo *) fcinfo->resultinfo, &args);
	caller_leave(&caller);

	return (Datum) 0;
}

/* Add the entries of a user up to this one to the chain, in their order.  A foreign
 * trigger may have made a later entry, whose trigger ran first and added both. */
static void
chain_entries(const pg_uuid_t *user_id, int64 entry_no)
{
	Arguments	args = NO_ARGUMENTS;
	ListCell   *cell;

	argument_uuid(&args, user_id);
	argument_add(&args, Int64GetDatum(entry_no), false);
	foreach(cell, statement_execute_uuids(&select_unchained, &args))
	{
		Arguments	entry = NO_ARGUMENTS;

		argument_uuid(&entry, lfirst(cell));
		statement_execute(&insert_hash, &entry);
	}
}

/* Return true if setting ledger_hash_chain is on. */
static bool
hash_chain_enabled(void)
{
	return setting_int32(SETTING_LEDGER_HASH_CHAIN) > 0;
}

/* Add a new entry to the chain, if there is one. */
static void
chain_row(TupleDesc desc, HeapTuple row)
{
	pg_uuid_t	user_id = row_get_uuid(desc, row, "user_id");
	bool		isnull;
	int64		entry_no = DatumGetInt64(row_get(desc, row, "entry_no", INT8OID, &isnull));

	if (hash_chain_enabled())
		chain_entries(&user_id, entry_no);
}

/* The callback for chain_entry(). */
static void
chain_change(RowChange *change, const void *arg)
{
	if (hash_chain_enabled())
		chain_row(RelationGetDescr(change->rel), change->new);
}

static const RowTrigger chain_triggers[] = {
	{.name = "tr_credit_ledger_chain",
		.definition = "AFTER INSERT ON %.credit_ledger FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.chain_entry()",
	.after = chain_change}
};

/*
 * Register the callback for the trigger of this file.
 */
void
audit_register(void)
{
	layout_register_triggers(&ledger_table, chain_triggers, lengthof(chain_triggers));
}

/*
 * chain_entry() returns trigger: AFTER INSERT on credit_ledger.
 */
Datum
chain_entry(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT, 0);
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	chain_row(RelationGetDescr(data->tg_relation), data->tg_trigtuple);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}
