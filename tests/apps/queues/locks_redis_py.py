"""redis-py's Lock among processes: `locks_redis_py.py URL`; the last line tells what came of it.

Whoever holds the lock makes a file that must not be there yet, so that a lock which is held twice
is noticed without any server, and takes a number by INCR that must be higher than all before it.
"""

import os
import signal
import sys
import time

import redis
from redis.exceptions import LockError, LockNotOwnedError

import workers

PROCESSES = 4
ROUNDS = 60
# Longer than any machine stands still: no lock of the workers expires while they hold it.
HELD_SECONDS_MAX = 20
SHORT_SECONDS = 0.3


def work(url, directory, rounds):
    client = redis.Redis.from_url(url)
    journal = workers.Journal(f"{directory}/journal")
    for number in range(int(rounds)):
        lock = client.lock("door", timeout=HELD_SECONDS_MAX, sleep=0.005)
        with lock:
            inside(client, directory, journal)
            assert lock.owned()
            if number % 4 == 0:
                assert lock.extend(HELD_SECONDS_MAX)
            if number % 4 == 1:
                assert lock.reacquire()


def inside(client, directory, journal):
    """What only one may do at a time."""
    try:
        os.close(os.open(f"{directory}/inside", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        journal.note("twice")
        return
    journal.note("fence", client.incr("fence"))
    # The count is read and written apart, so that two at a time would lose one.
    count = int(client.get("count") or 0)
    client.set("count", count + 1)
    os.unlink(f"{directory}/inside")


def die_inside(url, directory):
    client = redis.Redis.from_url(url)
    assert client.lock("grave", timeout=1).acquire()
    workers.Journal(f"{directory}/journal").note("died")
    os.kill(os.getpid(), signal.SIGKILL)


def main(url):
    directory = workers.own_dir()
    journal = workers.Journal(f"{directory}/journal")
    client = redis.Redis.from_url(url)
    client.flushdb()
    log = f"{directory}/log"
    all_workers = [
        workers.start_self(url, "work", directory, ROUNDS, log=log) for _ in range(PROCESSES)
    ]
    dying = workers.start_self(url, "die_inside", directory, log=log)

    # Meanwhile: who is too slow has lost the lock, and is told so.
    slow = client.lock("short", timeout=SHORT_SECONDS)
    assert slow.acquire()
    assert not client.lock("short").acquire(blocking=False)
    next_one = client.lock("short", timeout=HELD_SECONDS_MAX, sleep=0.005)
    begun = time.monotonic()
    assert next_one.acquire(blocking_timeout=HELD_SECONDS_MAX)
    waited = time.monotonic() - begun
    assert SHORT_SECONDS * 0.7 <= waited, f"the lock was free after {waited} s"
    told = 0
    for act in (slow.release, slow.reacquire, lambda: slow.extend(1)):
        try:
            act()
        except LockNotOwnedError:
            told += 1
        except LockError:
            # After its release it is not held at all, whoever holds it now.
            told += 1
    assert next_one.owned() and next_one.locked()
    next_one.release()
    assert not next_one.locked()

    # The lock of a process that was killed is free again when its time is over.
    dying.wait()
    recovered = client.lock("grave", timeout=1, sleep=0.005)
    assert recovered.acquire(blocking_timeout=HELD_SECONDS_MAX)
    [[died_at, *_]] = journal.find("died")
    assert 0.7 < time.time() - died_at, "a lock was free before its time"
    recovered.release()

    workers.ended(all_workers)
    fences = [number for [number] in journal.words("fence")]
    print(
        f"held={len(fences)} twice={len(journal.find('twice'))} "
        f"in_order={fences == sorted(set(fences))} count={int(client.get('count'))} "
        f"told={told} left={len(client.keys('*')) - 2}"
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
