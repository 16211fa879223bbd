// Servers of socket.io that share their rooms by pub/sub: `socketio_rooms.js URL`; the last line
// tells what came of it.
//
// Three servers, two with ioredis and one with node-redis, and two clients of each in one room: all
// servers send to the room at the same time, and every client hears all of it, in order.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import Redis from "ioredis";
import { createClient } from "redis";
import { Server } from "socket.io";
import { io as dial } from "socket.io-client";
import { Journal, ownDirectory, run, sleep, startSelf, until } from "./workers.js";

const SERVERS = 3;
const CLIENTS = 2;
const MESSAGES = 100;

async function connections(url, number) {
  if (number % 2 === 0) return [new Redis(url), new Redis(url)];
  const client = createClient({ url });
  return Promise.all([client.connect(), client.duplicate().connect()]);
}

async function serve(url, directory, number) {
  const [publisher, subscriber] = await connections(url, Number(number));
  const http = createServer();
  const io = new Server(http, { adapter: createAdapter(publisher, subscriber) });
  io.on("connection", (socket) => {
    socket.on("join", async (room, done) => done(await socket.join(room)));
    // One after the other, as fast as they go.
    socket.on("say", (room, count) => {
      for (let it = 0; it < count; it++) io.to(room).emit("said", number, it, Buffer.from([it]));
    });
    socket.on("tell others", (room, text) => socket.to(room).emit("told", text));
    socket.on("count", async (done) => done((await io.fetchSockets()).length));
    socket.on("count room", async (room, done) => done((await io.in(room).fetchSockets()).length));
    socket.on("servers", async (done) => done(await io.of("/").adapter.serverCount()));
    socket.on("ask servers", (done) => io.serverSideEmit("who", (error, names) => done(names)));
    socket.on("ask room", (room, done) => {
      io.to(room).timeout(5000).emit("name?", (error, names) => done(error ? null : names));
    });
    socket.on("clear", (room) => io.in(room).socketsLeave(room));
    socket.on("end all", () => io.disconnectSockets());
  });
  io.on("who", (done) => done(number));
  http.listen(0, "127.0.0.1", () => new Journal(directory).note("port", http.address().port));
  await new Promise(() => {});
}

const ask = (socket, ...words) => new Promise((done) => socket.emit(...words, done));

async function main(url) {
  const directory = ownDirectory();
  const journal = new Journal(directory);
  for (let it = 0; it < SERVERS; it++) startSelf(directory, url, "serve", directory, String(it));
  const ports = await until("the servers", () => {
    const found = journal.find("port").map((it) => it.words[0]);
    return found.length === SERVERS && found;
  });
  const sockets = ports.flatMap((port) => {
    const one = () => dial(`http://127.0.0.1:${port}`, { transports: ["websocket"] });
    return Array.from({ length: CLIENTS }, one);
  });
  const heard = sockets.map(() => []);
  const told = sockets.map(() => []);
  let ended = 0;
  sockets.forEach((socket, at) => {
    socket.on("said", (server, number, bytes) => {
      assert.equal(bytes[0], number);
      heard[at].push([server, number]);
    });
    socket.on("told", (text) => told[at].push(text));
    socket.on("name?", (done) => done(`socket ${at}`));
    socket.on("disconnect", () => ended++);
  });
  await Promise.all(sockets.map((it) => ask(it, "join", "room")));
  // Redis has told nobody yet that the subscriptions of all servers stand.
  for (const socket of sockets) {
    await until("all servers", async () => (await ask(socket, "servers")) === SERVERS);
    await until("all sockets", async () => (await ask(socket, "count")) === sockets.length);
  }

  const speakers = sockets.filter((_, at) => at % CLIENTS === 0);
  speakers.forEach((it) => it.emit("say", "room", MESSAGES));
  const all = SERVERS * MESSAGES;
  await until("all messages", () => heard.every((it) => all <= it.length));
  let late = 0;
  for (const messages of heard) {
    const last = {};
    for (const [server, number] of messages) {
      late += number !== (last[server] ?? -1) + 1;
      last[server] = number;
    }
  }
  sockets[0].emit("tell others", "room", "hello");
  await until("the others", () => told.filter((it) => it.length).length === sockets.length - 1);
  assert.deepEqual(told[0], []);
  const servers = (await ask(sockets[1], "ask servers")).length;
  const names = (await ask(sockets[2], "ask room", "room")).sort();
  assert.deepEqual(names, sockets.map((_, at) => `socket ${at}`).sort());
  // Nobody is in the room any more, and so nobody hears what is said there.
  sockets[3].emit("clear", "room");
  await until("all to leave", async () => (await ask(sockets[3], "count room", "room")) === 0);
  sockets[4].emit("say", "room", 5);
  await sleep(200);
  const count = heard.reduce((sum, it) => sum + it.length, 0);
  sockets[5].emit("end all");
  await until("all to be disconnected", () => ended === sockets.length);
  console.log(
    `heard=${count} late=${late} told=${told.flat().length} servers=${servers} ` +
      `names=${names.length} ended=${ended}`,
  );
}

await run({ main, serve });
