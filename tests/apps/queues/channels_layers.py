"""The two layers of channels-redis: `channels_layers.py URL`; the last line tells what came of it.

Three processes with two members of a group each, all of which send to the group at the same time;
work for each process; a channel that is full. (Whoever is cancelled while it receives loses
messages, whatever the layer says, so that nobody is.)
"""

import asyncio
import os
import sys

import redis
from channels.exceptions import ChannelFull
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

import workers

PROCESSES = 3
MEMBERS = 2
MESSAGES = 60
WORK = 30

LAYERS = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}


def make(kind, url):
    options = {"capacity": 1000, "channel_capacity": {"small": 5}} if kind == "core" else {}
    return LAYERS[kind](hosts=[url], prefix=f"{kind}:", **options)


def member(url, directory, kind, process):
    asyncio.run(take_part(url, directory, kind, int(process)))


async def take_part(url, directory, kind, process):
    layer = make(kind, url)
    journal = workers.Journal(f"{directory}/journal")
    channels = [await layer.new_channel() for _ in range(MEMBERS)]
    for channel in channels:
        await layer.group_add("room", channel)
    journal.note("ready", kind, process)
    receivers = [asyncio.create_task(receive_all(layer, it)) for it in channels]
    while not os.path.exists(f"{directory}/go"):
        await asyncio.sleep(0.01)
    work = asyncio.create_task(work_off(layer, journal, process)) if kind == "core" else None
    for number in range(MESSAGES):
        await layer.group_send("room", {"type": "chat", "from": process, "number": number})
    async with asyncio.timeout(workers.PATIENCE_SECONDS):
        for receiver in receivers:
            journal.note("received", kind, *count(await receiver))
        await layer.send(channels[0], {"type": "last"})
        assert (await layer.receive(channels[0]))["type"] == "last"
        if work:
            await work
    for channel in channels:
        await layer.group_discard("room", channel)
    await layer.close_pools() if kind == "core" else await layer.flush()


async def receive_all(layer, channel):
    return [await layer.receive(channel) for _ in range(PROCESSES * MESSAGES)]


def count(messages):
    """How many there are, and how many stand before one that was sent before them."""
    last = {}
    late = 0
    for it in messages:
        late += it["number"] <= last.get(it["from"], -1)
        last[it["from"]] = it["number"]
    return len({(it["from"], it["number"]) for it in messages}), late


async def work_off(layer, journal, process):
    for _ in range(WORK):
        got = await layer.receive(f"work.{process}")
        journal.note("work", process, got["number"])


async def fill(layer):
    for number in range(WORK):
        for process in range(PROCESSES):
            await layer.send(f"work.{process}", {"type": "work", "number": number})
    refused = 0
    for number in range(8):
        try:
            await layer.send("small", {"type": "small", "number": number})
        except ChannelFull:
            refused += 1
    small = [(await layer.receive("small"))["number"] for _ in range(5)]
    await layer.close_pools()
    return refused, small


def main(url):
    directory = workers.own_dir()
    journal = workers.Journal(f"{directory}/journal")
    client = redis.Redis.from_url(url)
    client.flushdb()
    members = [
        workers.start_self(url, "member", directory, kind, it, log=f"{directory}/log")
        for it in range(PROCESSES)
        for kind in LAYERS
    ]
    workers.until("all to be ready", lambda: len(journal.find("ready")) == len(members))
    # Redis has told nobody yet that a subscription stands.
    room = "pubsub:__group__room"
    workers.until("subscribers", lambda: client.pubsub_numsub(room)[0][1] == PROCESSES)
    open(f"{directory}/go", "w").close()
    refused, small = asyncio.run(fill(make("core", url)))
    assert small == [0, 1, 2, 3, 4], small
    workers.ended(members)
    told = []
    for kind in LAYERS:
        received = journal.words("received", kind)
        told.append(f"{kind}={sum(it[0] for it in received)} late={sum(it[1] for it in received)}")
    work = journal.words("work")
    for process in range(PROCESSES):
        assert [it for who, it in work if who == process] == list(range(WORK))
    subscribed = sum(it[1] for it in client.pubsub_numsub(room))
    print(
        f"{' '.join(told)} work={len(work)} refused={refused} "
        f"subscribed={subscribed} members={client.zcard('core::group:room')}"
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
