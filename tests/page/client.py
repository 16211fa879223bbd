"""Clients of the server whose page is looked at."""

import socket


def command(*words):
    text = f"*{len(words)}\r\n" + "".join(f"${len(it.encode())}\r\n{it}\r\n" for it in words)
    return text.encode()


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        """One command that is answered with one line."""
        self.socket.sendall(command(*words))
        return self.file.readline().decode().strip()

    def load(self, stops):
        """Writes and reads, 20 at a time, with a breath between."""
        keys = [f"cart:{at}" for at in range(10)]
        self.repeat(stops, [it for key in keys for it in [("SET", key, "apples"), ("GET", key)]], 30)

    def repeat(self, stops, commands, lines):
        """These commands at once, whose answers have so many lines, again and again."""
        work = b"".join(command(*it) for it in commands)
        while not stops.wait(0.005):
            self.socket.sendall(work)
            for _ in range(lines):
                self.file.readline()
