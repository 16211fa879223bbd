"""Judges the mutants of binaries that hold them all (schema.py).

    judge.py BINARIES MUTANTS OUT [FILTER ...]

BINARIES is a file that names test binaries, one a line: that of the library first, then those of
tests/, which are only for what survives there.
MUTANTS is what schema.py has written. First each test runs by itself, and writes down which mutants it
comes by. Then each mutant gets a process with the tests that come by it, the fastest first, until one
fails; a process that dies or does not end counts as a test that fails. What is still there is given to
more seeds of the simulator. OUT/verdicts.json gets one line per mutant as soon as it is judged, and a
run that is begun again goes on behind them; OUT/of-servers.json the same of what tests/ says. FILTER: only mutants whose name holds one of these.
MINUTES ends a run that is not through (in an order that takes evenly from all files).
BEFORE names the OUT of an earlier tree: what survived there comes first, and gets only the tests that
are new since; what killed a mutant there is tried first; what tests/ said of a mutant there is taken over. JOBS: how many mutants are judged side by side.
"""

import hashlib
import json
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BINARIES, MUTANTS, OUT = (Path(it).resolve() for it in sys.argv[1:4])
LIBRARY, *SERVERS = BINARIES.read_text().split()
FILTERS = sys.argv[4:]
FEW, MANY = os.environ.get("SIM_SEEDS", "24"), os.environ.get("SIM_SEEDS_MORE", "200")
END = time.monotonic() + 60 * float(os.environ.get("MINUTES", "6000"))
SIMULATORS = ["sim::tests::promises_hold_whatever_happens",
              "sim::wire::tests::promises_hold_over_links_that_break"]
# Half a minute each: only for mutants of planted faults.
PLANTED = {"sim::tests::every_planted_fault_is_found",
           "sim::wire::tests::every_planted_fault_of_the_wire_is_found"}
# They prove the simulator: what they say of a mutant is that its trace is another one.
OF_THE_SIMULATOR = {"sim::tests::the_same_seed_gives_the_same_trace",
                    "sim::wire::tests::the_same_seed_gives_the_same_trace",
                    "sim::tests::a_finding_is_shrunk_to_the_steps_that_it_needs"}
# Tests whose answer hangs on how busy the machine is would kill mutants that do nothing.
UNFIT = OF_THE_SIMULATOR | set(filter(None, os.environ.get("UNFIT_TESTS", "").split(",")))
# Only unit tests whose names begin with one of these: what they alone kill, in little time.
UNITS = tuple(os.environ.get("UNITS", "").split())
# Seconds that a run may take beside five times what its tests take without a mutant.
PATIENCE = float(os.environ.get("PATIENCE", "4"))
# "library" or "servers" for one half of the work.
STAGE = os.environ.get("STAGE", "both")
# Of tests/: the files of its one program that are run.
FILES = set(os.environ.get("TESTS", "").split())
# Of tests/: how many at once, and after how many seconds a mutant gets no further file of them.
THREADS = os.environ.get("THREADS", "6")
SERVER_SECONDS = float(os.environ.get("SERVER_SECONDS", "30"))
JOBS = int(os.environ.get("JOBS", "1"))
BEFORE = os.environ.get("BEFORE")
ADDRESSES = 24 << 30


def keys_of(mutants):
    """A name for each that holds when lines move: what it does to which function, and the how-manieth
    of those that do the same there it is."""
    counts, keys = Counter(), {}
    for it in mutants:
        key = re.sub(r":\d+:\d+: ", ": ", it["name"], count=1)
        counts[key] += 1
        keys[it["number"]] = f"{key} #{counts[key]}"
    return keys


def look_before(mutants):
    """What an earlier tree's run said of these: number of the mutant, and its two verdicts."""
    if not BEFORE:
        return {}, {}
    place, keys = Path(BEFORE), keys_of(mutants)
    old = [json.loads(it) for it in (place / "mutants.json").read_text().splitlines()]
    numbers = {key: number for number, key in keys_of(old).items()}
    known = [dict(read(place / it)) for it in ("verdicts.json", "of-servers.json")]
    return [{number: verdicts[numbers[key]] for number, key in keys.items()
             if numbers.get(key) in verdicts} for verdicts in known]


def tests_before():
    """The library's tests that the earlier tree had."""
    path = Path(BEFORE or "", "reached.json")
    return set(json.loads(path.read_text())["tests"]) if BEFORE and path.exists() else set()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def start(binary, tests, seeds, threads, **more):
    environment = dict(os.environ, SIM_SEEDS=seeds, RUST_BACKTRACE="0", PROPTEST_MAX_SHRINK_ITERS="0",
                       PROPTEST_DISABLE_FAILURE_PERSISTENCE="true", **more)

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # Linux shares the machine out among sessions, in which `nice` means nothing to the others.
        if os.path.exists("/proc/self/autogroup"):
            Path("/proc/self/autogroup").write_text("19")

    command = ["nice", "-n", "15", binary, "--exact", f"--test-threads={threads}", *tests]
    return subprocess.Popen(command, env=environment, preexec_fn=limit, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def failure(tests, seeds, patience, binary=LIBRARY, threads=1, **more):
    """Runs tests of a binary. Answers which fails first, or that one does not end, or None."""
    process = start(binary, tests, seeds, threads, **more)
    end, text, found = time.monotonic() + patience, b"", None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                found = ("hangs", last_test(text))
                break
            if not ready.select(left):
                continue
            piece = os.read(process.stdout.fileno(), 1 << 16)
            text += piece
            if b"FAILED\n" in text:
                found = ("fails", last_test(text[: text.index(b"FAILED\n")]))
                break
            if not piece:
                break
    if found:
        os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    process.stdout.close()
    if not found and status != 0:
        found = ("dies", last_test(text))
    if not found and f"{len(tests)} passed".encode() not in text:
        found = ("ends", last_test(text))
    return found


def last_test(text):
    names = [it for it in text.decode(errors="replace").split("\n") if it.startswith("test ")]
    return names[-1].split()[1] if names else "?"


def names_of(binary):
    listed = subprocess.run([binary, "--list", "--format", "terse"], capture_output=True, text=True)
    names = [it.removesuffix(": test") for it in listed.stdout.splitlines() if it.endswith(": test")]
    if binary == LIBRARY:
        return [it for it in names if not UNITS or it.startswith(UNITS)]
    return [it for it in names if it.split("::")[0] in FILES]


def look_for_reached(binary, path):
    """How long each test takes, and which mutants it comes by."""
    digest = " ".join([sha256(Path(binary).read_bytes()), *UNITS])
    if path.exists() and (known := json.loads(path.read_text()))["binary"] == digest:
        return known["tests"]
    tests, numbers = {}, path.with_suffix(".txt")
    for name in names_of(binary):
        numbers.unlink(missing_ok=True)
        began = time.monotonic()
        if bad := failure([name], FEW, 600, binary, MUTANTS_REACHED=str(numbers)):
            print(f"without any mutant: {Path(binary).name} {name} {bad[0]}", flush=True)
            continue
        took = time.monotonic() - began
        reached = {int(it) for it in numbers.read_text().split()} if numbers.exists() else set()
        tests[name] = {"took": round(took, 3), "reached": sorted(reached)}
    path.write_text(json.dumps({"binary": digest, "tests": tests}))
    return tests


def batches(tests, took, last, hint):
    """What has killed it before, those that have killed a neighbour, then the fastest, then three
    times as long, and so on."""
    if hint in tests:
        yield [hint]
    first = [it for it in last if it in tests and took[it] < 0.5 and it != hint][:3]
    if first:
        yield first
    batch, sum_of, limit = [], 0.0, 0.25
    for test in sorted(tests, key=lambda it: took[it]):
        if test in first or test == hint:
            continue
        batch.append(test)
        sum_of += took[test]
        if limit <= sum_of:
            yield batch
            batch, sum_of, limit = [], 0.0, limit * 3
    if batch:
        yield batch


def judge(mutant, tests, took, last, hint):
    for batch in batches(tests, took, last, hint):
        patience = PATIENCE + 5 * sum(took[it] for it in batch)
        if bad := failure(batch, FEW, patience, MUTANT=str(mutant["number"])):
            if bad[1] in last:
                last.remove(bad[1])
            last.insert(0, bad[1])
            return bad
    if MANY != "0":
        for test in (it for it in SIMULATORS if it in took):
            if bad := failure([test], MANY, 300, MUTANT=str(mutant["number"])):
                return bad
    return None


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    known = look_for_reached(LIBRARY, OUT / "reached.json")
    took = {name: it["took"] for name, it in known.items()}
    reaching = defaultdict(list)
    for name, it in known.items():
        for number in it["reached"]:
            reaching[number].append(name)
    print(f"{len(known)} tests, {sum(took.values()):.0f} s; {len(reaching)} mutants reached", flush=True)
    all_of = [json.loads(it) for it in MUTANTS.read_text().splitlines()]
    mutants = [it for it in all_of if it["state"] == "in"]
    if FILTERS:
        mutants = [it for it in mutants if any(filter in it["name"] for filter in FILTERS)]
    # In an order that takes evenly from all files; those of planted faults take long, and come last.
    before, before_of_servers = look_before(all_of)

    def order(it):
        was_killed = before.get(it["number"], {}).get("verdict") == "killed"
        return is_planted(it), was_killed, sha256(str(it["number"]).encode())

    mutants.sort(key=order)
    last, old = defaultdict(list), tests_before()

    def by_library(mutant):
        tests = set(reaching[mutant["number"]]) - UNFIT
        if not is_planted(mutant):
            tests -= PLANTED
        known = before.get(mutant["number"], {})
        if known.get("verdict") == "survived":
            tests -= old
        hint = known.get("by")
        return judge(mutant, tests, took, last[mutant["file"]], hint), len(tests)

    if STAGE != "servers":
        each(mutants, OUT / "verdicts.json", by_library)
    if SERVERS and STAGE != "library" and time.monotonic() < END:
        survivors = {number for number, it in read(OUT / "verdicts.json") if it["verdict"] == "survived"}
        left = [it for it in mutants if it["number"] in survivors]
        take_over(before_of_servers, left, OUT / "of-servers.json")
        each(left, OUT / "of-servers.json", OfServers().judge)
    tell()


def take_over(verdicts, mutants, path):
    """Writes down what is known of these mutants from an earlier tree."""
    judged = dict(read(path))
    with path.open("a") as out:
        for mutant in mutants:
            number = mutant["number"]
            if number in verdicts and number not in judged:
                record = dict(verdicts[number], number=number, name=mutant["name"])
                out.write(json.dumps(record) + "\n")


class OfServers:
    """What the tests of tests/ say, which start whole servers. They wait more than they work, so
    several of them run side by side."""

    def __init__(self):
        self.last = defaultdict(list)
        with ThreadPoolExecutor(max(JOBS, 3)) as pool:
            looks = [pool.submit(self.look, it, OUT / f"reached-{name_of(it)}") for it in SERVERS]
            self.files = dict(zip(SERVERS, (it.result() for it in looks)))
        self.reaching = defaultdict(list)
        self.took = {}
        for binary, tests in self.files.items():
            for name, test in tests.items():
                self.took[binary, name] = test["took"]
                for number in test["reached"]:
                    self.reaching[number].append((binary, name))

    def look(self, binary, path):
        """The tests of a file that pass, how long they take, and what they come by."""
        return look_for_reached(binary, path.with_suffix(".json"))

    def judge(self, mutant):
        number, last = mutant["number"], self.last[mutant["file"]]
        count, began = 0, time.monotonic()

        def rank(test):
            return last.index(test) if test in last[:8] else len(last), self.took[test]

        tests = sorted(self.reaching[number], key=rank)
        while tests and time.monotonic() - began < SERVER_SECONDS:
            # Of one file, as many as may take about as long as the first of them.
            binary, most = tests[0][0], max(1.0, self.took[tests[0]])
            names = [it[1] for it in tests if it[0] == binary and self.took[it] <= most][:4 * int(THREADS)]
            tests = [it for it in tests if it[0] != binary or it[1] not in names]
            count += len(names)

            def run(names, threads):
                patience = PATIENCE + 10 + 4 * sum(self.took[binary, it] for it in names)
                return failure(names, FEW, patience, binary, threads, MUTANT=str(number))

            # Sockets and clocks are at work here: once is no proof.
            if bad := run(names, THREADS):
                bad = run(*([bad[1]], 1) if bad[1] in names else (names, THREADS))
            if bad:
                test = (binary, bad[1])
                last[:] = [test] + [it for it in last if it != test]
                return (bad[0], name_of(binary) + "::" + bad[1]), count
        return None, count


def name_of(binary):
    return Path(binary).name.rsplit("-", 1)[0]


def tell():
    """A table by room: what was judged, and what of it survives all tests that it has had."""
    all_of = [json.loads(it) for it in MUTANTS.read_text().splitlines()]
    verdicts = dict(read(OUT / "verdicts.json"))
    servers = dict(read(OUT / "of-servers.json"))
    rooms, cells = list(dict.fromkeys(it["room"] for it in all_of)), {}
    for mutant in all_of:
        number, state = mutant["number"], mutant["state"]
        what = {"unviable": "unviable", "single": "single"}.get(state, "not judged")
        if verdict := verdicts.get(number):
            what = servers.get(number, verdict)["verdict"]
            if SERVERS and verdict["verdict"] == "survived" and number not in servers:
                what = "not judged"
        for room in (mutant["room"], "all"):
            key = (room, what)
            cells[key] = cells.get(key, 0) + 1
    columns = ["unviable", "single", "not judged", "killed", "survived"]
    print("| room | " + " | ".join(columns) + " | survive |")
    print("|---|" + "---:|" * (len(columns) + 1))
    for room in [*rooms, "all"]:
        counts = [cells.get((room, it), 0) for it in columns]
        judged = max(1, counts[-1] + counts[-2])
        print(f"| {room} | " + " | ".join(map(str, counts)) + f" | {counts[-1] / judged:.1%} |")


def read(verdicts):
    lines = verdicts.read_text().splitlines() if verdicts.exists() else []
    return [(it["number"], it) for it in map(json.loads, lines)]


def each(mutants, verdicts, judge):
    """Judges those that have no verdict yet."""
    judged = dict(read(verdicts))
    mutants = [it for it in mutants if it["number"] not in judged]
    counts, began = Counter(), time.monotonic()

    def one(mutant):
        at = time.monotonic()
        if END < at:
            return
        bad, tests = judge(mutant)
        verdict = "killed" if bad else "survived"
        counts[verdict] += 1
        how, by = bad or ("", "")
        took = round(time.monotonic() - at, 2)
        record = {"number": mutant["number"], "verdict": verdict, "how": how, "by": by,
                  "tests": tests, "took": took, "room": mutant["room"], "name": mutant["name"]}
        out.write(json.dumps(record) + "\n")
        out.flush()
        if not bad:
            print(f"survived: {mutant['name']} ({tests} tests)", flush=True)
        if sum(counts.values()) % 100 == 0:
            print(f"{time.monotonic() - began:.0f} s: {dict(counts)}", flush=True)

    with verdicts.open("a") as out, ThreadPoolExecutor(JOBS) as pool:
        for done in [pool.submit(one, it) for it in mutants]:
            done.result()
    print(f"{verdicts.name}: {dict(counts)} of {len(mutants)}", flush=True)


def is_planted(mutant):
    return "planted" in mutant["line"].lower()


main()
