"""Who stands between the loader and the emitter: how each is started, with the same work to do and one worker."""
import json
import os
import shutil
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD_DIR", "build"))
TOOLS = os.path.join(BUILD, "bench")

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn {clients}
defaults
    mode http
    option http-no-delay
    option http-keep-alive
    http-reuse safe
    maxconn {clients}
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
frontend door
    bind 127.0.0.1:{port} backlog 4096
    default_backend emitter
backend emitter
    server one 127.0.0.1:{backend}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_listening(port, process):
    for _ in range(500):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        time.sleep(0.01)
    raise RuntimeError(f"{process.args[0]} does not listen on {port}")


def ask(connection, path, value, faults):
    """One request whose answer comes in chunks, read to its end; an answer that is no good one goes to faults."""
    data = json.dumps(value, separators=(",", ":")).encode()
    connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(data), data))
    tail = b""
    while not tail.endswith(b"0\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece or (not tail and b" 200 " not in piece[:20]):
            faults.append(piece[:300])
            return
        tail = (tail + piece)[-64:]


def start(argv, port, environment=None, log=None):
    """The process, once it listens. It ends with stop()."""
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_listening(port, process)
    except BaseException:
        stop(process)
        raise
    return process


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Peer:
    """One of those that are compared. `argv` writes what configuration it needs into the folder."""

    def __init__(self, name, program, argv, version=None):
        self.name = name
        self.program = program  # None: nobody, the loader asks the emitter
        self.argv = argv
        self.version = version or []

    def is_there(self):
        return self.program is None or shutil.which(self.program) is not None

    def start(self, folder, backend_port, clients_n):
        """The port to ask, and the process (None for nobody)."""
        if self.program is None:
            return backend_port, None
        port = free_port()
        environment = dict(os.environ, SIDECAR_PROXY_LISTEN=f"127.0.0.1:{port}",
                           SIDECAR_PROXY_BACKEND=f"127.0.0.1:{backend_port}",
                           SIDECAR_PROXY_MAX_CLIENTS=str(clients_n))
        with open(os.path.join(folder, "log"), "ab") as log:
            return port, start(self.argv(folder, port, backend_port, clients_n), port, environment, log)


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def nginx(folder, port, backend, clients_n):
    # two for each client; it begins to close connections when a sixteenth is left
    text = NGINX.format(folder=folder, port=port, backend=backend, connections=2 * clients_n * 11 // 10,
                        descriptors=3 * clients_n, user="user root;" if os.geteuid() == 0 else "")
    return ["nginx", "-p", folder, "-c", write(folder, "nginx.conf", text)]


def haproxy(folder, port, backend, clients_n):
    text = HAPROXY.format(port=port, backend=backend, clients=clients_n)
    return ["haproxy", "-db", "-q", "-f", write(folder, "haproxy.cfg", text)]


def relay(*mode):
    return lambda folder, port, backend, clients_n: [os.path.join(TOOLS, "relay"), str(port), str(backend), *mode]


def ours(folder, port, backend, clients_n):
    return [os.path.join(BUILD, "ollama-proxy"), "-c", write(folder, "supervisor.ini", "")]


RELAY = os.path.join(TOOLS, "relay")
ALL = [
    Peer("direct", None, None),
    Peer("relay", RELAY, relay()),
    Peer("nginx", "nginx", nginx, ["nginx", "-v"]),
    Peer("haproxy", "haproxy", haproxy, ["haproxy", "-v"]),
    Peer("ollama-proxy", os.path.join(BUILD, "ollama-proxy"), ours),
    # for docs/adr: other ways to wait
    Peer("relay-poll", RELAY, relay("poll")),
    Peer("relay-linger-100", RELAY, relay("linger", "100")),
    Peer("relay-linger-500", RELAY, relay("linger", "500")),
]
DEFAULT = ["direct", "relay", "nginx", "haproxy", "ollama-proxy"]
