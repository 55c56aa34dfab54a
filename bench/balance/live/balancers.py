"""Who balances: each with a configuration of its own before the same backends, started in a folder that goes afterwards."""
import os
import shutil
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proxy"))

import peers  # noqa: E402  (bench/proxy/peers.py: how a process is started and stopped)

PROXY = os.path.join(peers.BUILD, "ollama-proxy")

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream backends {{
        least_conn;
        {servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://backends;
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    option http-no-delay
    maxconn 8192
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout queue 600s
frontend door
    bind 127.0.0.1:{port}
    default_backend backends
backend backends
    balance leastconn
    {servers}
"""

OURS = """
[proxy]
listen = 127.0.0.1:{port}
max_queue = 8192
max_clients = 8192

[redis]
url = {redis}
"""


def nginx(folder, port, backends):
    servers = "\n        ".join(f"server 127.0.0.1:{one};" for one in backends)
    text = NGINX.format(folder=folder, port=port, servers=servers, user="user root;" if os.geteuid() == 0 else "")
    return ["nginx", "-p", folder, "-c", peers.write(folder, "nginx.conf", text)]


def haproxy(options=""):
    def argv(folder, port, backends):
        servers = "\n    ".join(f"server s{i} 127.0.0.1:{one} {options}" for i, one in enumerate(backends))
        return ["haproxy", "-db", "-q", "-f", peers.write(folder, "haproxy.cfg", HAPROXY.format(port=port, servers=servers))]
    return argv


def ours(folder, port, backends, redis=""):
    text = OURS.format(port=port, redis=redis)
    text += "".join(f"\n[backend:b{i}]\napi = ollama\nurl = http://127.0.0.1:{one}\nslots = 1\n" for i, one in enumerate(backends))
    return [PROXY, "-c", peers.write(folder, f"supervisor-{port}.ini", text)]


class Balancer:
    """One of those that are compared; replicas_n of them, with a Redis of their own where that is more than one."""

    def __init__(self, name, program, argv, replicas_n=1):
        self.name = name
        self.program = program
        self.argv = argv
        self.replicas_n = replicas_n

    def missing(self):
        """What it needs and is not there."""
        return [one for one in [self.program] + ["redis-server"] * (self.replicas_n > 1) if not shutil.which(one)]

    def start(self, folder, backends):
        """(ports, processes); they end by peers.stop()."""
        ports, processes, extra = [], [], {}
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "OLLAMA_"))}
        with open(os.path.join(folder, "log"), "ab") as log:
            try:
                if self.replicas_n > 1:
                    port = peers.free_port()
                    words = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder]
                    processes.append(peers.start(words, port, environment, log))
                    extra["redis"] = f"redis://127.0.0.1:{port}"
                for _ in range(self.replicas_n):
                    ports.append(peers.free_port())
                    processes.append(peers.start(self.argv(folder, ports[-1], backends, **extra), ports[-1], environment, log))
            except BaseException:
                for one in processes:
                    peers.stop(one)
                raise
        return ports, processes


ALL = [
    Balancer("nginx least_conn", "nginx", nginx),
    Balancer("HAProxy leastconn", "haproxy", haproxy()),
    # one at a time, the others wait in HAProxy's own line: what its documents advise for slow servers
    Balancer("HAProxy maxconn 1", "haproxy", haproxy("maxconn 1")),
    Balancer("ollama-proxy", PROXY, ours),
    Balancer("2 x ollama-proxy", PROXY, ours, replicas_n=2),
]
