"""What the Python programs here share: worker processes that end with their parent, and a journal
that no server has a part in."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# What must happen is given so long.
PATIENCE_SECONDS = float(os.environ.get("QUEUES_PATIENCE_SECONDS", 30))
# Of the end of what a worker has written, when something goes wrong.
SHOWN_BYTES = 3000
MARK = "ENTOURAGE_QUEUES"
HERE = os.path.dirname(os.path.abspath(__file__))

started = []


class Journal:
    """Lines that many processes append to one file, in the order in which they happened."""

    def __init__(self, path):
        self.path = path

    def note(self, *words):
        line = json.dumps([time.time(), os.getpid(), *words]) + "\n"
        # One write to a file that is open for appending is not torn apart.
        with open(self.path, "ab", buffering=0) as file:
            file.write(line.encode())

    def read(self):
        """Each line: when, which process, and the words."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def find(self, *words):
        """The lines that begin with these words."""
        return [it for it in self.read() if it[2 : 2 + len(words)] == list(words)]

    def words(self, *first):
        """The words behind these, of each line that begins with them."""
        return [it[2 + len(first) :] for it in self.find(*first)]


def own_dir():
    """A directory that is removed at the end."""
    path = tempfile.mkdtemp(prefix="entourage-queues-")
    # Whatever descends from this process has the mark in its environment.
    os.environ[MARK] = path
    atexit.register(_end_all, f"{MARK}={path}".encode(), path)
    return path


def start(*command, log=None, **variables):
    """A process that finds the programs here, and is killed with its parent; what it writes goes
    to the file `log`."""
    words = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
    path = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
    given = {name: str(it) for name, it in variables.items()}
    environment = {**os.environ, "PYTHONPATH": path, **given}
    out = open(log, "ab") if log else subprocess.DEVNULL
    child = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
    )
    child.log = log
    started.append(child)
    return child


def start_self(*arguments, **options):
    """This program again, with other arguments."""
    return start(sys.executable, os.path.abspath(sys.argv[0]), *arguments, **options)


def ended(children):
    """Waits until they have ended, which they must have done well."""
    for child in children:
        status = child.wait(timeout=PATIENCE_SECONDS)
        assert status == 0, f"{child.args} ended with {status}"


def until(what, look, seconds=PATIENCE_SECONDS):
    """Looks again and again until there is something to see."""
    begun = time.monotonic()
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() - begun < seconds, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def _end_all(mark, path):
    """Ends all workers, and what they have started, also where they have left it behind."""
    for child in started:
        child.kill()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                is_ours = mark in file.read().split(b"\0")
            # This process has set the mark, and was not started with it.
            if is_ours:
                os.kill(int(pid), signal.SIGKILL)
        except (OSError, ProcessLookupError):
            pass
    for child in started:
        child.wait()
    shutil.rmtree(path, ignore_errors=True)


def _show_logs(kind, error, trace):
    sys.__excepthook__(kind, error, trace)
    for log in {child.log for child in started if child.log}:
        with open(log, "rb") as file:
            text = file.read()[-SHOWN_BYTES:].decode(errors="replace")
        print(f"--- {os.path.basename(log)} ends:\n{text}", file=sys.stderr)


sys.excepthook = _show_logs
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
