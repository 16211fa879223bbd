"""redis-py's client-side caching: `caching_redis_py.py PORT`; says ok at the end."""

import sys
import threading
import time

import redis
from redis.cache import CacheConfig

# It refuses servers that announce less than Redis 7.4, for no reason that is one here.
redis.connection.CacheProxyConnection.MIN_ALLOWED_VERSION = "7.2.0"

port = int(sys.argv[1])
cached = redis.Redis(port=port, protocol=3, cache_config=CacheConfig(max_size=1000))
plain = redis.Redis(port=port)


def entries():
    return len(cached.get_cache().collection)


def until(read, want):
    """An invalidation is on its way when the write is answered: it comes soon."""
    patience = time.monotonic() + 30
    while read() != want:
        assert time.monotonic() < patience, (read(), want)


plain.mset({"k": 1, "j": 2})
plain.hset("h", "f", "v")
assert cached.get("k") == b"1" and cached.get("k") == b"1"
assert cached.mget("k", "j") == [b"1", b"2"]
assert cached.hget("h", "f") == b"v"
assert entries() == 3, entries()
reads = plain.info("stats")["keyspace_hits"]
for _ in range(100):
    assert cached.get("k") == b"1" and cached.hget("h", "f") == b"v"
assert plain.info("stats")["keyspace_hits"] == reads, "they never reached the server"

for turn in range(2000):
    plain.set("k", turn)
    plain.hset("h", "f", turn)
    want = str(turn).encode()
    until(lambda: cached.get("k"), want)
    until(lambda: cached.hget("h", "f"), want)
    until(lambda: cached.mget("k", "j"), [want, b"2"])

# What it changes itself, in a pipeline and in a script.
cached.set("k", "own")
assert cached.get("k") == b"own"
with cached.pipeline() as pipeline:
    pipeline.set("k", "piped").get("k").execute()
assert cached.get("k") == b"piped"
cached.eval("return redis.call('set', KEYS[1], ARGV[1])", 1, "k", "script")
assert cached.get("k") == b"script"
plain.flushall()
until(lambda: cached.get("k"), None)
until(lambda: cached.hget("h", "f"), None)

# Many threads, each with a cache of its own: of those that share one, redis-py 8.1 may stop two for
# ever, the one with the lock of the pool and the other with that of the cache.
last, failures = {}, []


def read(name):
    seen = -1
    cached = redis.Redis(port=port, protocol=3, cache_config=CacheConfig(max_size=1000))
    while name not in last or seen < last[name]:
        value = int(cached.get(name) or -1)
        if value < seen:
            failures.append((name, seen, value))
        seen = value


def write(name):
    writer = redis.Redis(port=port)
    for turn in range(3000):
        writer.set(name, turn)
    last[name] = turn


names = ["a", "b", "c"]
threads = [threading.Thread(target=act, args=(name,)) for name in names for act in (read, write)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures[:5]
print("ok")
