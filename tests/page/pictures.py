"""Makes the pictures of the status page that the README shows.

    pictures.py CHROMIUM URL REDIS_PORT FOLDER

The server has three members and a route `sessions` for session:*; its alert of lag comes early."""

import os
import sys
import threading

from browser import Browser
from client import Redis
import png

program, url, port, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
# Wide enough for all tiles in one row; and what a picture may have.
WIDTH, PHONE = 1152, 390
BYTES_MAX = 150_000
# Who works meanwhile: how many, at which keys, how many of their commands write and read at once.
WORK = [(1, "session", 3, 0), (1, "cart", 5, 0), (2, "session", 0, 8), (4, "cart", 0, 6)]
SECONDS = 45


def member(name, text):
    return f"document.querySelector('[data-member=\"{name}\"]')?.innerText.includes({text!r})"


def until_drawn(seconds):
    """Until so many more seconds are in the lines."""
    have = browser.look("samples.length")
    browser.until("lines", f"samples.length >= {have + seconds}")


def works():
    """A thread for each of those."""
    for count, key, writes, reads in WORK:
        keys = [f"{key}:{at}" for at in range(max(writes, reads))]
        commands = [("SET", it, "apples") if writes else ("GET", it) for it in keys]
        lines = writes + 2 * reads
        for _ in range(count):
            yield threading.Thread(target=Redis(port).repeat, args=(stops, commands, lines))


def fill(operator):
    """What is read is there before."""
    for at in range(8):
        assert operator.ask("SET", f"session:{at}", "apples") == "+OK"
        assert operator.ask("SET", f"cart:{at}", "apples") == "+OK"


def shot(name, last, width=WIDTH):
    """From the top down to the end of the card with this in it."""
    bottom = browser.look(f"document.querySelector('{last}').closest('.card, .members')"
                          ".getBoundingClientRect().bottom + window.scrollY")
    # A phone has two points for each of ours.
    scale = 0.5 if width == PHONE else 1
    clip = {"x": 0, "y": 0, "width": width, "height": round(bottom) + 12, "scale": scale}
    picture = png.smaller(browser.picture(clip))
    assert len(picture) < BYTES_MAX, f"{name} has {len(picture)} bytes"
    with open(os.path.join(folder, f"{name}.png"), "wb") as out:
        out.write(picture)


def show(operator):
    browser.size(WIDTH, 900, False)
    browser.colours("light")
    browser.page("Page.navigate", url=url)
    browser.until("the members", member("n3", "● ok"))
    until_drawn(SECONDS)
    shot("load", "#time-chart")

    operator.ask("PROXY", "NODE", "n2", "PAUSE")
    browser.until("n2 paused", member("n2", "‖ paused"))
    browser.until("the alert", "!!document.querySelector('[data-alert=lag]')")
    until_drawn(4)
    shot("paused", "#events")
    browser.colours("dark")
    browser.size(PHONE, 844, True)
    until_drawn(1)
    shot("phone", "#replicas", PHONE)
    browser.colours("light")
    browser.size(WIDTH, 900, False)

    operator.ask("PROXY", "NODE", "n2", "RESUME")
    browser.until("n2 resumed", member("n2", "● ok"))
    browser.until("the alert's end", "!document.querySelector('[data-alert=lag]')")
    until_drawn(4)
    operator.ask("PROXY", "FAILOVER", "TO", "n2")
    browser.until("the new master", "!!document.querySelector('#masters [data-member=n2]')")
    until_drawn(4)
    shot("failover", "#events")


operator, stops, workers = Redis(port), threading.Event(), []
fill(operator)
browser = Browser(program)
try:
    for worker in works():
        worker.start()
        workers.append(worker)
    show(operator)
    print("all well")
finally:
    stops.set()
    for worker in workers:
        worker.join()
    browser.close()
