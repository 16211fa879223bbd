"""People who use a shop that runs in several processes, and look whether anything is odd.

Run as `shoppers.py ROUNDS SEED PORT...`. Each request goes to a process chosen at random, as a load
balancer sends it. What is odd is printed, and at the end `rounds=N requests=N odd=N`.
"""

import http.client
import json
import random
import sys
import threading

THREADS = 8
SHOWN = 20

rounds, seed = int(sys.argv[1]), int(sys.argv[2])
ports = [int(port) for port in sys.argv[3:]]
lock = threading.Lock()
totals = {"rounds": 0, "requests": 0, "odd": 0}


def odd(what):
    with lock:
        totals["odd"] += 1
        if totals["odd"] <= SHOWN:
            print("odd:", what, flush=True)


class Browser:
    """One person's browser: it keeps the cookies, and connections to all processes."""

    def __init__(self, dice):
        self.dice = dice
        self.servers = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for port in ports]
        self.cookies = {}
        self.requests = 0

    def ask(self, method, path):
        server = self.dice.choice(self.servers)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies} if cookies else {}
        server.request(method, path, headers=headers)
        response = server.getresponse()
        body = response.read()
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, rest = header.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        self.requests += 1
        if 500 <= response.status:
            odd(f"{method} {path}: {response.status} {body[:200]!r}")
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, {}

    def round(self, user):
        """Logs in, shops, and looks at everything again."""
        self.cookies = {}
        self.ask("POST", f"/login/{user}")
        status, told = self.ask("GET", "/me")
        if (status, told.get("user")) != (200, user):
            odd(f"{user} has logged in: /me says {status} {told}")
            return
        wanted = {}
        for _ in range(self.dice.randrange(1, 5)):
            item = self.dice.choice(["apples", "pears", "plums"])
            wanted[item] = wanted.get(item, 0) + 1
            self.ask("POST", f"/cart/{item}")
        if (told := self.ask("GET", "/cart")[1]) != wanted:
            odd(f"{user} has put {wanted} into the cart: it holds {told}")
        points = 0
        for _ in range(2):
            points += (more := self.dice.randrange(1, 100))
            self.ask("POST", f"/score/{more}")
            told = self.ask("GET", "/score")[1]
            if told.get("score") != points or told.get("rank") is None:
                odd(f"{user} has {points} points: the board says {told}")
        for visits in range(1, 3):
            self.ask("POST", "/visit")
            told = self.ask("GET", "/visit")[1]
            if told.get("visits") != visits or not 0 < told.get("ttl", 0) <= 600:
                odd(f"{user} has been here {visits} times: the counter says {told}")
        self.ask("POST", "/logout")
        if (status := self.ask("GET", "/me")[0]) != 401:
            odd(f"{user} has logged out: /me says {status}")


def shop(number):
    dice = random.Random(f"{seed}-{number}")
    browser = Browser(dice)
    for at in range(number, rounds, THREADS):
        browser.round(f"user-{seed}-{at}")
        with lock:
            totals["rounds"] += 1
    with lock:
        totals["requests"] += browser.requests


threads = [threading.Thread(target=shop, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(" ".join(f"{name}={value}" for name, value in totals.items()))
