#!/usr/bin/env python3
"""Counts, per request, the read-modify-writes with a lock prefix that the program executes, and per
batch of requests its system calls: for one and two workers, at depth 1 and 16.

    benches/contention.py [--depths 1,16] BINARY [BINARY ...]

Needs valgrind, strace, objdump (binutils) and redis-benchmark. A locked instruction whose line no
other core touches costs about 20 cycles; one whose line another core has just written costs a few
hundred. All are counted, so the number is the most that cores can take from each other.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time

FEW, MANY, CLIENTS, KEYS = 2_000, 12_000, 10, 10_000


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def locked_addresses(binary):
    """Addresses of instructions that lock: those with the prefix, and xchg with memory."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", binary], capture_output=True, text=True).stdout
    is_locked = re.compile(r"^\s*([0-9a-f]+):\s+(lock |xchg\s.*\()")
    return {int(m.group(1), 16) for m in map(is_locked.match, text.splitlines()) if m}


def serve(before, binary, port, threads):
    flags = ["--bind", f"127.0.0.1:{port}", "--threads", str(threads), "--replicas", "2", "--loglevel", "warning"]
    server = subprocess.Popen(before + [binary] + flags, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not come up")


def load(port, test, count, depth):
    words = ["-p", port, "-t", test, "-n", count, "-r", KEYS, "-d", 64, "-P", depth, "-c", CLIENTS, "-q"]
    subprocess.run(["redis-benchmark"] + [str(it) for it in words], capture_output=True)


def end(port, server):
    time.sleep(1)
    subprocess.run(["redis-cli", "-p", str(port), "shutdown", "nosave"], capture_output=True)
    server.wait()


def run(before, binary, threads, test, count, depth):
    port = free_port()
    server = serve(before, binary, port, threads)
    load(port, "set", 5_000, 16)
    load(port, test, count, depth)
    end(port, server)


def locked(binary, addresses, threads, test, count, depth):
    with tempfile.TemporaryDirectory() as place:
        out = os.path.join(place, "out")
        tool = ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-pos=no", f"--callgrind-out-file={out}"]
        run(tool, binary, threads, test, count, depth)
        total, is_call = 0, False
        base = None
        for line in open(out):
            if line.startswith("calls="):
                is_call = True
                continue
            found = re.match(r"^0x([0-9a-f]+) \S+ (\d+)$", line)
            if not found:
                continue
            if not is_call:
                at = int(found.group(1), 16)
                for start in (0, 0x108000, 0x400000):
                    if at - start in addresses:
                        total += int(found.group(2))
                        break
            is_call = False
        return total


def calls(binary, threads, test, count, depth):
    with tempfile.NamedTemporaryFile() as out:
        run(["strace", "-f", "-c", "-o", out.name], binary, threads, test, count, depth)
        rows = (line.split() for line in open(out.name))
        return sum(int(it[3]) for it in rows if len(it) >= 5 and it[-1] not in ("total", "syscall") and it[3].isdigit())


def main():
    words, depths = sys.argv[1:], (1, 16)
    if words[:1] == ["--depths"]:
        depths, words = [int(it) for it in words[1].split(",")], words[2:]
    print("| binary | workers | command | depth | locked instructions per request | system calls per batch |")
    print("|---|---|---|---|---|---|")
    for binary in words:
        addresses = locked_addresses(binary)
        for threads in (1, 2):
            for test in ("set", "get"):
                for depth in depths:
                    few, many = (locked(binary, addresses, threads, test, it, depth) for it in (FEW, MANY))
                    per_request = (many - few) / (MANY - FEW)
                    few, many = (calls(binary, threads, test, it, depth) for it in (FEW, MANY))
                    per_batch = (many - few) / (MANY - FEW) * depth
                    print(f"| {os.path.basename(binary)} | {threads} | {test.upper()} | {depth} | {per_request:.1f} | {per_batch:.1f} |", flush=True)


if __name__ == "__main__":
    main()
