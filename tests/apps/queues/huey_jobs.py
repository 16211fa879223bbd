"""A queue of huey: `huey_jobs.py URL`; the last line tells what came of it.

Two consumers, one of processes and one of threads, on a queue with priorities: tasks with results,
retries, failures, pipelines, a chord, tasks for later, revoked tasks, a lock, and a limit. Huey
promises nothing for a task whose consumer is killed, so the one that is killed has nothing to do,
and the other is asked to end while it works.
"""

import os
import signal
import sys
import time

from huey import PriorityRedisHuey, RedisExpireHuey, chord
from huey.exceptions import ResultTimeout, TaskException

import workers

TASKS = 80
LIMIT = 5
# No window of the limit ends while the tasks run, but by chance once in a million.
LIMIT_SECONDS = 10**7

url = os.environ.get("QUEUE_URL", "redis://127.0.0.1:6379")
journal = workers.Journal(os.environ.get("JOURNAL", ""))
huey = PriorityRedisHuey("jobs", url=url, notify_result=True, utc=True)
# Its lists are popped by BRPOP, its results are keys of their own that expire.
plain = RedisExpireHuey("plain", url=url, expire_time=60)


@huey.task()
def add(a, b):
    journal.note("add", a, b)
    return a + b


@huey.task(retries=3)
def flaky(name, failures):
    journal.note("flaky", name)
    if len(journal.find("flaky", name)) <= failures:
        raise ValueError(f"{name} fails")
    return name


@huey.task(retries=1, retry_delay=1)
def patient(name):
    journal.note("patient", name)
    if len(journal.find("patient", name)) == 1:
        raise ValueError(f"{name} fails")
    return name


@huey.task()
def total(results):
    return sum(results)


@huey.task()
def later(due):
    journal.note("later", due)
    return time.time() - due


@huey.task(retries=200, retry_delay=0)
def alone(number):
    with huey.lock_task("alone"):
        journal.note("begins", number)
        time.sleep(0.02)
        journal.note("ends", number)
    return number


@huey.task()
@huey.rate_limit("few", limit=LIMIT, per=LIMIT_SECONDS, retry=False)
def few(number):
    journal.note("few", number)
    return number


@huey.task()
def slow(number):
    journal.note("slow", number)
    time.sleep(0.2)
    journal.note("slow ends", number)
    return number


@plain.task()
def square(number):
    journal.note("square", number)
    return number * number


def consumer(url, directory, name, kind, count):
    command = [sys.executable, "-m", "huey.bin.huey_consumer", f"huey_jobs.{name}"]
    command += ["-k", kind, "-w", count, "-d", "0.02", "-m", "0.1"]
    variables = {"JOURNAL": journal.path, "QUEUE_URL": url}
    return workers.start(*command, log=f"{directory}/log", **variables)


def get(result):
    """The result of the last try: huey tells of those before it, too, and wakes for them again."""
    begun = time.monotonic()
    while True:
        try:
            return result.get(blocking=True, timeout=workers.PATIENCE_SECONDS)
        except ResultTimeout:
            assert time.monotonic() - begun < workers.PATIENCE_SECONDS, f"no result of {result}"
        except TaskException as error:
            if error.metadata["retries"] == 0:
                raise
            result.reset()


def main(url):
    directory = workers.own_dir()
    journal.path = f"{directory}/journal"
    huey.storage.conn.flushdb()
    # While nobody works, the order is known: the highest priority first.
    ordered = [slow(it, priority=it) for it in range(4)]
    threads = consumer(url, directory, "huey", "thread", 1)
    assert [get(it) for it in ordered] == [0, 1, 2, 3]
    order = [number for [number] in journal.words("slow")]
    assert order == [3, 2, 1, 0], order

    processes = consumer(url, directory, "huey", "process", 3)
    others = consumer(url, directory, "plain", "thread", 3)
    due = time.time() + 1
    put_off = [later.schedule((due,), delay=1) for _ in range(4)]
    revoked = [add.schedule((-1, it), delay=2) for it in range(3)]
    for it in revoked:
        it.revoke()
    adds = [add(it, 1) for it in range(TASKS)]
    squares = square.map(range(40))
    flakies = [flaky(f"f{it}", 2) for it in range(6)]
    patients = [patient(f"p{it}") for it in range(3)]
    hopeless = flaky("hopeless", 9)
    piped = huey.enqueue(add.s(7000, 1).then(add, 10).then(add, 100))
    joined = huey.enqueue(chord([add.s(it, 1000) for it in range(8)], total.s()))
    lonely = [alone(it) for it in range(8)]
    # Huey begins a window without care for others, so that one task is to be first.
    get(few(0))
    limited = [few(it) for it in range(1, LIMIT * 2)]

    assert [get(it) for it in adds] == [it + 1 for it in range(TASKS)]
    results = squares.get(blocking=True, timeout=workers.PATIENCE_SECONDS)
    assert results == [it * it for it in range(40)], results
    # A result that expires may be read again.
    nine = square(3)
    assert get(nine) == 9 and plain.result(nine.id) == 9
    assert [get(it) for it in flakies] == [f"f{it}" for it in range(6)]
    assert [get(it) for it in patients] == [f"p{it}" for it in range(3)]
    assert [get(it) for it in piped] == [7001, 7011, 7111]
    assert get(joined.callback) == sum(range(1000, 1008))
    failures = 0
    for it in [hopeless, *limited]:
        try:
            get(it)
        except TaskException as error:
            kind = error.metadata["error"].split("(")[0]
            assert kind in ("ValueError", "RateLimitExceeded"), kind
            failures += 1
        except Exception as error:
            raise AssertionError(f"{it}: {error}") from error
    for it in lonely:
        get(it)
    early = [it for it in map(get, put_off) if it < 0]
    assert not early, f"begun {early} s after they were due"
    workers.until("what is for later to be gone", lambda: huey.scheduled_count() == 0)
    # Whoever is killed with one of them in hand leaves its mark.
    workers.until("the revoked to be dropped", lambda: not any(it.is_revoked() for it in revoked))

    # One consumer is killed, the other goes on; then it is asked to end, and finishes its work.
    threads.kill()
    threads.wait()
    after = [add(it, 5000) for it in range(20)]
    assert [get(it) for it in after] == [it + 5000 for it in range(20)]
    last = [slow(it) for it in range(100, 103)]
    workers.until("the last to begin", lambda: len(journal.find("slow")) == 7)
    for it in (processes, others):
        it.send_signal(signal.SIGINT)
    workers.ended([processes, others])
    assert [get(it) for it in last] == [100, 101, 102]
    assert len(journal.find("slow ends")) == 7

    inside = most = 0
    for _, _, what, *_ in journal.read():
        inside += {"begins": 1, "ends": -1}.get(what, 0)
        most = max(most, inside)
    added = journal.words("add")
    print(
        f"added={len(added)} twice={len(added) - len(set(map(tuple, added)))} "
        f"squared={len(journal.find('square'))} "
        f"revoked_ran={len([it for it in added if it[0] < 0])} failures={failures} "
        f"few={len(journal.find('few'))} flaky={len(journal.find('flaky'))} "
        f"alone={len(journal.find('ends'))} at_a_time={most} "
        f"pending={huey.pending_count()} results={huey.result_count()} "
        f"locked={huey.is_locked('alone')}"
    )


if __name__ == "__main__":
    os.environ["QUEUE_URL"] = sys.argv[1]
    import huey_jobs

    huey_jobs.main(sys.argv[1])
