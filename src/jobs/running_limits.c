/*
 * running_limits.c
 *	  Setting max_running_jobs: how many jobs of one table may run for one user.
 *
 * Jobs beyond the limit must not stand in front of those of other users, where every
 * claim would have to pass by them.  So they are parked, out of the order of the
 * waiting jobs: when they are queued, if the user has as many that wait or run as may
 * run; and when a claim takes one although the user is at the limit.  When one of his
 * jobs ends or leaves the queue, his next one is set to waiting.
 *
 * Only the claim is exact.  What is parked too much, because a job ended while another
 * one was queued, is found by claims that find too little; what is parked too little is
 * parked by the next claim.
 *
 * Pitfall: two claims must not count the jobs of one user at the same time.  The second
 * one passes by his jobs, and does not wait.
 *
 * Pitfall: what runs is counted by an index of the attempts that were claimed under a
 * limit, so that claims without a limit need not write it.  Claims under a limit mark
 * the others, from time to time.
 *
 * Lock order: an advisory lock of the user, which is not waited for, after rows of the
 * queue.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "advisory.h"
#include "announcements.h"
#include "running_limits.h"
#include "settings.h"
#include "statements.h"
#include "uuids.h"

/* jobs that are parked at once where a user's jobs stand in front of all others */
#define MAX_PARKED 10000
/* jobs that are looked at in front, to see whose they are */
#define NEAREST_JOBS 50
/* users that are looked at by running_limit_heal(), and jobs where there is no limit */
#define MAX_HEALED_USERS 100
#define MAX_HEALED_JOBS 1000

/* all attempts of a limited system are counted: all of its stages */
static Statement count_running = {
	.force_index_plan = true,
	.text = "SELECT ((SELECT pg_catalog.count(*) FROM studio_engine.attempts a"
	"          WHERE a.ended_at IS NULL AND a.counted AND a.system = $1::studio_engine.job_system AND a.user_id = $2)"
	"   + CASE WHEN $3 THEN (SELECT pg_catalog.count(*) FROM studio_engine.attempts a"
	"          WHERE a.ended_at IS NULL AND NOT a.counted AND a.system = $1::studio_engine.job_system AND a.user_id = $2)"
	"     ELSE 0 END)::pg_catalog.int4",
	.nargs = 3,.argtypes = {TEXTOID, UUIDOID, BOOLOID}
};
static Statement count_waiting_and_running = {
	.force_index_plan = true,
	.text = "SELECT ((SELECT pg_catalog.count(*) FROM (SELECT 1 FROM studio_engine.queue q"
	"           WHERE q.limited AND q.user_id = $2 AND q.system = $1::studio_engine.job_system AND q.state = 'waiting' LIMIT $3) w)"
	"      + (SELECT pg_catalog.count(*) FROM studio_engine.attempts a"
	"          WHERE a.ended_at IS NULL AND a.counted AND a.system = $1::studio_engine.job_system AND a.user_id = $2))::pg_catalog.int4",
	.nargs = 3,.argtypes = {TEXTOID, UUIDOID, INT4OID}
};

/*
 * The jobs of user $2 that wait: those that were queued under the limit, by their index;
 * of the others those that stand in front at stage $4, among many if most of the first
 * are his.  The stage is in the order, and not equal to something, so that no other index
 * than idx_queue_stage has that order.
 */
static Statement park_front = {
	.force_index_plan = true,
	.text = "WITH limited AS MATERIALIZED ("
	"   SELECT q.job_id FROM studio_engine.queue q"
	"    WHERE q.limited AND q.user_id = $2 AND q.system = $1::studio_engine.job_system AND q.state = 'waiting' LIMIT $3),"
	" nearest AS MATERIALIZED ("
	"   SELECT q.user_id FROM studio_engine.queue q"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'waiting' AND q.stage >= $4 AND q.stage <= $4"
	"    ORDER BY q.stage, q.rank, q.turn, q.due_at, q.job_id LIMIT $5),"
	" front AS MATERIALIZED ("
	"   SELECT q.job_id, q.user_id FROM studio_engine.queue q"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'waiting' AND q.stage >= $4 AND q.stage <= $4"
	"    ORDER BY q.stage, q.rank, q.turn, q.due_at, q.job_id"
	"    LIMIT CASE WHEN (SELECT pg_catalog.count(*) FROM nearest n WHERE n.user_id = $2) > $5 / 2 THEN $3 ELSE $5 END),"
	" his AS MATERIALIZED ("
	"   SELECT p.job_id FROM (SELECT l.job_id FROM limited l UNION SELECT f.job_id FROM front f WHERE f.user_id = $2) c,"
	"     LATERAL (SELECT q.job_id FROM studio_engine.queue q"
	"               WHERE q.job_id = c.job_id AND q.system = $1::studio_engine.job_system"
	"                 AND q.state IS NOT DISTINCT FROM 'waiting' FOR UPDATE SKIP LOCKED) p)"
	" UPDATE studio_engine.queue q SET state = 'parked', limited = true FROM his h"
	"  WHERE q.job_id = h.job_id AND q.system = $1::studio_engine.job_system",
	.nargs = 5,.argtypes = {TEXTOID, UUIDOID, INT4OID, TEXTOID, INT4OID}
};
static Statement unpark_next = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.queue q SET state = 'waiting'"
	"  FROM (SELECT f.job_id FROM studio_engine.queue f"
	"         WHERE f.limited AND f.user_id = $2 AND f.system = $1::studio_engine.job_system AND f.state = 'parked'"
	"         ORDER BY f.rank, f.turn, f.due_at LIMIT 1 FOR UPDATE SKIP LOCKED) p"
	" WHERE q.job_id = p.job_id AND q.system = $1::studio_engine.job_system",
	.nargs = 2,.argtypes = {TEXTOID, UUIDOID}
};

/* users with parked jobs, after $2; those with fewer that wait or run than may run get the rest */
static Statement unpark_forgotten = {
	.force_index_plan = true,
	.text = "WITH RECURSIVE users (n, id) AS ("
	"   SELECT 1, (SELECT q.user_id FROM studio_engine.queue q WHERE q.limited AND q.user_id > $2 ORDER BY q.user_id LIMIT 1)"
	"   UNION ALL"
	"   SELECT u.n + 1, (SELECT q.user_id FROM studio_engine.queue q WHERE q.limited AND q.user_id > u.id ORDER BY q.user_id LIMIT 1)"
	"     FROM users u WHERE u.id IS NOT NULL AND u.n < $4),"
	" free AS MATERIALIZED ("
	"   SELECT u.id, $3 - (SELECT pg_catalog.count(*) FROM (SELECT 1 FROM studio_engine.queue q"
	"            WHERE q.limited AND q.user_id = u.id AND q.system = $1::studio_engine.job_system AND q.state = 'waiting' LIMIT $3) w)"
	"      - (SELECT pg_catalog.count(*) FROM studio_engine.attempts a"
	"          WHERE a.ended_at IS NULL AND a.counted AND a.system = $1::studio_engine.job_system AND a.user_id = u.id) AS jobs"
	"     FROM users u WHERE u.id IS NOT NULL),"
	" next AS MATERIALIZED ("
	"   SELECT p.job_id FROM free f, LATERAL (SELECT q.job_id FROM studio_engine.queue q"
	"     WHERE q.limited AND q.user_id = f.id AND q.system = $1::studio_engine.job_system AND q.state = 'parked'"
	"     ORDER BY q.rank, q.turn, q.due_at LIMIT GREATEST(f.jobs, 0)) p),"
	" locked AS MATERIALIZED ("
	"   SELECT q.job_id FROM studio_engine.queue q JOIN next n ON n.job_id = q.job_id"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'parked' FOR UPDATE OF q SKIP LOCKED),"
	" unparked AS ("
	"   UPDATE studio_engine.queue q SET state = 'waiting' FROM locked l"
	"    WHERE q.job_id = l.job_id AND q.system = $1::studio_engine.job_system RETURNING 1)"
	" SELECT (SELECT pg_catalog.count(*) FROM unparked)::pg_catalog.int4,"
	"        (SELECT u.id FROM users u WHERE u.n = $4)",
	.nargs = 4,.argtypes = {TEXTOID, UUIDOID, INT4OID, INT4OID}
};

/* where there is no limit any more */
static Statement unpark_some = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.queue q SET state = 'waiting'"
	"  FROM (SELECT f.job_id FROM studio_engine.queue f"
	"         WHERE f.limited AND f.system = $1::studio_engine.job_system AND f.state = 'parked' LIMIT $2 FOR UPDATE SKIP LOCKED) p"
	" WHERE q.job_id = p.job_id AND q.system = $1::studio_engine.job_system",
	.nargs = 2,.argtypes = {TEXTOID, INT4OID}
};
static Statement count_all = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.attempts a SET counted = true"
	"  FROM (SELECT o.job_id, o.lease_token FROM studio_engine.attempts o"
	"         WHERE o.ended_at IS NULL AND NOT o.counted AND o.system = $1::studio_engine.job_system"
	"           FOR UPDATE SKIP LOCKED) u"
	" WHERE a.job_id = u.job_id AND a.lease_token = u.lease_token",
	.nargs = 1,.argtypes = {TEXTOID}
};

/* those that another transaction is writing */
static Statement find_uncounted = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM studio_engine.attempts a"
	" WHERE a.ended_at IS NULL AND NOT a.counted AND a.system = $1::studio_engine.job_system LIMIT 1",
	.nargs = 1,.argtypes = {TEXTOID}
};

/*
 * Return true if there is a limit.
 */
bool
running_limit_is_set(void)
{
	return setting_int32(SETTING_MAX_RUNNING_JOBS) > 0;
}

/*
 * Return true if a user has as many jobs that wait or run as may run, so that a new
 * one is parked.
 */
bool
running_limit_is_reached(const char *system, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	int32		limit = setting_int32(SETTING_MAX_RUNNING_JOBS);

	if (limit == 0 || user_id == NULL)
		return false;
	argument_text(&args, system);
	argument_uuid(&args, user_id);
	argument_int32(&args, limit);
	statement_execute(&count_waiting_and_running, &args);
	return result_int32(1) >= limit;
}

/* a user of whom a claim has taken jobs */
typedef struct RunningUser
{
	pg_uuid_t	id;
	bool		locked;
	int32		left;			/* how many more may run */
} RunningUser;

/* Count the jobs that run for a user, the one that was just claimed included. */
static int32
count_of_user(const char *system, const pg_uuid_t *user_id, bool uncounted)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, system);
	argument_uuid(&args, user_id);
	argument_add(&args, BoolGetDatum(uncounted), false);
	/* whatever the isolation level: what others have claimed since counts too */
	statement_execute_with_latest_snapshot(&count_running, &args);
	return result_int32(1);
}

/* Find a user of a claim, or lock and count the jobs of one who is new. */
static RunningUser *
find_user(RunningUsers *users, const char *system, const pg_uuid_t *user_id, int taken)
{
	RunningUser *user;
	ListCell   *cell;

	foreach(cell, users->users)
	{
		user = lfirst(cell);
		if (uuid_equal(&user->id, user_id))
			return user;
	}
	user = palloc0(sizeof(RunningUser));
	user->id = *user_id;
	user->locked = advisory_try_lock(ADVISORY_RUNNING_JOBS, user_id, sizeof(pg_uuid_t));
	if (user->locked)
		user->left = setting_int32(SETTING_MAX_RUNNING_JOBS) - (count_of_user(system, user_id, users->uncounted) - taken);
	users->users = lappend(users->users, user);
	return user;
}

/*
 * Say whether a job that a claim has taken may run.  taken is how many of the user's
 * jobs this claim has taken and not yet passed here, this one included.
 */
Admission
running_limit_admit(RunningUsers *users, const char *system, const pg_uuid_t *user_id, int taken)
{
	RunningUser *user;

	if (!running_limit_is_set() || uuid_is_nil(user_id))
		return ADMITTED;
	user = find_user(users, system, user_id, taken);
	if (!user->locked)
		return UNKNOWN_NUMBER;
	if (user->left <= 0)
		return AT_LIMIT;
	user->left--;
	return ADMITTED;
}

/*
 * Park the jobs of a user at the limit that wait where a claim has found one, so that
 * others are found behind them.
 */
void
running_limit_park(const char *system, const pg_uuid_t *user_id, const char *stage)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, system);
	argument_uuid(&args, user_id);
	argument_int32(&args, MAX_PARKED);
	argument_text(&args, stage);
	argument_int32(&args, NEAREST_JOBS);
	statement_execute(&park_front, &args);
}

/*
 * Let the next job of a user wait, after one of his has ended or left the queue.
 */
void
running_limit_unpark(const char *system, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	if (!running_limit_is_set() || user_id == NULL || uuid_is_nil(user_id))
		return;
	argument_text(&args, system);
	argument_uuid(&args, user_id);
	if (statement_execute(&unpark_next, &args) > 0)
		announce_jobs(system);
}

/*
 * Let jobs wait that are parked although their users are not at the limit, or although
 * there is none any more; return how many.  A call looks at some users after one, and sets
 * it for the next call, which goes on with others.
 */
int32
running_limit_heal(const char *system, pg_uuid_t *after)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, system);
	if (!running_limit_is_set())
	{
		argument_int32(&args, MAX_HEALED_JOBS);
		return (int32) statement_execute(&unpark_some, &args);
	}
	argument_uuid(&args, after);
	argument_int32(&args, setting_int32(SETTING_MAX_RUNNING_JOBS));
	argument_int32(&args, MAX_HEALED_USERS);
	statement_execute(&unpark_forgotten, &args);
	/* with none left the next call begins with the first user again */
	memset(after, 0, sizeof(*after));
	if (!result_isnull(2))
		*after = result_uuid(2);
	return result_int32(1);
}

/*
 * Count the leases of a system that were claimed while there was no limit, too, but
 * those that others write just now, of which it sets whether there are any; return how
 * many.
 */
uint64
running_count_all(const char *system, bool *uncounted)
{
	Arguments	args = NO_ARGUMENTS;
	uint64		n;

	argument_text(&args, system);
	n = statement_execute(&count_all, &args);
	*uncounted = statement_execute_with_latest_snapshot(&find_uncounted, &args) > 0;
	return n;
}
