"""A real browser without a window, told what to do over its pipe: Chromium's DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

PATIENCE_S = 60


class Browser:
    """Chromium with one page. What it says besides answers is kept in `events`."""

    def __init__(self, program):
        self.dir = tempfile.mkdtemp(prefix="entourage-page-")
        to_it, ours = os.pipe()
        theirs, from_it = os.pipe()

        def pipes():
            os.dup2(to_it, 60), os.dup2(from_it, 61)
            os.dup2(60, 3), os.dup2(61, 4)

        words = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-dev-shm-usage", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                 "--remote-debugging-pipe", f"--user-data-dir={self.dir}", "about:blank"]
        self.child = subprocess.Popen(words, preexec_fn=pipes, pass_fds=(3, 4),
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_it), os.close(from_it)
        self.ours, self.theirs = ours, theirs
        self.events, self.answers, self.last = [], {}, 0
        self.heard = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self.session = attached["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.page(f"{domain}.enable")

    def _listen(self):
        rest = b""
        while chunk := os.read(self.theirs, 1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            with self.heard:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self.events.append(message)
                self.heard.notify_all()

    def call(self, method, params=None, session=None):
        with self.heard:
            self.last += 1
            number = self.last
        message = {"id": number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self.ours, json.dumps(message).encode() + b"\0")
        with self.heard:
            assert self.heard.wait_for(lambda: number in self.answers, PATIENCE_S), method
            answer = self.answers.pop(number)
        assert "result" in answer, f"{method}: {answer}"
        return answer["result"]

    def page(self, method, **params):
        return self.call(method, params, self.session)

    def look(self, expression):
        """The value of an expression of the page's."""
        told = self.page("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)
        assert "exceptionDetails" not in told, f"{expression}: {told['exceptionDetails']}"
        return told["result"].get("value")

    def until(self, what, expression):
        """Looks until it is true; answers it."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if found := self.look(expression):
                return found
            time.sleep(0.02)
        raise AssertionError(f"waited for {what}; the page: {self.look('document.body.innerText')}")

    def size(self, width, height, phone):
        self.page("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)

    def colours(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.page("Emulation.setEmulatedMedia", features=features)

    def picture(self, clip=None):
        """The whole page as PNG, or this part of it at this scale."""
        more = {"clip": clip} if clip else {}
        picture = self.page("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                            **more)
        return base64.b64decode(picture["data"])

    def shot(self, file):
        with open(file, "wb") as out:
            out.write(self.picture())

    def told(self, method):
        with self.heard:
            return [it["params"] for it in self.events if it["method"] == method]

    def complaints(self):
        """What the page has written on its console that is no mere message."""
        calls = [it for it in self.told("Runtime.consoleAPICalled") if it["type"] != "log"]
        entries = [it["entry"] for it in self.told("Log.entryAdded")]
        bad = [it for it in entries if it["level"] in ("error", "warning")]
        return calls + bad + self.told("Runtime.exceptionThrown")

    def close(self):
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
