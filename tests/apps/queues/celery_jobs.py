"""A queue of Celery with the redis transport: `celery_jobs.py URL` (without a database); the last
line tells what came of it.

Two workers, one of processes and one of threads: results, retries, failures, groups, chains,
chords, priorities, tasks for later and tasks that are revoked, messages to all workers. In another
database, tasks that are acknowledged when they are done, and a worker that is killed with one.
"""

import os
import signal
import sys
import time

from celery import Celery, chain, chord, group
from celery.exceptions import TaskRevokedError
from kombu import Queue

import workers

TASKS = 60
# What is not acknowledged in this time is given to another worker.
VISIBLE_SECONDS = 2

url = os.environ.get("QUEUE_URL", "redis://127.0.0.1:6379").rstrip("/")
journal = workers.Journal(os.environ.get("JOURNAL", ""))


def application(name, database, **options):
    it = Celery(name, broker=f"{url}/{database}", backend=f"{url}/{database}")
    it.conf.update(
        worker_prefetch_multiplier=4,
        broker_connection_retry_on_startup=True,
        result_chord_ordered=True,
        broker_transport_options=options,
    )
    return it


app = application("jobs", 0, queue_order_strategy="priority", priority_steps=[0, 5, 9])
late = application(
    "late",
    1,
    visibility_timeout=VISIBLE_SECONDS,
    unacked_restore_interval=0.5,
    unacked_restore_throttle=1,
)
late.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)
# Nobody works on this one before all of its messages are there.
app.conf.task_queues = [Queue("celery"), Queue("ordered")]


@app.task
def add(a, b):
    journal.note("add", a, b)
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3, default_retry_delay=0)
def flaky(self, name, failures):
    journal.note("flaky", name)
    if self.request.retries < failures:
        raise self.retry(exc=ValueError(f"{name} fails"))
    return name


@app.task(autoretry_for=(KeyError,), retry_backoff=False, default_retry_delay=0.2, max_retries=2)
def stubborn(name):
    journal.note("stubborn", name)
    if len(journal.find("stubborn", name)) <= 2:
        raise KeyError(name)
    return name


@app.task
def later(due):
    journal.note("later", due)
    return time.time() - due


@app.task(ignore_result=True)
def ordered(number):
    journal.note("ordered", number)


@late.task
def survive(name):
    journal.note("survive", name)
    if name == "victim" and len(journal.find("survive", name)) == 1:
        time.sleep(60)
    return name


def worker(url, directory, application, name, *options):
    command = [sys.executable, "-m", "celery", "-A", f"celery_jobs:{application}", "worker"]
    command += ["-n", f"{name}@here", "-l", "WARNING", *options]
    variables = {"JOURNAL": journal.path, "QUEUE_URL": url, "C_FORCE_ROOT": 1}
    return workers.start(*command, log=f"{directory}/log", **variables)


def main(url):
    directory = workers.own_dir()
    journal.path = f"{directory}/journal"
    for database in (app, late):
        database.backend.client.flushdb()
    for number in range(9):
        ordered.apply_async((number,), queue="ordered", priority=[9, 5, 0][number % 3])
    both = [
        worker(url, directory, "app", "threads", *"-P threads -c 1 -Q celery,ordered".split()),
        worker(url, directory, "app", "processes", *"-P prefork -c 2 -Q celery".split()),
    ]
    solos = [worker(url, directory, "late", f"solo{it}", "-P", "solo") for it in range(2)]
    victim = survive.delay("victim")
    others = [survive.delay(f"o{it}") for it in range(6)]

    due = time.time() + 1
    put_off = [later.apply_async((due,), countdown=1) for _ in range(4)]
    expired = add.apply_async((-1, 1), countdown=1, expires=0.5)
    adds = group(add.s(it, 1) for it in range(TASKS)).apply_async()
    flakies = [flaky.delay(f"f{it}", 2) for it in range(5)]
    stubborns = [stubborn.delay(f"s{it}") for it in range(2)]
    hopeless = [flaky.delay(f"h{it}", 9) for it in range(2)]
    chained = chain(add.s(1000, 1), add.s(10), add.s(100)).delay()
    joined = [
        chord((add.s(it, step * 2000) for it in range(10)), total.s()).delay() for step in (1, 2)
    ]
    broken = chord([add.s(9000, 1), flaky.s("h-in-chord", 9)], total.s()).delay()

    # The task of a worker that is killed is given to the other one.
    [first] = workers.until("the victim", lambda: journal.find("survive", "victim"))[:1]
    [killed] = [it for it in solos if it.pid == first[1]]
    killed.kill()
    killed.wait()

    patience = workers.PATIENCE_SECONDS
    assert adds.get(timeout=patience) == [it + 1 for it in range(TASKS)]
    # Who is asked is told by all workers, through a fanout exchange.
    workers.until("both workers", lambda: len(app.control.ping(timeout=0.3) or []) == 2)
    revoked = [add.apply_async((-2, it), countdown=1.5) for it in range(2)]
    for it in revoked:
        it.revoke()
    assert [it.get(timeout=patience) for it in flakies] == [f"f{it}" for it in range(5)]
    assert [it.get(timeout=patience) for it in stubborns] == ["s0", "s1"]
    assert chained.get(timeout=patience) == 1111
    assert [it.get(timeout=patience) for it in joined] == [20_045, 40_045]
    failures = 0
    for it in [*hopeless, broken]:
        try:
            it.get(timeout=patience)
        except Exception as error:
            assert "fails" in str(error), error
            failures += 1
    early = [it for it in (later.get(timeout=patience) for later in put_off) if it < 0]
    assert not early, f"begun {early} s after they were due"
    # An expired task is revoked when its time comes, the others when they would have begun.
    for it in [expired, *revoked]:
        try:
            it.get(timeout=patience)
            raise AssertionError("a revoked task has run")
        except TaskRevokedError:
            pass

    assert victim.get(timeout=patience) == "victim"
    assert [it.get(timeout=patience) for it in others] == [f"o{it}" for it in range(6)]

    workers.until("the ordered", lambda: len(journal.find("ordered")) == 9)
    order = [number % 3 for [number] in journal.words("ordered")]
    assert order == [2, 2, 2, 1, 1, 1, 0, 0, 0], order
    # Read again, from what is stored.
    stored = [app.AsyncResult(it.id).state for it in adds]
    assert stored == ["SUCCESS"] * TASKS
    adds.forget()
    # What is revoked is acknowledged when its time comes.
    unacked = lambda: sum(it.backend.client.hlen("unacked") for it in (app, late))
    workers.until("all to be acknowledged", lambda: unacked() == 0)
    left = [it for it in both + solos if it.poll() is None]
    for it in left:
        it.send_signal(signal.SIGTERM)
    for it in left:
        it.wait(timeout=patience)
    added = journal.words("add")
    waiting = sum(it.backend.client.llen("celery") for it in (app, late))
    print(
        f"added={len(added)} twice={len(added) - len(set(map(tuple, added)))} "
        f"revoked_ran={len([it for it in added if it[0] < 0])} failures={failures} "
        f"flaky={len(journal.find('flaky'))} stubborn={len(journal.find('stubborn'))} "
        f"survived={len({name for [name] in journal.words('survive')})} "
        f"victim={len(journal.find('survive', 'victim'))} unacked={unacked()} waiting={waiting}"
    )
    # Results that are forgotten while Python ends complain of it.
    sys.stdout.flush()
    sys.unraisablehook = lambda _: None


if __name__ == "__main__":
    os.environ["QUEUE_URL"] = sys.argv[1]
    import celery_jobs

    celery_jobs.main(sys.argv[1])
