"""Opens the status page in a real browser and looks whether it shows what happens.

    check.py CHROMIUM URL REDIS_PORT SERVER_PID [PICTURES]

The server has three members, `http.admin` and a slow log of everything."""

import os
import signal
import sys
import threading

from browser import Browser
from client import Redis

program, url, port, pid = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
pictures = sys.argv[5] if 5 < len(sys.argv) else None
ODD = "<img src=x onerror=console.error('run')>"


def card(name):
    return f"document.querySelector('[data-member=\"{name}\"]')"


def shows(name, text):
    return f"{card(name)}?.innerText.includes({text!r})"


def picture(name):
    if pictures:
        browser.shot(os.path.join(pictures, f"{name}.png"))


def fits(width):
    wide = browser.look("document.documentElement.scrollWidth")
    assert wide <= width, f"{wide} px are wider than {width}"


def answers():
    asked = {it["requestId"] for it in browser.told("Network.requestWillBeSent")
             if it["request"]["url"].endswith("api/v1/status")}
    return len([it for it in browser.told("Network.loadingFinished") if it["requestId"] in asked])


def by_two_polls(what, act, expression):
    """What happens shows with the second answer that came wholly after it, at the latest."""
    act()
    before = answers()
    browser.until(what, expression)
    # One was under way; another may have come before we looked.
    assert answers() - before <= 3, f"{what} took {answers() - before} answers"


def number(expression):
    text = browser.look(expression).split("\n")[0].replace(",", "")
    number, _, unit = text.partition(" ")
    return float(number) * {"k": 1e3, "M": 1e6}.get(unit, 1) if number[0].isdigit() else 0.0


def check():
    stops, operator = threading.Event(), Redis(port)
    browser.size(390, 844, True)
    browser.colours("light")
    browser.page("Page.navigate", url=url)
    for name in ["n1", "n2", "n3"]:
        browser.until(name, shows(name, "● ok"))
    browser.until("the state", "document.getElementById('state').innerText === '● serving'")
    fits(390)

    worker = threading.Thread(target=Redis(port).load, args=(stops,))
    worker.start()
    try:
        watch(operator)
    finally:
        stops.set()
        worker.join()
    try_out(operator)
    assert not browser.complaints(), browser.complaints()
    for it in browser.told("Network.requestWillBeSent"):
        asked = it["request"]["url"]
        assert asked.startswith(url) or asked.startswith("data:"), f"it asks {asked}"
    lose()


def watch(operator):
    per_second = "document.querySelector('#tiles b').innerText"
    browser.until("commands per second", f"!/^0\\b/.test({per_second})")
    speeds = "[...document.querySelectorAll('#replicas dd')].map(it => it.innerText).join()"
    reads = ("[...document.querySelectorAll('[data-member] dl')].some(it => "
             "/reads per second\\n[1-9]/.test(it.innerText))")
    browser.until("reads per second", reads)
    before = browser.look("document.querySelector('#rate-chart path').getAttribute('d')")
    told = browser.look(speeds)
    line = "document.querySelector('#rate-chart path').getAttribute('d')"
    browser.until("the line to move", f"{line} !== {before!r}")
    browser.until("numbers to move", f"{speeds} !== {told!r}")
    browser.until("times", "/p99.9/.test(document.getElementById('time-legend').innerText) && "
                           "!/–/.test(document.getElementById('time-legend').innerText)")
    browser.until("classes", "/default read/.test(document.getElementById('by-route').innerText)")
    assert 0 < number(per_second)
    told = ("[ago(0), short(99.7), short(5e6), short(12345), bytes(1010 * 1024), time(999960),"
            " time(119.9e6)].join('; ')")
    told = browser.look(told)
    assert told == "0 s; 100; 5.00 M; 12.3 k; 1,010 KB; 1,000 ms; 1 min 59 s", told
    browser.until("a few seconds of lines", "samples.length >= 8")
    picture("phone-light")
    browser.colours("dark")
    picture("phone-dark")
    browser.size(1280, 900, False)
    browser.until("a poll", "samples.length >= 10")
    fits(1280)
    picture("load-dark")
    browser.colours("light")
    picture("load-light")

    by_two_polls("n2 paused", lambda: operator.ask("PROXY", "NODE", "n2", "PAUSE"),
                 shows("n2", "‖ paused"))
    browser.until("its lag", f"/lag\\n[0-9.]+ [KMG]B/.test({card('n2')}.innerText)")
    browser.until("the pause among the events",
                  "/paused\\s+member=n2/.test(document.getElementById('events').innerText)")
    browser.until("the busy client", "/[1-9]/.test(document.querySelector("
                                     "'#clients tbody td:nth-child(4)').innerText)")
    browser.until("the alert", "/n2 \\(paused\\) has been behind/.test(document.querySelector("
                               "'[data-alert=lag]')?.innerText)")
    picture("paused")
    browser.size(390, 844, True)
    fits(390)
    browser.size(1280, 900, False)
    operator.ask("PROXY", "NODE", "n2", "RESUME")
    browser.until("n2 resumed", shows("n2", "● ok"))
    browser.until("the alert's end", "!document.querySelector('[data-alert=lag]')")
    browser.until("both among the events",
                  "['raised', 'cleared'].every(it => document.getElementById('events')"
                  ".innerText.includes('alert-' + it))")
    by_two_polls("n2 as the master", lambda: operator.ask("PROXY", "FAILOVER", "TO", "n2"),
                 "!!document.querySelector('#masters [data-member=n2]')")
    browser.until("n1 as a replica", "!!document.querySelector('#replicas [data-member=n1]')")
    browser.until("the pause of writers",
                  "/while the master changed/.test(document.getElementById('waits').innerText)")
    picture("failover")


def try_out(operator):
    """What people do to it, while nobody else does anything."""
    # Explain, by its form.
    browser.look("document.querySelector('#explain input').value = 'GET user:1'")
    browser.look("document.querySelector('#explain button').click()")
    browser.until("what is explained",
                  "/chosen n/.test(document.getElementById('explained').innerText)")

    # What clients have named stays a text.
    operator.ask("CLIENT", "SETNAME", ODD.replace(" ", "_"))
    operator.ask("SET", ODD, "v")
    browser.until("the odd key", f"document.getElementById('slow').innerText.includes({ODD!r})"
                                 " || document.body.innerText.includes('<img')")
    assert browser.look("document.querySelectorAll('img').length") == 0

    # An order, by its button, with its question.
    browser.page("Runtime.evaluate", expression="window.confirm = () => true")
    browser.look(f"[...{card('n3')}.querySelectorAll('button')].find(it => "
                 "it.innerText === 'pause').click()")
    browser.until("n3 paused", shows("n3", "‖ paused"))
    operator.ask("PROXY", "NODE", "n3", "RESUME")


def lose():
    """The server stops where it is, and the page says so until it goes on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        browser.until("the loss", "document.body.classList.contains('is-lost') && "
                                  "/Connection lost at/.test(document.body.innerText) && "
                                  "document.getElementById('state').innerText[0] === '?'")
        picture("lost")
    finally:
        os.kill(pid, signal.SIGCONT)
    browser.until("the end of the loss", "!document.body.classList.contains('is-lost') && "
                                         "document.getElementById('state').innerText[0] === '●'")


browser = Browser(program)
try:
    check()
    print("all well")
finally:
    browser.close()
