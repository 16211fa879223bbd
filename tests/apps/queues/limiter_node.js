// Rate limits of rate-limiter-flexible, in Lua: `limiter_node.js URL`; the last line tells what
// came of it. Processes ask at the same time, and as many are let through as the limit says.

import assert from "node:assert/strict";
import Redis from "ioredis";
import { RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { createClient } from "redis";
import { Journal, ownDirectory, run, sleep, startSelf } from "./workers.js";

const PROCESSES = 3;
const ATTEMPTS = 80;
const POINTS = 50;
const SHORT = { points: 10, duration: 1 };
const SHORT_MS = 2500;

function limiter(storeClient, keyPrefix, points, duration, more = {}) {
  return new RateLimiterRedis({ storeClient, keyPrefix, points, duration, ...more });
}

// Whether it was let through; anything but a refusal is an error.
async function passes(limit, key, points = 1) {
  try {
    await limit.consume(key, points);
    return true;
  } catch (refused) {
    if (refused instanceof RateLimiterRes) return false;
    throw refused;
  }
}

async function ask(url, directory) {
  const journal = new Journal(directory);
  const first = new Redis(url);
  const second = await createClient({ url }).connect();
  const many = limiter(first, "many", POINTS, 3600);
  const heavy = limiter(second, "heavy", POINTS, 3600, { useRedisPackage: true });
  const blocks = limiter(first, "blocks", 3, 3600, { blockDuration: 7200 });
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // Several at once, so that they go out in one pipeline.
    const asked = [passes(many, "a"), passes(heavy, "a", 7), passes(blocks, "a")];
    const told = await Promise.all(asked);
    ["many", "heavy", "blocks"].forEach((name, at) => told[at] && journal.note(name));
  }
  const short = limiter(first, "short", SHORT.points, SHORT.duration);
  const begun = Date.now();
  while (Date.now() - begun < SHORT_MS) {
    const asked = Date.now();
    if (await passes(short, "a")) journal.note("short", asked, Date.now());
    await sleep(3);
  }
}

async function main(url) {
  const directory = ownDirectory();
  const journal = new Journal(directory);
  const client = new Redis(url);
  await client.flushdb();
  const asker = () => startSelf(directory, url, "ask", directory);
  const askers = Array.from({ length: PROCESSES }, asker);
  assert.deepEqual(await Promise.all(askers.map((it) => it.over)), Array(PROCESSES).fill(0));

  const short = journal.find("short").map((it) => it.words).sort((a, b) => a[0] - b[0]);
  // The windows follow each other: two of them meet in less than the time of one, three never.
  const spans = short.slice(2 * SHORT.points).map((it, at) => it[1] - short[at][0]);
  assert.ok(2 * SHORT.points < short.length, `only ${short.length} were let through`);
  assert.ok(spans.every((it) => 950 <= it), `the limit was broken: ${Math.min(...spans)} ms`);

  const many = limiter(client, "many", POINTS, 3600);
  const stood = await many.get("a");
  assert.equal(stood.remainingPoints, 0);
  const wait = stood.msBeforeNext;
  assert.ok(3_500_000 < wait && wait <= 3_600_000, `${wait} ms`);
  await many.reward("a", stood.consumedPoints - POINTS + 1);
  const again = [await passes(many, "a"), await passes(many, "a")];
  await many.penalty("b", 3);
  const penalty = (await many.get("b")).consumedPoints;
  await many.block("c", 60);
  const blocked = await passes(many, "c");
  const deleted = await many.delete("a");
  await many.set("d", 49, 60);
  const nearly = [await passes(many, "d"), await passes(many, "d")];
  // Spread evenly, the second waits for its share of the time.
  const even = limiter(client, "even", 4, 1, { execEvenly: true });
  const begun = Date.now();
  for (let it = 0; it < 3; it++) await even.consume("a");
  const took = Date.now() - begun;
  assert.ok(350 <= took, `three of four were done after ${took} ms`);
  const count = (name) => journal.find(name).length;
  console.log(
    `many=${count("many")} heavy=${count("heavy")}x7 blocks=${count("blocks")} again=${again} ` +
      `penalty=${penalty} blocked=${!blocked} deleted=${deleted} nearly=${nearly}`,
  );
}

await run({ main, ask });
