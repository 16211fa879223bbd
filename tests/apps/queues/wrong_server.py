"""A server that does not do what it says, so that the programs here are seen to notice:
`wrong_server.py --port PORT [--level eventual|sticky|user] [--lag-ms N] [--fault VERB=KIND:EVERY]
[--words FILE]`.

In front of a redis-server and a replica that is always so far behind. Reads go to the replica: at
`eventual` all of them, at `sticky` those of connections that have shown nothing newer, at `user`
none where any connection has. Every so many of a command is lost (and answered as if it were not)
or done twice. `--words` notes each command that comes in, also those that a MONITOR does not show.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time

READS = set(
    """GET MGET EXISTS HGET HMGET HGETALL HEXISTS HLEN HKEYS HVALS LLEN LRANGE LINDEX SMEMBERS
    SCARD SISMEMBER ZRANGE ZCARD ZCOUNT ZSCORE ZRANGEBYSCORE ZREVRANGE XRANGE XREVRANGE XLEN XINFO
    XPENDING XREAD TTL PTTL KEYS SCAN TYPE DBSIZE STRLEN""".split()
)
# What makes a connection's state goes to both.
STATE = {"SELECT", "HELLO", "AUTH"}
SUBSCRIBES = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}
LOST = {"SET": b"+OK\r\n", "XADD": b"$3\r\n1-1\r\n"}
# Behind the lag itself, what a loaded machine adds.
SLACK_MS = 100

touched_by_anybody = 0.0
counts = {}


async def read_reply(reader):
    """The bytes of one reply."""
    line = await reader.readline()
    if not line:
        raise ConnectionError("the server is gone")
    kind = line[:1]
    if kind in b"$=!" and not line.startswith(b"$-1"):
        return line + await reader.readexactly(int(line[1:]) + 2)
    if kind in b"*~>%|" and not line.startswith(b"*-1"):
        count = int(line[1:]) * (2 if kind in b"%|" else 1)
        parts = [await read_reply(reader) for _ in range(count)]
        if kind == b"|":
            parts.append(await read_reply(reader))
        return line + b"".join(parts)
    return line


async def read_command(reader):
    """A command's words; none at the end."""
    line = await reader.readline()
    if not line:
        return None
    if not line.startswith(b"*"):
        return line.split()
    words = []
    for _ in range(int(line[1:])):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


def encode(words):
    parts = [b"$%d\r\n%s\r\n" % (len(it), it) for it in words]
    return b"*%d\r\n%s" % (len(words), b"".join(parts))


class Client:
    def __init__(self, options, reader, writer):
        self.options, self.reader, self.writer = options, reader, writer
        self.touched = 0.0
        self.in_multi = False
        self.commands = asyncio.Queue()

    async def serve(self):
        self.master = await asyncio.open_connection("127.0.0.1", self.options.master)
        self.replica = await asyncio.open_connection("127.0.0.1", self.options.replica)
        tasks = [asyncio.create_task(self.listen()), asyncio.create_task(self.answer())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for _, writer in (self.master, self.replica):
                writer.close()
            self.writer.close()

    async def listen(self):
        """Reads on, so that a client is known to be gone while its command blocks."""
        while words := await read_command(self.reader):
            await self.commands.put(words)

    async def answer(self):
        while True:
            words = await self.commands.get()
            verb = words[0].decode().upper()
            note(self.options, verb, words)
            if verb in SUBSCRIBES:
                return await self.pass_on(words)
            self.writer.write(await self.reply(verb, words))
            if self.commands.empty():
                await self.writer.drain()

    async def pass_on(self, words):
        """From here on replies come when they like."""
        pump = asyncio.create_task(self.pump())
        try:
            while True:
                self.master[1].write(encode(words))
                words = await self.commands.get()
                note(self.options, words[0].decode().upper(), words)
        finally:
            pump.cancel()

    async def pump(self):
        while chunk := await self.master[0].read(1 << 16):
            self.writer.write(chunk)
            await self.writer.drain()

    async def reply(self, verb, words):
        if verb in STATE:
            await self.ask(self.replica, words)
            return await self.ask(self.master, words)
        if verb == "MULTI":
            self.in_multi = True
        if verb in ("EXEC", "DISCARD"):
            self.in_multi = False
        if self.in_multi:
            return await self.ask(self.master, words)
        if verb in READS and self.may_be_stale():
            return await self.ask(self.replica, words)
        fault = self.fault(verb)
        if fault == "lose":
            return LOST.get(verb, b":1\r\n")
        if fault == "twice":
            await self.ask(self.master, words)
        told = await self.ask(self.master, words)
        self.touch()
        return told

    def touch(self):
        global touched_by_anybody
        self.touched = touched_by_anybody = time.monotonic()

    def may_be_stale(self):
        level = self.options.level
        since = {"eventual": 0.0, "sticky": self.touched, "user": touched_by_anybody}[level]
        return since + (self.options.lag_ms + SLACK_MS) / 1000 < time.monotonic()

    def fault(self, verb):
        if verb not in self.options.faults:
            return None
        kind, every = self.options.faults[verb]
        counts[verb] = counts.get(verb, 0) + 1
        return kind if counts[verb] % every == 0 else None

    async def ask(self, server, words):
        reader, writer = server
        writer.write(encode(words))
        return await read_reply(reader)


def note(options, verb, words):
    if options.words:
        line = b" ".join([verb.encode(), *words[1:]]).replace(b"\n", b" ")
        options.words.write(line[:300] + b"\n")
        options.words.flush()


def late_link(lag_seconds, master):
    """What a replica gets of its master, so much later."""

    async def serve(reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", master)
        chunks = asyncio.Queue()

        async def take():
            while chunk := await up_reader.read(1 << 16):
                await chunks.put((time.monotonic() + lag_seconds, chunk))

        async def give():
            while True:
                due, chunk = await chunks.get()
                await asyncio.sleep(max(0, due - time.monotonic()))
                writer.write(chunk)

        async def back():
            while chunk := await reader.read(1 << 16):
                up_writer.write(chunk)

        tasks = [asyncio.create_task(it()) for it in (take, give, back)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    return serve


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--level", choices=["eventual", "sticky", "user"], default="user")
    parser.add_argument("--lag-ms", type=int, default=200)
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--words", type=argparse.FileType("ab"))
    options = parser.parse_args()
    options.faults = {}
    for fault in options.fault:
        verb, kind, every = fault.replace("=", ":").split(":")
        options.faults[verb] = (kind, int(every))

    directory = tempfile.mkdtemp(prefix="entourage-wrong-")
    sockets = [await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) for _ in range(2)]
    options.master, options.replica = [it.sockets[0].getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    link = await asyncio.start_server(
        late_link(options.lag_ms / 1000, options.master), "127.0.0.1", 0
    )
    link_port = str(link.sockets[0].getsockname()[1])
    binary = os.environ.get("REDIS_SERVER", "redis-server")
    common = ["setpriv", "--pdeathsig", "KILL", binary, "--bind", "127.0.0.1", "--save", ""]
    common += ["--dir", directory, "--repl-diskless-sync-delay", "0", "--port"]
    quiet = {"stdout": subprocess.DEVNULL}
    servers = [
        subprocess.Popen([*common, str(options.master)], **quiet),
        subprocess.Popen(
            [*common, str(options.replica), "--replicaof", "127.0.0.1", link_port], **quiet
        ),
    ]
    try:
        await until_linked(options.replica)
        accept = lambda reader, writer: Client(options, reader, writer).serve()
        server = await asyncio.start_server(accept, "127.0.0.1", options.port)
        over = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        await over.wait()
        server.close()
    finally:
        for it in servers:
            it.kill()
            it.wait()
        shutil.rmtree(directory, ignore_errors=True)


async def until_linked(port):
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(encode([b"INFO", b"replication"]))
            if b"master_link_status:up" in await read_reply(reader):
                return writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.02)


asyncio.run(main())
