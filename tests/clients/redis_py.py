"""What a program that uses redis-py does: run as `redis_py.py PORT PROTOCOL`."""

import sys

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
client = redis.Redis(port=port, protocol=protocol, decode_responses=True)
client.flushall()
assert client.ping()
assert client.set("greeting", "hello")
assert client.get("greeting") == "hello"
assert client.set("greeting", "again", nx=True) is None
assert client.incr("n", 5) == 5
assert client.expire("n", 1000) and 0 < client.ttl("n") <= 1000

with client.pipeline(transaction=True) as pipe:
    told = pipe.set("a", 1).incr("a").get("a").execute()
assert told == [True, 2, "2"], told
with client.pipeline(transaction=False) as pipe:
    told = pipe.set("b", 1).get("b").execute()
assert told == [True, "1"], told

client.mset({f"key:{number}": number for number in range(500)})
found = set(client.scan_iter(match="key:*", count=50))
assert found == {f"key:{number}" for number in range(500)}, len(found)

assert client.hset("h", mapping={"f": "1", "g": "2"}) == 2
assert client.hgetall("h") == {"f": "1", "g": "2"}
assert client.client_setname("tester")
assert client.client_getname() == "tester"
# CLIENT SETINFO came with 7.2; a 7.0 may stand in for Entourage.
if not client.info("server")["redis_version"].startswith("7.0"):
    assert client.client_setinfo("LIB-NAME", "redis-py-test")
try:
    client.hget("greeting", "f")
    raise AssertionError("WRONGTYPE expected")
except redis.ResponseError as error:
    assert str(error).startswith("WRONGTYPE"), error

# A program that knows only Redis' fields reads its own, and ours stand behind them.
me = client.client_id()
[mine] = [it for it in client.client_list() if int(it["id"]) == me]
assert mine["name"] == "tester" and mine["db"] == "0", mine
assert client.client_info()["id"] == me
if not client.info("server")["redis_version"].startswith("7.0"):
    assert mine["level"] and mine["floor"], mine

first, second = client.client(), client.client()
for number in range(200):
    first.set("own", number)
    assert first.get("own") == str(number)
second.close()
print("ok", redis.__version__)
