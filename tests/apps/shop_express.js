// A small shop as Express applications are written: sessions by connect-redis over node-redis, all
// else by ioredis. Run as `shop_express.js REDIS_PORT`; prints the port that it serves.

import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import Redis from "ioredis";
import { createClient } from "redis";

const port = Number(process.argv[2]);
const sessions = createClient({ url: `redis://127.0.0.1:${port}` });
await sessions.connect();
const store = new Redis({ port });

const app = express();
app.disable("etag");
app.use(
  session({
    store: new RedisStore({ client: sessions, prefix: "express:" }),
    secret: "a test",
    resave: false,
    saveUninitialized: false,
  }),
);

app.post("/login/:user", (request, response) => {
  request.session.user = request.params.user;
  response.json({ user: request.params.user });
});

app.post("/logout", (request, response) => {
  request.session.destroy(() => response.json({ user: null }));
});

app.get("/me", (request, response) => {
  const { user } = request.session;
  if (!user) return response.status(401).json({ error: "not logged in" });
  response.json({ user });
});

app.post("/cart/:item", async (request, response) => {
  const { user } = request.session;
  response.json({ count: await store.hincrby(`cart:${user}`, request.params.item, 1) });
});

app.get("/cart", async (request, response) => {
  const items = await store.hgetall(`cart:${request.session.user}`);
  response.json(Object.fromEntries(Object.entries(items).map(([it, count]) => [it, Number(count)])));
});

app.post("/score/:points", async (request, response) => {
  const { user } = request.session;
  response.json({ score: Number(await store.zincrby("board", request.params.points, user)) });
});

app.get("/score", async (request, response) => {
  const { user } = request.session;
  const [points, rank] = await Promise.all([
    store.zscore("board", user),
    store.zrevrank("board", user),
  ]);
  response.json({ score: points === null ? null : Number(points), rank });
});

app.post("/visit", async (request, response) => {
  const key = `visits:${request.session.user}`;
  const [[, visits]] = await store.multi().incr(key).expire(key, 600).exec();
  response.json({ visits });
});

app.get("/visit", async (request, response) => {
  const key = `visits:${request.session.user}`;
  const [visits, ttl] = await Promise.all([store.get(key), store.ttl(key)]);
  response.json({ visits: Number(visits ?? 0), ttl });
});

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
