"""Clients that do by hand what no library does: slowly, in parts, and what that costs the proxy."""
import os
import re
import socket
import time
from pathlib import Path

from waiting import SLACK, until


def memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^RssAnon:\s+(\d+)", file.read(), re.M).group(1))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def sock_to(sidecar, receive_bytes=0, timeout=20, source="127.0.0.1"):
    """A bare connection; receive_bytes: how much the kernel may take for us, about."""
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(timeout * SLACK)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", sidecar.port))
    return sock


def head(path="/api/generate", length=None, method="POST", more=""):
    lines = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}"
    return (lines + (f"Content-Length: {length}\r\n" if length is not None else "") + "\r\n").encode()


def all_of(sock):
    data = b""
    try:
        while more := sock.recv(1 << 16):
            data += more
    except ConnectionError:
        pass
    return data


def drip(sock, text, every_s, condition=lambda: False):
    """Sends a byte now and then until that is refused, the condition holds, or the text is over; the seconds it took."""
    began = time.monotonic()
    for byte in text:
        if condition():
            break
        try:
            sock.send(bytes([byte]))
        except OSError:
            break
        time.sleep(every_s)  # the test is about this pace
    return time.monotonic() - began


def is_answered(sock):
    try:
        sock.setblocking(False)
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        sock.settimeout(20 * SLACK)


def kernel_buffers_bytes():
    """The most that the kernel holds of a stream on its way through two connections (tcp(7): tcp_rmem, tcp_wmem)."""
    largest = [int(Path(f"/proc/sys/net/ipv4/tcp_{kind}mem").read_text().split()[2]) for kind in "rw"]
    return 2 * sum(largest)
