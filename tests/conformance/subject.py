"""Who is tried: ours, nginx, HAProxy, each with a configuration of a few lines before a backend of bytes."""
import os
import shutil
import subprocess
import tempfile

from cases import Case, Seen, refused
from front import connect, is_whole_refusal, read_all, status_of
from http_cases import request
import ports
from raw_backend import OK, RawBackend
from waiting import SLACK, until

NGINX = """daemon off;
{user}
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 200; }}
http {{
    access_log off;
    client_header_timeout 1s;
    client_body_timeout 1s;
    lingering_close off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{backend}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 2s; }}
    }}
}}
"""
HAPROXY = """defaults
    mode http
    timeout connect 2s
    timeout client 2s
    timeout http-request 1s
    timeout server 2s
frontend here
    bind 127.0.0.1:{port}
    default_backend there
backend there
    server one 127.0.0.1:{backend}
"""


class Subject:
    """A proxy at `port` before `backend`."""

    def __init__(self, port: int, backend: RawBackend, patience_s: float):
        self.port, self.backend, self.patience_s = port, backend, patience_s

    def play(self, case: Case) -> Seen:
        """What comes of it."""
        self.backend.forget()
        self.backend.answer, self.backend.closes = list(case.reply) if isinstance(case.reply, tuple) else case.reply, case.closes
        with connect(self.port) as sock:
            sock.settimeout(self.patience_s)
            try:
                for piece in case.sent:
                    sock.sendall(piece)
            except OSError:
                pass  # it was refused before its end
            answer = read_all(sock)
        return Seen(answer, list(self.backend.requests), b"".join(bytes(record) for record in list(self.backend.connections)))

    def is_there(self) -> bool:
        """Whether it answers."""
        self.backend.answer, self.backend.closes = OK, False
        with connect(self.port) as sock:
            try:
                sock.sendall(request(b"Connection: close"))
            except OSError:
                return False
            return b" 200 " in read_all(sock)


def complaint_of_ours(case: Case, seen: Seen) -> str:
    """What is due of us: the case, and where it says so this very status, whole and in words; then nothing has come to the backend."""
    wrong = case.complaint(seen)
    if wrong or not case.ours:
        return wrong
    if status_of(seen.answer) != case.ours:
        return f"{case.ours} is due, not {seen.answer[:160]!r}"
    if case.complaint is refused and seen.raw:
        return f"a part of it came to the backend: {seen.raw[:80]!r}"
    return "" if is_whole_refusal(seen.answer, case.ours) else f"its refusal is not whole: {seen.answer[:300]!r}"


class Peer(Subject):
    """Another proxy: a process of its own, whose end is ours."""

    def __init__(self, name: str):
        super().__init__(ports.free(), RawBackend(ports.free()), 4 * SLACK)
        self.folder = tempfile.mkdtemp(prefix="sc-")
        port, backend = self.port, self.backend._listener.getsockname()[1]
        config = os.path.join(self.folder, "conf")
        text = {"nginx": NGINX, "haproxy": HAPROXY}[name]
        with open(config, "w", encoding="ascii") as file:
            file.write(text.format(port=port, backend=backend, folder=self.folder, user="user root;" if os.geteuid() == 0 else ""))
        words = {"nginx": ["nginx", "-p", self.folder, "-c", config], "haproxy": ["haproxy", "-db", "-f", config]}[name]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.is_there, 10, name)

    def close(self) -> None:
        """No more of it."""
        self.process.terminate()
        self.process.wait(10)
        self.backend.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def version_of(name: str) -> str:
    """Of a peer that is on PATH; else ""."""
    if not shutil.which(name):
        return ""
    said = subprocess.run([name, "-v"], capture_output=True, text=True, check=False)
    first = (said.stdout + said.stderr).splitlines()[0]
    return first.replace("nginx version: nginx/", "").replace("HAProxy version ", "").split(" ")[0]


