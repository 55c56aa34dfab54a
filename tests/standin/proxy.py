#!/usr/bin/env python3
"""A stand-in for ollama-proxy, on the supervisor's side: it adopts what a proxy is born with (docs/contract.md), and does what a test tells it.

It listens on the socket that PLAYED_PROXY names. A connection is one question and one answer, each a line of JSON:

    {"send": [KIND, VALUE, NAME, DETAIL]}  a message up the channel -> {}
    {"hub": TEXT}                          CONTRACT_HUB with one end of a pair; TEXT is written to the other -> {"said": all that comes back}
    {"hub": TEXT, "leave": true}           the same, and the other end is closed at once -> {}
    {"ask": TEXT}                          the same as "hub" by CONTRACT_ASK
    {"linger": KIND, "n": N, "where": "channel", "socket" or "notify"}
                                           N connections whose close(2) waits a minute: with as many messages of this kind,
                                           within a socket that is handed up, or to NOTIFY_SOCKET -> {}
    {"rows": true}                         the page's instances -> {"rows": [{state, number, …}]}
    {"line": {"in_flight_n": N}}           this proxy's own line of the page -> {}

It is ready at once, says yes to every question whether everybody may sleep, and ends at SIGTERM.
"""
import array
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys

VERSION = 4
MAY_I_SLEEP, SLEEP, HUB, ASK = 2, 17, 24, 25
MESSAGE = struct.Struct("=HHI200s320s")
LINES, LINE_BYTES, IN_FLIGHT = 64, 64, 4
INSTANCES, INSTANCE_BYTES, INSTANCES_N = 50496, 576, 9
INSTANCE = struct.Struct("=IIIIIIi4xqq8x200s240s72s")
STATES = ("down", "starting", "ready", "backoff", "stopping", "done", "failed")
FIELDS = ("state", "number", "port", "quantized", "was_ready", "pid", "started_ms", "ready_ms", "model", "reason", "engine")


def text(raw: bytes) -> str:
    """Up to its NUL."""
    return raw.split(b"\0")[0].decode()


class Proxy:
    """One process of it."""

    def __init__(self):
        self.channel = socket.socket(fileno=int(os.environ["SIDECAR_CHANNEL_FD"]))
        self.page = mmap.mmap(int(os.environ["SIDECAR_PAGE_FD"]), 0)
        self.line = LINES + LINE_BYTES * int(os.environ["SIDECAR_PAGE_LINE"])
        struct.pack_into("=i", self.page, self.line, os.getpid())
        self.unread = []
        self.doors = socket.socket(socket.AF_UNIX)
        path = os.environ["PLAYED_PROXY"]
        if os.path.exists(path):
            os.unlink(path)
        self.doors.bind(path)
        self.doors.listen()

    def notify(self, words: str) -> None:
        """sd_notify(3)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(words.encode(), self.notify_path())

    def notify_path(self) -> str:
        """Where the supervisor listens."""
        path = os.environ["NOTIFY_SOCKET"]
        return "\0" + path[1:] if path[0] == "@" else path

    def send(self, kind: int, value: int, name: str, detail: str, fd: int = -1) -> None:
        """A message up the channel."""
        message = MESSAGE.pack(VERSION, kind, value, name.encode(), detail.encode())
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
        self.channel.sendmsg([message], passed)

    def talk(self, kind: int, words: str, leave: bool = False) -> dict:
        """A whole conversation on a socket that is handed up."""
        ours, theirs = socket.socketpair()
        ours.sendall(words.encode())
        self.send(kind, 0, "", "", theirs.fileno())
        theirs.close()
        if leave:
            ours.close()
            return {}
        said = b""
        while part := ours.recv(65536):
            said += part
        ours.close()
        return {"said": said.decode()}

    def linger(self, kind: int, number: int, where: str) -> None:
        """Who closes the last descriptor of such a connection waits until its other end has read what was sent, which never will."""
        passed = (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for _ in range(number):
            with socket.create_server(("127.0.0.1", 0)) as door:
                end = socket.create_connection(door.getsockname())
                self.unread.append(door.accept()[0])
            end.setblocking(False)
            try:
                while end.send(bytes(65536)):
                    pass
            except BlockingIOError:
                pass
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
            with end:
                if where == "channel":
                    self.send(kind, 0, "", "", end.fileno())
                elif where == "socket":
                    ours, theirs = socket.socketpair()
                    with ours, theirs:
                        ours.sendmsg([b"status"], [(*passed, array.array("i", [end.fileno()]))])
                        self.send(kind, 0, "", "", theirs.fileno())
                else:
                    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                        out.connect(self.notify_path())
                        out.sendmsg([b"STATUS=here"], [(*passed, array.array("i", [end.fileno()]))])

    def rows(self) -> list:
        """The page's instances that were ever used."""
        found = []
        for at in range(INSTANCES_N):
            whole = self.page[INSTANCES + at * INSTANCE_BYTES:INSTANCES + (at + 1) * INSTANCE_BYTES]
            row = dict(zip(FIELDS, INSTANCE.unpack_from(whole)[1:]))
            if row["number"]:
                found.append({**row, "state": STATES[row["state"]], "model": text(row["model"]), "reason": text(row["reason"]), "engine": text(row["engine"])})
        return found

    def answer(self, client: socket.socket) -> None:
        """One question."""
        with client, client.makefile("r") as lines:
            question = json.loads(lines.readline())
            reply = {}
            if "send" in question:
                self.send(*question["send"])
            elif "hub" in question:
                reply = self.talk(HUB, question["hub"], question.get("leave", False))
            elif "ask" in question:
                reply = self.talk(ASK, question["ask"])
            elif "linger" in question:
                self.linger(question["linger"], question["n"], question["where"])
            elif "rows" in question:
                reply = {"rows": self.rows()}
            elif "line" in question:
                struct.pack_into("=I", self.page, self.line + IN_FLIGHT, question["line"]["in_flight_n"])
            client.sendall(json.dumps(reply).encode() + b"\n")

    def hear(self) -> None:
        """The supervisor; without it there is nothing to do."""
        message = self.channel.recv(MESSAGE.size + 1)
        if not message:
            sys.exit(0)
        _, kind, value, _, _ = MESSAGE.unpack(message)
        if kind == MAY_I_SLEEP:
            self.send(SLEEP, value & ~0xff | 1, "", "")

    def run(self) -> None:
        """Until SIGTERM."""
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
        self.notify("READY=1")
        while True:
            for ready in select.select([self.channel, self.doors], [], [])[0]:
                if ready is self.channel:
                    self.hear()
                else:
                    self.answer(self.doors.accept()[0])


if __name__ == "__main__":
    Proxy().run()
