"""redis-py's pub/sub, in both protocols: `pubsub_redis_py.py PORT`; says ok at the end."""

import queue
import sys

import redis

port = int(sys.argv[1])
for protocol in (2, 3):
    client = redis.Redis(port=port, protocol=protocol, decode_responses=True)
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    pubsub.psubscribe("n*")
    assert pubsub.get_message(timeout=5)["type"] == "subscribe"
    assert pubsub.get_message(timeout=5)["type"] == "psubscribe"
    assert client.publish("news", "hello") == 2
    first, second = pubsub.get_message(timeout=5), pubsub.get_message(timeout=5)
    assert (first["type"], first["data"]) == ("message", "hello"), first
    assert (second["type"], second["pattern"]) == ("pmessage", "n*"), second
    if protocol == 2:
        # In RESP3 redis-py takes the letters of PONG for a message.
        pubsub.ping()
        assert pubsub.get_message(timeout=5)["type"] == "pong"
    assert client.pubsub_channels() == ["news"]
    assert client.pubsub_numsub("news", "x") == [("news", 1), ("x", 0)]
    assert client.pubsub_numpat() == 1
    pubsub.unsubscribe()
    pubsub.punsubscribe()
    pubsub.close()

    # Handlers, on a thread of their own.
    got = queue.Queue()
    listening = client.pubsub()
    listening.subscribe(**{"jobs": lambda it: got.put(it["data"])})
    thread = listening.run_in_thread(sleep_time=0.01, daemon=True)
    while client.pubsub_numsub("jobs")[0][1] == 0:
        pass
    for number in range(1000):
        client.set("k", number)
        client.publish("jobs", number)
        assert int(client.get("k")) >= int(got.get(timeout=5)) == number
    thread.stop()
    thread.join()
    client.close()
print("ok")
