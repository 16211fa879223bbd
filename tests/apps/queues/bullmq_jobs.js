// A queue of BullMQ: `bullmq_jobs.js URL`; the last line tells what came of it.
//
// Three workers: results, retries with backoff, failures, delayed and repeated jobs, priorities,
// a flow of a parent with children, a rate limit, jobs that exist once, progress and events, and a
// worker that is killed with its job.

import assert from "node:assert/strict";
import { FlowProducer, Job, Queue, QueueEvents, UnrecoverableError, Worker } from "bullmq";
import Redis from "ioredis";
import { Journal, PATIENCE_MS, ownDirectory, run, sleep, startSelf, until } from "./workers.js";

const JOBS = 100;
const LIMITED = 20;
const LIMIT = { max: 5, duration: 400 };
// A job whose worker does not renew its lock for so long is given to another.
const LOCK = { lockDuration: 2500, stalledInterval: 500, maxStalledCount: 2 };

const connect = (url) => ({ url, maxRetriesPerRequest: null });

async function work(url, directory) {
  const journal = new Journal(directory);
  const done = {
    add: async ({ data }) => data.a + data.b,
    flaky: async ({ data, attemptsMade }) => {
      if (attemptsMade < data.failures) throw new Error(`${data.name} fails`);
      return attemptsMade;
    },
    hopeless: async () => {
      throw new UnrecoverableError("never again");
    },
    delayed: async ({ data, timestamp }) => Date.now() - timestamp - data.delay,
    tick: async () => "tock",
    child: async ({ data }) => data.value,
    parent: async (job) => {
      const values = Object.values(await job.getChildrenValues());
      return values.reduce((sum, it) => sum + it, 0);
    },
    steps: async (job) => {
      for (const step of [25, 50, 100]) await job.updateProgress(step);
      await job.log("all steps taken");
    },
    victim: async () => {
      if (journal.find("begins", "victim").length === 1) await sleep(60_000);
      return "recovered";
    },
  };
  const process = async (job) => {
    journal.note("begins", job.name, job.id);
    const result = await done[job.name](job);
    journal.note("ends", job.name, job.id);
    return result;
  };
  new Worker("jobs", process, { connection: connect(url), concurrency: 4, ...LOCK });
  const limited = async (job) => journal.note("limited", job.id);
  new Worker("limited", limited, { connection: connect(url), concurrency: 4, limiter: LIMIT });
  await new Promise(() => {});
}

async function main(url) {
  const directory = ownDirectory();
  const journal = new Journal(directory);
  const connection = connect(url);
  const plain = new Redis(url);
  await plain.flushdb();
  plain.disconnect();
  const queue = new Queue("jobs", { connection });
  queue.setMaxListeners(2 * JOBS);
  // From now on, and from the beginning.
  const events = new QueueEvents("jobs", { connection });
  events.setMaxListeners(2 * JOBS);
  const everything = new QueueEvents("jobs", { connection, lastEventId: "0-0" });
  await Promise.all([events.waitUntilReady(), everything.waitUntilReady()]);
  const heard = { completed: 0, failed: 0, progress: [] };
  everything.on("completed", () => heard.completed++);
  everything.on("failed", () => heard.failed++);
  everything.on("progress", ({ data }) => heard.progress.push(data));
  const finished = (jobs) => {
    return Promise.all(jobs.map((it) => it.waitUntilFinished(events, PATIENCE_MS)));
  };

  // While nobody works, the order is known: the lowest number first, and those without before all.
  const ordered = new Queue("ordered", { connection });
  for (const priority of [3, 1, 2, 3, 0, 1]) await ordered.add("it", {}, { priority });
  const order = [];
  const note = async ({ opts }) => order.push(opts.priority);
  const alone = new Worker("ordered", note, { connection });
  await until("the ordered", () => order.length === 6);
  assert.deepEqual(order, [0, 1, 1, 2, 3, 3]);
  await alone.close();

  const workers = Array.from({ length: 3 }, () => startSelf(directory, url, "work", directory));
  const limited = new Queue("limited", { connection });
  const many = Array.from({ length: LIMITED }, (_, it) => ({ name: "limited", data: { it } }));
  await limited.addBulk(many);
  const adds = await queue.addBulk(
    Array.from({ length: JOBS }, (_, it) => ({ name: "add", data: { a: it, b: 1 } })),
  );
  const flaky = await Promise.all(
    Array.from({ length: 8 }, (_, it) => {
      const backoff = { type: it % 2 ? "fixed" : "exponential", delay: 50 };
      return queue.add("flaky", { name: `f${it}`, failures: 2 }, { attempts: 3, backoff });
    }),
  );
  const hopeless = await Promise.all([
    queue.add("hopeless", {}, { attempts: 5 }),
    queue.add("flaky", { name: "h", failures: 9 }, { attempts: 2, backoff: 20 }),
  ]);
  const delayed = await Promise.all(
    Array.from({ length: 6 }, () => queue.add("delayed", { delay: 700 }, { delay: 700 })),
  );
  const once = [];
  for (let it = 0; it < 3; it++) {
    const options = { deduplication: { id: "once" }, delay: 300 };
    once.push(await queue.add("add", { a: 1000, b: 1 }, options));
  }
  assert.equal(new Set(once.map((it) => it.id)).size, 1);
  const same = [0, 1].map(() => queue.add("add", { a: 2000, b: 1 }, { jobId: "by-name" }));
  await Promise.all(same);
  const children = Array.from({ length: 5 }, (_, it) => {
    return { name: "child", queueName: "jobs", data: { value: it + 1 } };
  });
  const flow = new FlowProducer({ connection });
  const parent = await flow.add({ name: "parent", queueName: "jobs", children });
  const steps = await queue.add("steps", {});
  await queue.upsertJobScheduler("clock", { every: 200, limit: 4 }, { name: "tick" });

  assert.deepEqual(await finished(adds), Array.from({ length: JOBS }, (_, it) => it + 1));
  assert.deepEqual(await finished(flaky), Array(8).fill(2));
  const early = (await finished(delayed)).filter((it) => it < -5);
  assert.deepEqual(early, [], "begun before they were due");
  assert.deepEqual(await finished([once[0], await Job.fromId(queue, "by-name")]), [1001, 2001]);
  assert.equal((await finished([parent.job]))[0], 15);
  await finished([steps]);
  assert.deepEqual((await queue.getJobLogs(steps.id)).logs, ["all steps taken"]);
  for (const [it, why] of [[hopeless[0], /never again/], [hopeless[1], /h fails/]]) {
    await assert.rejects(it.waitUntilFinished(events, PATIENCE_MS), why);
    assert.equal((await Job.fromId(queue, it.id)).failedReason.match(why).length, 1);
  }
  await until("the clock", () => journal.find("ends", "tick").length === 4);
  await until("the limited", () => journal.find("limited").length === LIMITED);
  // So many in each window of time: the last ones wait for three windows to end.
  const passed = journal.find("limited").map((it) => it.when);
  const took = Math.max(...passed) - Math.min(...passed);
  assert.ok(LIMIT.duration * 3 * 0.8 <= took, `the limit was broken: ${took} ms`);

  // Paused, the queue gives out nothing.
  await queue.pause();
  const paused = await queue.add("add", { a: 3000, b: 1 });
  await sleep(150);
  assert.equal(await paused.getState(), "waiting");
  await queue.resume();
  assert.equal(await paused.waitUntilFinished(events, PATIENCE_MS), 3001);

  const victim = await queue.add("victim", {});
  const [{ pid }] = await until("the victim", () => {
    const found = journal.find("begins", "victim");
    return found.length && found;
  });
  const killed = workers.find((it) => it.pid === pid);
  killed.kill("SIGKILL");
  assert.equal(await killed.over, "SIGKILL");
  assert.equal(await victim.waitUntilFinished(events, PATIENCE_MS), "recovered");

  const counts = await queue.getJobCounts();
  const ends = journal.find("ends");
  const twice = ends.length - new Set(ends.map((it) => it.words[1])).size;
  const failedAgain = await queue.getFailed();
  await Promise.all(failedAgain.map((it) => it.retry()));
  await until("the retried", async () => (await queue.getJobCounts()).failed === 2);
  await until("all events", () => heard.completed === counts.completed && heard.failed === 4);
  const found = await queue.getCompleted(0, -1);
  const cleaned = await queue.clean(0, 1000, "completed");
  console.log(
    `completed=${counts.completed} heard=${heard.completed} found=${found.length} ` +
      `cleaned=${cleaned.length} failed=${counts.failed} twice=${twice} limited=${passed.length} ` +
      `victim=${journal.find("begins", "victim").length} progress=${heard.progress} ` +
      `waiting=${counts.waiting} active=${counts.active} delayed=${counts.delayed}`,
  );
  const all = [queue, events, everything, flow, limited, ordered];
  await Promise.all(all.map((it) => it.close()));
}

await run({ main, work });
