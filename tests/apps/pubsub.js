// Pub/sub of node-redis and ioredis: `pubsub.js PORT`; says ok at the end.

import assert from "node:assert/strict";
import Redis from "ioredis";
import { createClient } from "redis";

const port = Number(process.argv[2]);
const until = async (holds) => {
  while (!holds()) await new Promise((done) => setTimeout(done, 1));
};

for (const RESP of [2, 3]) {
  const client = await createClient({ url: `redis://127.0.0.1:${port}`, RESP }).connect();
  const listener = await client.duplicate().connect();
  const got = [];
  await listener.subscribe("news", (message, channel) => got.push(`${channel}:${message}`));
  await listener.pSubscribe("n*", (message, channel) => got.push(`n* ${channel}:${message}`));
  await listener.sSubscribe("shard", (message) => got.push(`shard:${message}`));
  assert.equal(await client.publish("news", "hi"), 2);
  assert.equal(await client.sPublish("shard", "hi"), 1);
  await until(() => got.length === 3);
  assert.deepEqual(got, ["news:hi", "n* news:hi", "shard:hi"]);
  assert.deepEqual(await client.pubSubChannels(), ["news"]);
  assert.equal(await client.pubSubNumPat(), 1);
  await listener.unsubscribe("news");
  await listener.pUnsubscribe("n*");
  await listener.sUnsubscribe("shard");
  assert.equal(await client.publish("news", "gone"), 0);
  await listener.set("k", "v");
  // Until it is told otherwise, it takes replies as they come.
  assert.equal(String(await listener.get("k")), "v");
  await listener.close();
  await client.close();
}

const client = new Redis({ port });
const listener = new Redis({ port });
const got = [];
listener.on("message", (channel, message) => got.push(`${channel}:${message}`));
listener.on("pmessage", (pattern, channel, message) => got.push(`${pattern} ${channel}:${message}`));
assert.equal(await listener.subscribe("news", "old"), 2);
assert.equal(await listener.psubscribe("n*"), 3);
assert.equal(await client.publish("news", "hi"), 2);
await until(() => got.length === 2);
assert.deepEqual(got, ["news:hi", "n* news:hi"]);
await assert.rejects(listener.get("k"));
assert.equal(await listener.unsubscribe("news", "old"), 1);
assert.equal(await listener.punsubscribe("n*"), 0);
assert.equal(await listener.get("k"), "v");
listener.disconnect();
client.disconnect();
console.log("ok");
