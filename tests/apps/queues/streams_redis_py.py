"""Consumer groups with redis-py: `streams_redis_py.py URL`; the last line tells what came of it.

Two producers and four consumers; one consumer is killed while it holds entries, the others claim
them. Some entries fail once, and one fails always and ends in a stream of its own.
"""

import os
import signal
import sys
import time

import redis

import workers

PRODUCERS = 2
ENTRIES = 400
CONSUMERS = 4
IDLE_MS = 400
DELIVERIES_MAX = 3
# Far more than all entries: nothing is trimmed before it is read.
LENGTH_MAX = 10_000


def produce(url, directory, producer):
    client = redis.Redis.from_url(url)
    sent = 0
    while sent < ENTRIES:
        with client.pipeline(transaction=sent % 100 == 0) as pipe:
            for number in range(sent, sent + 20):
                entry = {"producer": producer, "number": number, "text": "x" * 50}
                pipe.xadd("events", entry, maxlen=LENGTH_MAX, approximate=True)
            pipe.execute()
        sent += 20
        time.sleep(0.025)


def consume(url, directory, name):
    client = redis.Redis.from_url(url, decode_responses=True)
    journal = workers.Journal(f"{directory}/journal")
    claimed_at = time.monotonic()
    taken = 0
    client.ping()
    journal.note("ready")
    while not os.path.exists(f"{directory}/over"):
        told = client.xreadgroup("group", name, {"events": ">"}, count=8, block=50)
        entries = entries_of(told)
        if name == "c0" and 10 < (taken := taken + len(entries)) and entries:
            # With entries that it has read and not acknowledged.
            journal.note("killed", name, len(entries))
            os.kill(os.getpid(), signal.SIGKILL)
        process(client, journal, name, entries)
        if 0.2 < time.monotonic() - claimed_at:
            claimed_at = time.monotonic()
            bury(client, journal, name)
            _, claimed, gone = client.xautoclaim(
                "events", "group", name, min_idle_time=IDLE_MS, count=10
            )
            assert not gone
            process(client, journal, name, claimed)


def entries_of(told):
    """The entries of the one stream that was asked for, in either protocol."""
    if not told:
        return []
    if isinstance(told, dict):
        return [entry for batch in told["events"] for entry in batch]
    return told[0][1]


def process(client, journal, name, entries):
    for identity, entry in entries:
        number = (int(entry["producer"]), int(entry["number"]))
        if number == (1, 7):
            journal.note("always fails", identity)
            continue
        if number[1] % 50 == 9 and client.hincrby("attempts", identity, 1) == 1:
            journal.note("fails once", identity)
            continue
        # What is done and that it is done: one thing.
        with client.pipeline(transaction=True) as pipe:
            pipe.sadd("done", f"{number[0]}:{number[1]}")
            pipe.xack("events", "group", identity)
            _, acknowledged = pipe.execute()
        journal.note("done", *number, identity, acknowledged)


def bury(client, journal, name):
    """Moves entries to another stream that were delivered too often."""
    pending = client.xpending_range("events", "group", "-", "+", count=20, idle=IDLE_MS)
    for it in pending:
        if it["times_delivered"] < DELIVERIES_MAX:
            continue
        taken = client.xclaim("events", "group", name, IDLE_MS, [it["message_id"]])
        for identity, entry in taken:
            with client.pipeline(transaction=True) as pipe:
                pipe.xadd("dead", {**entry, "from": identity})
                pipe.xack("events", "group", identity)
                pipe.execute()
            journal.note("buried", identity)


def main(url):
    directory = workers.own_dir()
    journal = workers.Journal(f"{directory}/journal")
    client = redis.Redis.from_url(url, decode_responses=True)
    client.flushdb()
    client.xgroup_create("events", "group", id="$", mkstream=True)
    log = f"{directory}/log"
    consumers = [
        workers.start_self(url, "consume", directory, f"c{it}", log=log) for it in range(CONSUMERS)
    ]
    workers.until("all consumers", lambda: len(journal.find("ready")) == CONSUMERS)
    producers = [
        workers.start_self(url, "produce", directory, it, log=log) for it in range(PRODUCERS)
    ]
    workers.ended(producers)
    everything = PRODUCERS * ENTRIES - 1
    done = lambda: len({tuple(it[:2]) for it in journal.words("done")})
    workers.until("all entries", lambda: everything <= done())
    workers.until("the one that fails", lambda: journal.find("buried"))
    pending = lambda: client.xpending("events", "group")["pending"]
    workers.until("nothing to be pending", lambda: pending() == 0)
    open(f"{directory}/over", "w").close()
    consumers[0].wait()
    workers.ended(consumers[1:])

    done = journal.words("done")
    # In the order of their ids each producer's entries stand as it has sent them.
    for producer in range(PRODUCERS):
        ids = {number: identity for who, number, identity, _ in done if who == producer}
        ordered = [tuple(map(int, ids[number].split("-"))) for number in sorted(ids)]
        assert ordered == sorted(ordered), "entries of one producer changed places"
    # An entry may be done twice, but is acknowledged once.
    acknowledged = sum(it[3] for it in done)
    [group] = client.xinfo_groups("events")
    fail_once = {it for [it] in journal.words("fails once")}
    held = sum(it[1] for it in journal.words("killed"))
    assert 0 < held, "nobody was killed"
    # Whoever was killed has nothing left; a consumer is deleted, and the log can be cut.
    names = sorted(it["name"] for it in client.xinfo_consumers("events", "group"))
    assert names == [f"c{it}" for it in range(CONSUMERS)], names
    assert client.xgroup_delconsumer("events", "group", "c0") == 0
    entries = client.xlen("events")
    [[_, dead]] = client.xrange("dead")
    last = client.xinfo_stream("events")["last-generated-id"]
    assert group["last-delivered-id"] == last
    ids = [identity for identity, _ in client.xrevrange("events", count=10)]
    assert client.xtrim("events", minid=ids[-1], approximate=False) == entries - 10
    assert client.xdel("events", ids[0]) == 1
    print(
        f"entries={entries} done={client.scard('done')} acknowledged={acknowledged} "
        f"killed={len(journal.find('killed'))} failed_once={len(fail_once)} "
        f"buried={dead['producer']}:{dead['number']} pending={group['pending']} "
        f"lag={group['lag']} trimmed_to={client.xlen('events')}"
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
