// One run of a queue from JavaScript: node peers.mjs QUEUE MODE DATABASE JOBS prints jobs a second.
//   QUEUE  ours, graphile-worker, pg-boss
//   MODE   load    makes the jobs
//          each    4 workers, each claims a job, completes it, and so on
//          batch   as the documentation of the queue wants it for throughput
// Pitfall: what is measured is the queue, so the work is nothing, all have the same driver, 4 connections or
// what their documentation says, and time begins when the connections are there.
import { performance } from 'node:perf_hooks';
import pg from 'pg';

const [queue, mode, database, count] = process.argv.slice(2);
const jobs = Number(count);
const payload = (n) => ({ audio: `audio/${n}.mp3` });
const numbers = Array.from({ length: jobs }, (_, n) => n);
const BATCH = 100;
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

// Calls work() in so many loops until each returns how many jobs it did: 0 is the end.
async function drain(loops, work) {
  let done = 0;
  const start = performance.now();
  await Promise.all(Array.from({ length: loops }, async (_, loop) => {
    for (let n = await work(loop); n > 0; n = await work(loop)) done += n;
  }));
  return { done, seconds: (performance.now() - start) / 1000 };
}

// --- ours: loaded by SQL; prepared statements, as graphile-worker has them ---

const claim = { name: 'claim', text: "SELECT job_id, lease_token, job FROM claim_jobs('studio_jobs', $1, $2)" };
const complete = { name: 'complete', text: "SELECT store_refined_text($1, $2, 'm', $3)" };
const completeAll = {
  name: 'completeAll',
  text: `SELECT count(store_refined_text(c.job_id, c.result, 'm', c.lease_token))
           FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS c (job_id, result, lease_token)`,
};

async function runOurs() {
  const pool = await openPool(WORKERS);
  const limit = mode === 'batch' ? BATCH : 1;
  const result = await drain(WORKERS, async (worker) => {
    const { rows } = await pool.query({ ...claim, values: [`worker ${worker}`, limit] });
    if (rows.length === 0) return 0;
    if (mode === 'each') {
      await pool.query({ ...complete, values: [rows[0].job_id, 'A text.', rows[0].lease_token] });
    } else {
      await pool.query({
        ...completeAll,
        values: [rows.map((r) => r.job_id), rows.map(() => 'A text.'), rows.map((r) => r.lease_token)],
      });
    }
    return rows.length;
  });
  await pool.end();
  return result;
}

// --- graphile-worker ---

const silent = () => () => {};

async function loadGraphile() {
  const { makeWorkerUtils, Logger } = await import('graphile-worker');
  const pgPool = await openPool(1);
  const utils = await makeWorkerUtils({ pgPool, logger: new Logger(silent) });
  await utils.migrate();
  for (let n = 0; n < jobs; n += 1000) {
    await utils.addJobs(numbers.slice(n, n + 1000).map((i) => ({ identifier: 'refine', payload: payload(i) })));
  }
  await utils.release();
  await pgPool.end();
}

// runOnce() ends when no job is left.  Batches: what docs/performance recommends.
async function runGraphile() {
  const { runOnce, Logger } = await import('graphile-worker');
  const concurrency = mode === 'batch' ? 24 : WORKERS;
  const pgPool = await openPool(concurrency + 1);
  const batching = mode === 'batch'
    ? { preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } } }
    : {};
  let done = 0;
  const refine = () => { done += 1; };
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
  const batchSize = mode === 'batch' ? BATCH : 1;
  const result = await drain(WORKERS, async () => {
    const fetched = await boss.fetch('refine', { batchSize });
    if (fetched.length === 0) return 0;
    await boss.complete('refine', mode === 'batch' ? fetched.map((job) => job.id) : fetched[0].id, { text: 'A text.' });
    return fetched.length;
  });
  await boss.stop({ graceful: false, wait: true });
  return result;
}

const load = { 'graphile-worker': loadGraphile, 'pg-boss': loadBoss };
const run = { ours: runOurs, 'graphile-worker': runGraphile, 'pg-boss': runBoss };

if (mode === 'load') {
  await load[queue]();
} else {
  const { done, seconds } = await run[queue]();
  if (done !== jobs) throw new Error(`${queue}: ${done} jobs were done, not ${jobs}`);
  console.log(jobs / seconds);
}
