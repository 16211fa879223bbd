// Redlock over several servers: `redlock.js URL,URL,URL`; the last line tells what came of it.
//
// Whoever holds the lock makes a file that must not be there yet, so that a lock which is held
// twice is noticed without any server, and takes a number by INCR that must be higher than all
// before it. One server may be gone from the middle on: most of them are enough.

import assert from "node:assert/strict";
import { closeSync, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import Redis from "ioredis";
import Redlock from "redlock";
import { Journal, ownDirectory, run, sleep, startSelf, until } from "./workers.js";

const PROCESSES = 4;
const ROUNDS = 40;
// Longer than any machine stands still: no lock of the workers expires while they hold it.
const HELD_MS_MAX = 20_000;

function locks(urls, retries) {
  const clients = urls.split(",").map((url) => {
    // A server that is gone is to fail at once, and not to keep what it is asked.
    const hasty = { enableOfflineQueue: false, maxRetriesPerRequest: 0, lazyConnect: true };
    const client = new Redis(url, hasty);
    client.on("error", () => {});
    return client;
  });
  const options = { retryCount: retries, retryDelay: 8, retryJitter: 8, driftFactor: 0.01 };
  return { clients, redlock: new Redlock(clients, options) };
}

// Also if some are gone: then the client goes on trying.
const connected = (clients) => Promise.allSettled(clients.map((it) => it.connect()));

async function work(urls, directory) {
  const journal = new Journal(directory);
  const { clients, redlock } = locks(urls, -1);
  await connected(clients);
  const inside = join(directory, "inside");
  for (let round = 0; round < ROUNDS; round++) {
    let lock = await redlock.lock("door", HELD_MS_MAX);
    try {
      closeSync(openSync(inside, "wx"));
    } catch {
      journal.note("twice");
      continue;
    }
    journal.note("fence", await clients[0].incr("fence"));
    if (round % 5 === 0) lock = await lock.extend(HELD_MS_MAX);
    unlinkSync(inside);
    await lock.unlock().catch((error) => journal.note("unlock", String(error)));
  }
}

async function die(urls, directory) {
  const { clients, redlock } = locks(urls, 0);
  await connected(clients);
  await redlock.lock("grave", 800);
  new Journal(directory).note("died");
  process.kill(process.pid, "SIGKILL");
  await sleep(60_000);
}

async function main(urls) {
  const directory = ownDirectory();
  const journal = new Journal(directory);
  const { clients, redlock } = locks(urls, 0);
  await connected(clients);
  await Promise.allSettled(clients.map((it) => it.flushdb()));
  const dying = startSelf(directory, urls, "die", directory);
  await dying.over;
  const [{ when }] = journal.find("died");
  const workers = Array.from({ length: PROCESSES }, () => {
    return startSelf(directory, urls, "work", directory);
  });

  // The lock of a process that was killed is free again when its time is over, and not before.
  await until("the lock of the dead", async () => {
    const lock = await redlock.lock("grave", 1000).catch(() => null);
    return lock && (await lock.unlock().then(() => true, () => true));
  });
  const waited = Date.now() - when;
  assert.ok(600 <= waited, `a lock was free after ${waited} ms`);

  // Two resources at once, or none of them.
  const both = await redlock.lock(["left", "right"], HELD_MS_MAX);
  await assert.rejects(redlock.lock(["right", "other"], HELD_MS_MAX), { name: "LockError" });
  await (await redlock.lock("other", 1000)).unlock().catch(() => {});
  await both.unlock().catch(() => {});
  // Who is too slow has lost it.
  const slow = await redlock.lock("slow", 100);
  await sleep(150);
  await assert.rejects(slow.extend(1000), { name: "LockError" });

  const ends = await Promise.all(workers.map((it) => it.over));
  assert.deepEqual(ends, Array(PROCESSES).fill(0));
  const fences = journal.find("fence").map((it) => it.words[0]);
  const inOrder = fences.every((it, at) => at === 0 || fences[at - 1] < it);
  const twice = journal.find("twice").length;
  const left = await clients[0].keys("*");
  console.log(
    `held=${fences.length} twice=${twice} in_order=${inOrder} ` +
      `last=${await clients[0].get("fence")} left=${left}`,
  );
}

await run({ main, work, die });
