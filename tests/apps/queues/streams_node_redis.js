// Consumer groups with node-redis: `streams_node_redis.js URL`; the last line tells what came of
// it.
//
// Two producers and three consumers; one consumer is killed while it holds entries, the others
// claim them, one with XAUTOCLAIM and one with XPENDING and XCLAIM. A reader without a group
// follows all.

import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "redis";
import { Journal, PATIENCE_MS, ownDirectory, run, sleep, startSelf, until } from "./workers.js";

const PRODUCERS = 2;
const ENTRIES = 300;
const CONSUMERS = 3;
const IDLE_MS = 400;

const connect = (url, RESP) => createClient({ url, RESP }).on("error", console.error).connect();

async function produce(url, directory, producer) {
  const client = await connect(url, 2);
  for (let number = 0; number < ENTRIES; number += 10) {
    // Sent at once: node-redis puts them into one pipeline.
    const ten = Array.from({ length: 10 }, (_, it) => {
      const entry = { producer, number: String(number + it) };
      return client.xAdd("events", "*", entry, {
        TRIM: { strategy: "MAXLEN", strategyModifier: "~", threshold: 10_000 },
      });
    });
    await Promise.all(ten);
    await sleep(20);
  }
}

async function consume(url, directory, name) {
  const journal = new Journal(directory);
  // Either protocol, and a connection of its own for what blocks.
  const client = await connect(url, name === "c1" ? 3 : 2);
  const blocked = await client.duplicate().connect();
  const options = { COUNT: 7, BLOCK: 50 };
  const acknowledged = new Set();
  let taken = 0;
  journal.note("ready");
  while (!existsSync(join(directory, "over"))) {
    const told = await blocked.xReadGroup("group", name, { key: "events", id: ">" }, options);
    const entries = told?.[0]?.messages ?? [];
    taken += entries.length;
    if (name === "c0" && 10 < taken && entries.length) {
      journal.note("killed", entries.length);
      process.kill(process.pid, "SIGKILL");
      await sleep(60_000);
    }
    await done(client, journal, entries);
    // What this connection has acknowledged it must not see as pending.
    const mine = { consumer: name };
    const pending = await client.xPendingRange("events", "group", "-", "+", 20, mine);
    entries.forEach((it) => acknowledged.add(it.id));
    if (pending.some((it) => acknowledged.has(it.id))) journal.note("stale");
    await done(client, journal, await claim(client, name));
  }
}

async function claim(client, name) {
  if (name === "c1") {
    const options = { COUNT: 5 };
    return (await client.xAutoClaim("events", "group", name, IDLE_MS, "0-0", options)).messages;
  }
  const pending = await client.xPendingRange("events", "group", "-", "+", 5, { IDLE: IDLE_MS });
  if (!pending.length) return [];
  const ids = pending.map((it) => it.id);
  return client.xClaim("events", "group", name, IDLE_MS, ids);
}

function done(client, journal, entries) {
  const one = async ({ id, message }) => {
    // What is done and that it is done: one thing.
    const replies = await client
      .multi()
      .sAdd("done", `${message.producer}:${message.number}`)
      .xAck("events", "group", id)
      .exec();
    journal.note("done", id, replies[1]);
  };
  return Promise.all(entries.map(one));
}

// Reads everything from the beginning, without a group.
async function follow(client, count) {
  const numbers = {};
  const begun = Date.now();
  let late = 0;
  for (let id = "0-0", seen = 0; seen < count; ) {
    const told = await client.xRead({ key: "events", id }, { BLOCK: 500, COUNT: 50 });
    assert.ok(Date.now() - begun < PATIENCE_MS, "entries that were added are not read");
    if (!told) continue;
    for (const { id: next, message } of told[0].messages) {
      late += Number(message.number) !== (numbers[message.producer] ?? -1) + 1;
      numbers[message.producer] = Number(message.number);
      id = next;
      seen++;
    }
  }
  return late;
}

async function main(url) {
  const directory = ownDirectory();
  const journal = new Journal(directory);
  const client = await connect(url, 2);
  const follower = await client.duplicate().connect();
  await client.flushDb();
  await client.xGroupCreate("events", "group", "0", { MKSTREAM: true });
  const all = PRODUCERS * ENTRIES;
  const followed = follow(follower, all);
  const names = Array.from({ length: CONSUMERS }, (_, it) => `c${it}`);
  const consumers = names.map((it) => startSelf(directory, url, "consume", directory, it));
  await until("all consumers", () => journal.find("ready").length === CONSUMERS);
  const producers = Array.from({ length: PRODUCERS }, (_, it) => {
    return startSelf(directory, url, "produce", directory, String(it));
  });
  assert.deepEqual(await Promise.all(producers.map((it) => it.over)), [0, 0]);
  const late = await followed;
  const ids = () => new Set(journal.find("done").map((it) => it.words[0]));
  await until("all entries", () => all <= ids().size);
  const pending = async () => (await client.xPending("events", "group")).pending;
  await until("nothing to be pending", async () => (await pending()) === 0);
  writeFileSync(join(directory, "over"), "");
  assert.deepEqual(await Promise.all(consumers.map((it) => it.over)), ["SIGKILL", 0, 0]);

  const acknowledged = journal.find("done").reduce((sum, it) => sum + it.words[1], 0);
  const [group] = await client.xInfoGroups("events");
  const infos = await client.xInfoConsumers("events", "group");
  assert.deepEqual(infos.map((it) => [it.name, it.pending]), names.map((it) => [it, 0]));
  const stream = await client.xInfoStream("events");
  assert.equal(stream["last-generated-id"], group["last-delivered-id"]);
  const range = await client.xRange("events", "-", "+");
  const reverse = await client.xRevRange("events", "+", "-");
  assert.deepEqual(reverse.reverse(), range);
  console.log(
    `entries=${await client.xLen("events")} done=${await client.sCard("done")} late=${late} ` +
      `acknowledged=${acknowledged} killed=${journal.find("killed").length} ` +
      `stale=${journal.find("stale").length} pending=${group.pending} lag=${group.lag}`,
  );
  await Promise.all([client.close(), follower.close()]);
}

await run({ main, produce, consume });
