"""Rate limits of the package `limits`, in Lua: `limiter_py.py URL`; the last line tells what came
of it. Processes ask at the same time, and just as many are let through as the limit says."""

import sys
import time

from limits import RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    SlidingWindowCounterRateLimiter,
)

import workers

PROCESSES = 3
ATTEMPTS = 60
LIMIT = 50
SHORT_LIMIT = 12
SHORT_SECONDS = 2.5

STRATEGIES = {
    "fixed": FixedWindowRateLimiter,
    "moving": MovingWindowRateLimiter,
    "sliding": SlidingWindowCounterRateLimiter,
}


def ask(url, directory):
    """Many times for a limit that outlasts the test, then for one of a second."""
    journal = workers.Journal(f"{directory}/journal")
    storage = RedisStorage(url)
    limiters = {name: make(storage) for name, make in STRATEGIES.items()}
    many, heavy = RateLimitItemPerHour(LIMIT), RateLimitItemPerDay(LIMIT)
    for _ in range(ATTEMPTS):
        for name, limiter in limiters.items():
            journal.note(name, limiter.hit(many, name))
            journal.note(f"{name} by 7", limiter.hit(heavy, f"{name} by 7", cost=7))
    short = RateLimitItemPerSecond(SHORT_LIMIT)
    begun = time.time()
    while time.time() - begun < SHORT_SECONDS:
        for name in ("moving", "sliding"):
            asked = time.time()
            let_through = limiters[name].hit(short, f"{name} short")
            if let_through:
                journal.note(f"short {name}", asked, time.time())
        time.sleep(0.004)


def main(url):
    directory = workers.own_dir()
    journal = workers.Journal(f"{directory}/journal")
    storage = RedisStorage(url)
    assert storage.check()
    storage.storage.flushdb()
    askers = [
        workers.start_self(url, "ask", directory, log=f"{directory}/log") for _ in range(PROCESSES)
    ]
    workers.ended(askers)
    many = RateLimitItemPerHour(LIMIT)
    told = []
    for name, make in STRATEGIES.items():
        let_through = sum(it for [it] in journal.words(name))
        by_seven = sum(it for [it] in journal.words(f"{name} by 7"))
        remaining = make(storage).get_window_stats(many, name).remaining
        assert not make(storage).test(many, name)
        told.append(f"{name}={let_through}+{by_seven}x7 left={remaining}")
    # In no second more than the limit: of SHORT_LIMIT + 1 neighbours the last is answered a second
    # after the first was asked, but for what the clock moves on between two processes.
    for name in ("moving", "sliding"):
        passed = sorted(it for it in journal.words(f"short {name}"))
        assert 2 * SHORT_LIMIT <= len(passed), f"{name}: only {len(passed)} were let through"
        if name == "moving":
            spans = [b[1] - a[0] for a, b in zip(passed, passed[SHORT_LIMIT:])]
            assert all(0.95 <= it for it in spans), f"{name}: {min(spans)} s"
    make = MovingWindowRateLimiter(storage)
    make.clear(many, "moving")
    assert make.hit(many, "moving")
    assert make.get_window_stats(many, "moving").remaining == LIMIT - 1
    assert 6 <= storage.reset()
    told.append(f"keys={len(storage.storage.keys())}")
    print(" ".join(told))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
