// One run of a queue from JavaScript: node peers.mjs QUEUE MODE DATABASE JOBS prints jobs a second.
//   QUEUE  ours, graphile-worker, graphile-worker-stored, pg-boss, pgmq
//   MODE   load    makes the jobs
//          each    4 workers, each claims a job, completes it, and so on
//          batchN  as the documentation of the queue wants it for throughput, batches of N
// -stored: the task writes its result into bench.results, a table like studio_jobs.
// Pitfall: what is measured is the queue, so the work is nothing, all have the same driver, 4 connections or
// what their documentation says, and time begins when the connections are there.
import { performance } from 'node:perf_hooks';
import pg from 'pg';

const [queue, mode, database, count] = process.argv.slice(2);
const jobs = Number(count);
const stored = queue.endsWith('-stored');
const payload = (n) => ({ audio: `audio/${n}.mp3` });
const numbers = Array.from({ length: jobs }, (_, n) => n);
const BATCH = Number(/^batch(\d+)$/.exec(mode)?.[1] ?? 1);
const WORKERS = 4;

// Every connection is open before the time begins.
async function openPool(max) {
  const pool = new pg.Pool({ database, max });
  // an error ends the run anyway; graphile-worker warns where nobody listens
  pool.on('error', (error) => { throw error; });
  pool.on('connect', (client) => client.on('error', (error) => { throw error; }));
  const clients = await Promise.all(Array.from({ length: max }, () => pool.connect()));
  clients.forEach((client) => client.release());
  return pool;
}

// Runs the workers side by side; each says how many jobs it did, until none was left.
async function timed(work) {
  const start = performance.now();
  const done = await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
  return { done: done.reduce((sum, n) => sum + n, 0), seconds: (performance.now() - start) / 1000 };
}

// The same with a connection for each.
async function timedClients(work) {
  const pool = await openPool(WORKERS);
  const result = await timed(async (worker) => {
    const client = await pool.connect();
    try {
      return await work(client, `worker ${worker}`);
    } finally {
      client.release();
    }
  });
  await pool.end();
  return result;
}

// --- ours: loaded by SQL; prepared statements, as graphile-worker has them ---

const text = { refined_text: 'A text.', model_version: 'm' };
const claim = { name: 'claim', text: "SELECT job_id, lease_token, job FROM claim_jobs('studio_jobs', $1, $2)" };
const finish = {
  name: 'finish',
  text: "SELECT job_id, lease_token, job FROM finish_and_claim('studio_jobs', $1, $2, $3, $4)",
};
const completeAll = { name: 'completeAll', text: "SELECT count(*)::integer AS done FROM complete_jobs('studio_jobs', $1) WHERE done" };

// One job after the other: one call completes it and claims the next.
async function workEach(client, worker) {
  let done = 0;
  let { rows } = await client.query({ ...claim, values: [worker, 1] });
  for (; rows.length > 0; done += 1) {
    const [job] = rows;
    ({ rows } = await client.query({ ...finish, values: [worker, job.job_id, job.lease_token, text] }));
  }
  return done;
}

// Batches: two calls in a transaction complete one and claim the next.
async function workBatches(client, worker) {
  let done = 0;
  let { rows } = await client.query({ ...claim, values: [worker, BATCH] });
  while (rows.length > 0) {
    const results = rows.map((row) => ({ job_id: row.job_id, lease_token: row.lease_token, result: text }));
    await client.query('BEGIN');
    const completed = await client.query({ ...completeAll, values: [JSON.stringify(results)] });
    ({ rows } = await client.query({ ...claim, values: [worker, BATCH] }));
    await client.query('COMMIT');
    done += completed.rows[0].done;
  }
  return done;
}

const runOurs = () => timedClients(BATCH > 1 ? workBatches : workEach);

// --- graphile-worker ---

const silent = () => () => {};
const store = {
  name: 'store',
  text: `UPDATE bench.results
            SET status = 'COMPLETE', refined_text = $2, model_version = 'm',
                processing_time_ms = extract(epoch FROM clock_timestamp() - created_at) * 1000
          WHERE job_id = $1`,
};

async function loadGraphile() {
  const { makeWorkerUtils, Logger } = await import('graphile-worker');
  const pgPool = await openPool(1);
  const utils = await makeWorkerUtils({ pgPool, logger: new Logger(silent) });
  await utils.migrate();
  const ids = stored ? (await pgPool.query('SELECT job_id FROM bench.results ORDER BY created_at')).rows : numbers.map(() => ({}));
  for (let n = 0; n < jobs; n += 1000) {
    await utils.addJobs(numbers.slice(n, n + 1000).map((i) => ({ identifier: 'refine', payload: { ...payload(i), ...ids[i] } })));
  }
  await utils.release();
  await pgPool.end();
}

// runOnce() ends when no job is left.  Batches: what docs/performance recommends.
async function runGraphile() {
  const { runOnce, Logger } = await import('graphile-worker');
  const concurrency = BATCH > 1 ? 24 : WORKERS;
  const pgPool = await openPool(concurrency + 1);
  const batching = BATCH > 1
    ? { preset: { worker: { localQueue: { size: BATCH }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } } }
    : {};
  let done = 0;
  const refine = stored
    ? async ({ job_id: id }, helpers) => {
      await helpers.withPgClient((client) => client.query({ ...store, values: [id, 'A text.'] }));
      done += 1;
    }
    : () => { done += 1; };
  const start = performance.now();
  await runOnce({
    pgPool, concurrency, noHandleSignals: true, logger: new Logger(silent), taskList: { refine }, ...batching,
  });
  const seconds = (performance.now() - start) / 1000;
  await pgPool.end();
  return { done, seconds };
}

// --- pg-boss ---

async function startBoss(max) {
  const { default: PgBoss } = await import('pg-boss');
  const boss = new PgBoss({ database, host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, max, supervise: false, schedule: false });
  await boss.start();
  return boss;
}

async function loadBoss() {
  const boss = await startBoss(2);
  await boss.createQueue('refine');
  for (let n = 0; n < jobs; n += 1000) {
    await boss.insert(numbers.slice(n, n + 1000).map((i) => ({ name: 'refine', data: payload(i) })));
  }
  await boss.stop({ graceful: false, wait: true });
}

async function runBoss() {
  const boss = await startBoss(WORKERS);
  await Promise.all(Array.from({ length: WORKERS }, () => boss.getQueueSize('refine')));
  const result = await timed(async () => {
    let done = 0;
    for (let fetched = await boss.fetch('refine', { batchSize: BATCH }); fetched.length > 0; fetched = await boss.fetch('refine', { batchSize: BATCH })) {
      await boss.complete('refine', BATCH > 1 ? fetched.map((job) => job.id) : fetched[0].id, { text: 'A text.' });
      done += fetched.length;
    }
    return done;
  });
  await boss.stop({ graceful: false, wait: true });
  return result;
}

// --- pgmq: its SQL is there; read() and delete(), of one message or of many ---

const read = { name: 'read', text: "SELECT msg_id, message FROM pgmq.read('refine', 60, $1)" };
const remove = {
  name: 'remove',
  text: BATCH > 1 ? "SELECT count(*) FROM pgmq.delete('refine', $1::bigint[])" : "SELECT pgmq.delete('refine', ($1::bigint[])[1])",
};

async function loadPgmq() {
  const pool = await openPool(1);
  await pool.query("SELECT pgmq.create('refine')");
  await pool.query("SELECT count(*) FROM generate_series(1, $1::integer) n, pgmq.send('refine', jsonb_build_object('audio', 'audio/' || n || '.mp3'))", [jobs]);
  await pool.end();
}

const runPgmq = () => timedClients(async (client) => {
  let done = 0;
  for (;;) {
    const { rows } = await client.query({ ...read, values: [BATCH] });
    if (rows.length === 0) return done;
    await client.query({ ...remove, values: [rows.map((row) => row.msg_id)] });
    done += rows.length;
  }
});

const load = {
  'graphile-worker': loadGraphile, 'graphile-worker-stored': loadGraphile, 'pg-boss': loadBoss, pgmq: loadPgmq,
};
const run = {
  ours: runOurs, 'graphile-worker': runGraphile, 'graphile-worker-stored': runGraphile, 'pg-boss': runBoss, pgmq: runPgmq,
};

if (mode === 'load') {
  await load[queue]();
} else {
  const { done, seconds } = await run[queue]();
  if (done !== jobs) throw new Error(`${queue}: ${done} jobs were done, not ${jobs}`);
  console.log(jobs / seconds);
}
