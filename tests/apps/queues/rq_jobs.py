"""A queue of python-rq: `rq_jobs.py URL`; the last line tells what came of it.

Two workers with a scheduler: jobs with results, retries, failures, jobs that others depend on, jobs
for later, a limit of how many run at a time, one that exists once, a job whose process is killed,
and a worker that is killed whole.
"""

import os
import signal
import sys
import time
from datetime import datetime, timedelta, timezone

from redis import Redis

import workers

JOBS = 30
journal = workers.Journal(os.environ.get("JOURNAL", ""))


def add(a, b):
    journal.note("add", a, b)
    return a + b


def flaky(name, failures):
    journal.note("flaky", name)
    if len(journal.find("flaky", name)) <= failures:
        raise ValueError(f"{name} fails")
    return name


def total(*ids):
    from rq import get_current_job

    job = get_current_job()
    return sum(it.return_value() for it in job.fetch_dependencies())


def later(due):
    journal.note("later", due)
    return time.time() - due


def alone(number):
    """Of these only one runs at a time; each notes when it begins and ends."""
    journal.note("begins", number)
    time.sleep(0.05)
    journal.note("ends", number)


def dies(name):
    journal.note("dies", name)
    if len(journal.find("dies", name)) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def stays(name):
    journal.note("stays", name, os.getppid())
    if len(journal.find("stays", name)) == 1:
        time.sleep(60)
    return "moved on"


def worker(url, directory):
    command = [sys.executable, "-m", "rq.cli", "worker", "jobs", "--url", url]
    command += ["--with-scheduler", "--worker-ttl", "5"]
    return workers.start(*command, log=f"{directory}/log", JOURNAL=journal.path)


def main(url):
    from rq import Queue, Retry
    from rq.exceptions import DuplicateJobError
    from rq.job import Job
    from rq.rate_limit import RateLimit
    from rq.registry import StartedJobRegistry

    directory = workers.own_dir()
    journal.path = f"{directory}/journal"
    connection = Redis.from_url(url)
    connection.flushdb()
    queue = Queue("jobs", connection=connection)
    # A scheduler looks for due jobs every second, and rq knows whole seconds.
    due = int(time.time()) + 2
    put_off = [
        queue.enqueue_at(datetime.fromtimestamp(due, timezone.utc), "rq_jobs.later", due)
        for _ in range(3)
    ]
    soon = int(time.time() + 1)
    put_off.append(queue.enqueue_in(timedelta(seconds=1), "rq_jobs.later", soon))
    both = [worker(url, directory) for _ in range(2)]

    adds = [queue.enqueue("rq_jobs.add", it, 1) for it in range(JOBS // 2)]
    with connection.pipeline() as pipe:
        prepared = [
            Queue.prepare_data("rq_jobs.add", (it, 1)) for it in range(JOBS // 2, JOBS)
        ]
        adds += queue.enqueue_many(prepared, pipeline=pipe)
        pipe.execute()
    sums = queue.enqueue("rq_jobs.total", depends_on=adds[:10])
    flakies = [queue.enqueue("rq_jobs.flaky", f"f{it}", 2, retry=Retry(max=3)) for it in range(4)]
    hopeless = [queue.enqueue("rq_jobs.flaky", f"h{it}", 9, retry=Retry(max=1)) for it in range(2)]
    limited = [
        queue.enqueue("rq_jobs.alone", it, rate_limit=RateLimit("one", concurrency=1))
        for it in range(6)
    ]
    once = queue.enqueue("rq_jobs.add", 1000, 1, job_id="once", unique=True)
    refused = 0
    try:
        queue.enqueue("rq_jobs.add", 1000, 1, job_id="once", unique=True)
    except DuplicateJobError:
        refused = 1
    dead = queue.enqueue("rq_jobs.dies", "d", retry=Retry(max=1))

    good = [*adds, sums, *flakies, *limited, once, dead, *put_off]
    finished = lambda: all(it.get_status() == "finished" for it in good)
    workers.until("all jobs to be finished", finished)
    workers.until("the hopeless", lambda: all(it.get_status() == "failed" for it in hopeless))

    # A worker that is killed with its job: whoever cleans up after it gives the job to another.
    stays = queue.enqueue("rq_jobs.stays", "s", retry=Retry(max=1))
    [[parent]] = workers.until("the last job", lambda: journal.words("stays", "s"))
    os.kill(parent, signal.SIGKILL)
    horse = journal.find("stays", "s")[0][1]
    os.kill(horse, signal.SIGKILL)
    started = StartedJobRegistry(queue=queue)
    assert started.get_job_ids() == [stays.id]
    started.cleanup(timestamp=time.time() + 3600)
    workers.until("the job of the killed", lambda: stays.get_status() == "finished")

    results = [it.return_value() for it in adds]
    assert results == [it + 1 for it in range(JOBS)], results
    assert sums.return_value() == sum(range(1, 11))
    assert [it.return_value() for it in flakies] == [f"f{it}" for it in range(4)]
    early = [it.return_value() for it in put_off if it.return_value() < 0]
    assert not early, f"begun {early} s after they were due"
    assert dead.return_value() == "alive" and stays.return_value() == "moved on"
    assert all("ValueError" in it.latest_result().exc_string for it in hopeless)
    assert set(queue.failed_job_registry.get_job_ids()) == {it.id for it in hopeless}
    for it in hopeless:
        fetched = Job.fetch(it.id, connection=connection)
        assert fetched.retries_left == 0, fetched.retries_left
    running = most = 0
    for _, _, what, *_ in journal.read():
        running += {"begins": 1, "ends": -1}.get(what, 0)
        most = max(most, running)
    # A job is finished before its worker has counted it.
    all_good = len(good) + 1
    registry = queue.finished_job_registry
    workers.until("all to be registered", lambda: registry.count == all_good, seconds=5)
    requeued = queue.failed_job_registry.requeue(hopeless[0].id)
    workers.until("the requeued", lambda: requeued.get_status() == "failed")
    both_end = [it for it in both if it.poll() is None]
    for it in both_end:
        it.send_signal(signal.SIGTERM)
    workers.ended(both_end)
    added = journal.words("add")
    print(
        f"finished={registry.count} failed={queue.failed_job_registry.count} "
        f"added={len(added)} twice={len(added) - len(set(map(tuple, added)))} "
        f"retried={len(journal.find('flaky'))} at_a_time={most} refused={refused} "
        f"killed={len(journal.find('dies')) - 1 + len(journal.find('stays')) - 1} "
        f"queued={queue.count} started={started.count} "
        f"scheduled={queue.scheduled_job_registry.count} "
        f"deferred={queue.deferred_job_registry.count}"
    )


if __name__ == "__main__":
    main(sys.argv[1])
