#!/usr/bin/env python3
"""What `entourage load` costs: requests per second of its own processor time beside redis-benchmark,
and what each check adds. Against one redis-server, in turns, as Markdown.

    benches/load.py [--rounds 5] [--seconds 3] BINARY

Needs redis-server and redis-benchmark, and memtier_benchmark if there is one. Processor time is that
of the whole process, from its start to its end. A machine with other work makes the requests per
second worthless, and the requests per processor second a little worse for both.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

CLIENTS, KEYS, BYTES = 50, 100_000, 64
DEPTHS = [1, 16]
CHECKS = [
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
    "no-lost-write",
    "linearizable",
    "staleness",
    "read-your-writes,monotonic-reads,monotonic-writes,writes-follow-reads,no-lost-write,staleness",
]


def serve():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port = it.getsockname()[1]
    words = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, port
        except OSError:
            time.sleep(0.1)
    raise SystemExit("redis-server does not come up")


def processor_seconds(words):
    """Runs it; answers its processor seconds."""
    child = subprocess.Popen([str(it) for it in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit(f"{words}: {child.stderr.read().decode()}")
    return used.ru_utime + used.ru_stime


def of_load(binary, port, depth, seconds, commands, flags=()):
    """Requests per second, and per second of its own processor time."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        words = [binary, "load", "--quiet", "--target", f"127.0.0.1:{port}", "--connections", CLIENTS]
        words += ["--depth", depth, "--keys", KEYS, "--value-size", BYTES, "--warmup", "0s"]
        words += ["--duration", f"{seconds}s", "--json", file.name, *flags]
        for command in commands:
            words += ["--command", command]
        cpu = processor_seconds(words)
        results = json.load(open(file.name))["all"]
    return results["per_second"], results["requests"] / cpu


def of_redis_benchmark(port, depth, test, count):
    words = ["redis-benchmark", "-p", port, "-t", test, "-n", count, "-r", KEYS, "-d", BYTES]
    words += ["-P", depth, "-c", CLIENTS, "-q"]
    begun = time.monotonic()
    cpu = processor_seconds(words)
    return count / (time.monotonic() - begun), count / cpu


def of_memtier(port, depth, test, seconds):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        words = ["memtier_benchmark", "-p", port, "-t", 1, "-c", CLIENTS, "--pipeline", depth, "-d", BYTES]
        words += ["--ratio", "1:0" if test == "set" else "0:1", "--key-maximum", KEYS]
        words += ["--test-time", seconds, "--hide-histogram", "--json-out-file", file.name]
        cpu = processor_seconds(words)
        total = json.load(open(file.name))["ALL STATS"]["Totals"]
    return total["Ops/sec"], total["Ops/sec"] * seconds / cpu


def row(*cells):
    print("| " + " | ".join(str(it) for it in cells) + " |", flush=True)


def head(*cells):
    row(*cells)
    row(*("---" for _ in cells))


def median(all, at):
    return statistics.median(it[at] for it in all)


def beside_others(options, port):
    print("### Requests per second of its own processor time\n")
    head("test", "depth", "program", "requests/s", "requests per processor s", "entourage load over it")
    for test, command in [("set", "SET {key} {value}"), ("get", "GET {key}")]:
        for depth in DEPTHS:
            ours, theirs, memtiers = [], [], []
            for _ in range(options.rounds):
                ours.append(of_load(options.binary, port, depth, options.seconds, [command]))
                count = max(10_000, int(ours[0][0] * options.seconds))
                theirs.append(of_redis_benchmark(port, depth, test, count))
                if shutil.which("memtier_benchmark"):
                    memtiers.append(of_memtier(port, depth, test, options.seconds))
            for name, all in [("entourage load", ours), ("redis-benchmark", theirs), ("memtier_benchmark", memtiers)]:
                if all:
                    ratio = median(ours, 1) / median(all, 1)
                    row(test.upper(), depth, name, f"{median(all, 0):.0f}", f"{median(all, 1):.0f}", f"{ratio:.2f} x")
    print()


def of_checks(options, port):
    print("### What checks add\n")
    print("9 GET for each SET. The time of the checker is among that of the process.\n")
    head("checks", "depth", "requests/s", "ns of processor time per request", "more than without")
    for depth in DEPTHS:
        commands = ["9 GET {key}", "1 SET {key} {value}"]
        found = {it: [] for it in ["none", *CHECKS]}
        for _ in range(options.rounds):
            for check, all in found.items():
                # All of them set the keys before.
                flags = ["--check", check, "--fill", "true"]
                all.append(of_load(options.binary, port, depth, options.seconds, commands, flags))
        without = 1e9 / median(found["none"], 1)
        for check, all in found.items():
            ns = 1e9 / median(all, 1)
            name = check if check.count(",") < 2 else "those that level sticky keeps, and staleness"
            row(name, depth, f"{median(all, 0):.0f}", f"{ns:.0f}", f"{ns - without:+.0f}")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="the median of them counts")
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("binary", help="an entourage, built with --profile dist")
    options = parser.parse_args()
    server, port = serve()
    try:
        beside_others(options, port)
        of_checks(options, port)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
