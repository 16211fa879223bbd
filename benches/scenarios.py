#!/usr/bin/env python3
"""Runs the ready scenarios of `entourage load` against Entourage, redis-server and valkey-server, in
turns, and prints a table in Markdown; with `--svg FILE` it draws one, too.

    benches/scenarios.py [--rounds 3] [--seconds 3] [--only cache,ycsb-a] [--svg FILE] BINARY

BINARY is an `entourage`: the server with two replicas, and the load generator for all three. The
other two are `redis-server` and `valkey-server` or what REDIS_SERVER and VALKEY_SERVER name; one
that is not there is left out. Each server is new for each scenario and has no persistence. Of the
rounds the median is shown. The processor time is that of the server's processes alone. The fourth
row is a redis-server whose two replicas are read from, as a client would do that by itself: it shows
what a read there may miss.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

READ_REPLICAS = "redis, replicas read"
WARM_UP_MS = 500
TICKS = os.sysconf("SC_CLK_TCK")
COLOURS = {"entourage": "#1b6ca8", "redis": "#c0392b", "valkey": "#7d8a97", READ_REPLICAS: "#e2a79f"}


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def servers(binary):
    """Names, and what starts each at a port."""
    real = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--port"]
    found = {"entourage": [binary, "--loglevel", "warning", "--replicas", "2", "--port"]}
    for name, variable in [("redis", "REDIS_SERVER"), ("valkey", "VALKEY_SERVER")]:
        path = shutil.which(os.environ.get(variable, f"{name}-server"))
        if path:
            found[name] = [path] + real
        else:
            print(f"no {name}-server: left out", file=sys.stderr)
    if "redis" in found:
        found[READ_REPLICAS] = found["redis"]
    return found


def ask(port, line):
    with socket.create_connection(("127.0.0.1", port)) as it:
        it.sendall(line.encode() + b"\r\n")
        return it.recv(1 << 16).decode()


class Servers:
    """A server, with so many replicas that are read from; all end with the block."""

    def __init__(self, line, replicas):
        self.line, self.replicas, self.processes, self.ports = line, replicas, [], []

    def __enter__(self):
        self.start([])
        for _ in range(self.replicas):
            self.start(["--replicaof", "127.0.0.1", str(self.ports[0]), "--repl-diskless-sync-delay", "0"])
            self.wait(lambda: "master_link_status:up" in ask(self.ports[-1], "INFO replication"))
        return self

    def start(self, flags):
        self.ports.append(free_port())
        line = self.line + [str(self.ports[-1])] + flags
        self.processes.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.wait(lambda: "PONG" in ask(self.ports[-1], "PING"))

    def wait(self, is_there):
        for _ in range(400):
            try:
                if is_there():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        self.__exit__()
        raise SystemExit(f"{self.line[0]} does not come up")

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def cpu_seconds(self):
        ticks = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/stat") as it:
                fields = it.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS


def run(binary, scenario, servers, seconds, out):
    """One run: what the load generator says of it, and the servers' time per request."""
    before = servers.cpu_seconds()
    line = [binary, "load", "--quiet", "--scenario", scenario, "--target", f"127.0.0.1:{servers.ports[0]}",
            "--duration", f"{seconds}s", "--warmup", f"{WARM_UP_MS}ms", "--json", out]
    for port in servers.ports[1:]:
        line += ["--read-from", f"127.0.0.1:{port}"]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(line)}\n{done.stdout}{done.stderr}")
    with open(out) as it:
        told = json.load(it)
    used = servers.cpu_seconds() - before
    latency, staleness = told["all"]["latency_ns"], told.get("staleness") or {}
    total = told["all"]["requests"] * (told["seconds"] + WARM_UP_MS / 1000) / told["seconds"]
    return {
        "per_second": told["all"]["per_second"],
        "cpu_us": used / total * 1e6,
        **{name: latency[name] / 1e6 for name in ("p50", "p99", "p99.9")},
        "reads": staleness.get("reads", 0),
        "stale": staleness.get("stale", 0),
        "violations": sum(it["violations"] for it in told.get("checks", [])),
        "errors": sum(told.get("errors", {}).values()),
    }


def measure(binary, scenario, names, rounds, seconds, out):
    """The median of each number, by server."""
    runs = {name: [] for name in names}
    for _ in range(rounds):
        for name, line in names.items():
            with Servers(line, 2 if name == READ_REPLICAS else 0) as servers:
                runs[name].append(run(binary, scenario, servers, seconds, out))
    summed = {"reads", "stale", "violations", "errors"}
    middle = lambda field, of: (sum if field in summed else statistics.median)(it[field] for it in of)
    return {name: {field: middle(field, of) for field in of[0]} for name, of in runs.items()}


def table(results):
    print("| scenario | server | requests/s | CPU per request | p50 | p99 | p99.9 | stale of reads checked | violations |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for scenario, of in results.items():
        for name, it in of.items():
            stale = f"{it['stale']} of {it['reads']:,}" if it["reads"] else "-"
            print(f"| {scenario} | {name} | {it['per_second']:,.0f} | {it['cpu_us']:.1f} µs | {it['p50']:.2f} ms | "
                  f"{it['p99']:.2f} ms | {it['p99.9']:.2f} ms | {stale} | {it['violations']} |")


def short_table(results):
    """A line per scenario: Entourage, redis and valkey side by side."""
    names = [it for it in next(iter(results.values())) if it != READ_REPLICAS]
    print(f"\nEach cell: {' · '.join(names)}.\n")
    print("| scenario | requests/s | p50 ms | p99 ms | p99.9 ms | stale reads: Entourage, redis with replicas |")
    print("|---|---|---|---|---|---|")
    for scenario, of in results.items():
        cell = lambda field, form: " · ".join(form.format(of[name][field]) for name in names)
        stale = [of[name] for name in ("entourage", READ_REPLICAS) if name in of]
        told = ", ".join(f"{it['stale']} of {it['reads']:,}" for it in stale) if stale[0]["reads"] else "-"
        per_second = " · ".join(f"{of[name]['per_second'] / 1000:.0f}k" for name in names)
        print(f"| {scenario} | {per_second} | {cell('p50', '{:.2f}')} | {cell('p99', '{:.1f}')} | "
              f"{cell('p99.9', '{:.1f}')} | {told} |")


def draw(results, path):
    """Bars: requests per second, and beside each the 99th percentile."""
    names = list(next(iter(results.values())))
    bar, gap, left, width = 11, 12, 120, 300
    height = 60 + len(results) * (len(names) * bar + gap)
    parts = []
    fields = [("per_second", "requests per second", "{:,.0f}"), ("cpu_us", "processor time of the server per request, µs", "{:.1f}"),
              ("p99", "p99, ms", "{:.2f}")]
    for column, (field, title, form) in enumerate(fields):
        x = left + column * (width + 60)
        most = max(it[field] for of in results.values() for it in of.values())
        parts.append(f'<text x="{x}" y="20" class="head">{title}</text>')
        y = 34
        for scenario, of in results.items():
            if column == 0:
                parts.append(f'<text x="{left - 8}" y="{y + len(names) * bar / 2 + 4}" text-anchor="end">{scenario}</text>')
            for name in names:
                length = of[name][field] / most * width
                parts.append(f'<rect x="{x}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{COLOURS[name]}"/>')
                parts.append(f'<text x="{x + length + 4:.1f}" y="{y + bar - 3}" class="small">{form.format(of[name][field])}</text>')
                y += bar
            y += gap
    for at, name in enumerate(names):
        parts.append(f'<rect x="{left + at * 150}" y="{height - 18}" width="10" height="10" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{left + at * 150 + 15}" y="{height - 9}">{name}</text>')
    total = left + len(fields) * (width + 60)
    style = "text{font:12px sans-serif;fill:#222}.head{font-weight:bold}.small{font-size:9px}"
    with open(path, "w") as it:
        it.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}">\n'
                 f'<style>{style}</style>\n<rect width="{total}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("binary")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--only", default="")
    options.add_argument("--svg")
    asked = options.parse_args()
    listed = subprocess.run([asked.binary, "load", "--list"], capture_output=True, text=True, check=True).stdout
    ready = [it.split()[0] for it in listed.splitlines() if it.strip()]
    wanted = asked.only.split(",") if asked.only else ready
    names, results = servers(asked.binary), {}
    with tempfile.TemporaryDirectory() as place:
        out = os.path.join(place, "out.json")
        for scenario in wanted:
            print(scenario, file=sys.stderr)
            results[scenario] = measure(asked.binary, scenario, names, asked.rounds, asked.seconds, out)
    table(results)
    short_table(results)
    if asked.svg:
        draw(results, asked.svg)


if __name__ == "__main__":
    main()
