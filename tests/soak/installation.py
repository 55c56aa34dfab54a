"""What a team has: stand-ins for Ollamas, proxies before them, one Redis; and what may befall them."""
import os
import signal
import threading
import time

import ports
import standin
from journal import Journal
from process import clean_up
from redis_server import RedisServer
from sidecar import Sidecar
from waiting import until

LEASE_S = 2
PREFIX = "soak"
SLOTS = {"one": 1, "two": 2, "three": 1}
MODELS = ("m", "n")
PROXIES = 4


class Proxy:
    """One of them; it has several lives."""

    def __init__(self, installation, number: int):
        directory = os.path.join(installation.folder, f"proxy{number}")
        os.mkdir(directory)
        self.installation = installation
        self.sidecar = Sidecar(directory)
        self.was_dead = []  # [(from, to)] in s
        self.is_stopped = False
        self.port = self.sidecar.port
        self.sidecar.configure("proxy", listen=f"127.0.0.1:{self.port}")
        self.sidecar.configure("balancer", probe_interval="500ms", slow_start="0", min_residency="1s", ageing="5s")
        self.sidecar.configure("redis", url=f"redis://127.0.0.1:{installation.redis.port}", prefix=PREFIX, lease=f"{LEASE_S}s", timeout="1s", journal="yes")
        for name, backend in installation.backends.items():
            self.sidecar.configure(f"backend:{name}", url=f"http://127.0.0.1:{backend.port}", api="ollama", slots=SLOTS[name])

    def start(self):
        """It serves."""
        self.sidecar.start("ollama-proxy")
        self.sidecar.process.wait_log(" redis_up ", timeout=20)
        for name in SLOTS:
            self.sidecar.process.wait_log(f" member_up .*backend={name}")

    @property
    def replica(self) -> str:
        """How Redis knows it."""
        return self.sidecar.process.wait_log(r" redis_up .*replica=(\w+)").group(1)

    def kill(self):
        """As a crash does it; the next life begins."""
        replica, began = self.replica, time.time()
        self.sidecar.process.kill(signal.SIGKILL)
        self.sidecar.process.wait()
        self.installation.deaths[replica] = int(time.time() * 1000)
        self.start()
        self.was_dead.append((began, time.time()))

    def died_within(self, began: float, ended: float) -> bool:
        """Whether it was dead for a moment of that time."""
        return any(began <= to and ended >= since for since, to in self.was_dead)

    def stop(self):
        """It stands still."""
        self.is_stopped = True
        self.sidecar.process.kill(signal.SIGSTOP)

    def go_on(self):
        """… no more."""
        self.sidecar.process.kill(signal.SIGCONT)
        self.is_stopped = False


class Installation:
    """All of it, started."""

    def __init__(self, folder: str):
        self.folder = folder
        self.redis = RedisServer(is_kept=True)
        self.backends, self.processes = {}, []
        self.deaths = {}      # {replica: when, in ms}
        self.disturbed = []   # [(from, to)] in s: slots may be taken twice meanwhile, as a holder stood still or Redis was away
        self.over = threading.Event()
        for name in SLOTS:
            directory = os.path.join(folder, name)
            os.mkdir(directory)
            backend = standin.Backend(directory, ports.free())
            backend.script(tokens=6, token_delay_ms=40, load_s=0.1)
            self.backends[name] = backend
            self.processes.append(standin.start(backend, f"soak-{os.getpid()}", ",".join(MODELS)))
            backend.wait("listening", timeout=20)
        self.journal = Journal(self.redis, PREFIX)
        self.proxies = [Proxy(self, number) for number in range(PROXIES)]
        for proxy in self.proxies:
            proxy.start()

    def pause(self, seconds: float):
        """Let so much time pass; less when all is over."""
        self.over.wait(seconds)

    def stand_still(self, proxy: Proxy):
        """A proxy is stopped for two leases."""
        began = time.time()
        proxy.stop()
        self.pause(2 * LEASE_S)
        proxy.go_on()
        self.disturbed.append((began, time.time() + LEASE_S + 3))

    def restart_redis(self, is_kept: bool):
        """It crashes, and comes back with what it had or with nothing; until all proxies have found it again."""
        began = time.time()
        seen = [len(proxy.sidecar.process.log) for proxy in self.proxies]
        self.redis.kill()
        for proxy, since in zip(self.proxies, seen):
            proxy.sidecar.process.wait_log(" redis_away ", timeout=20, since=since)
        if not is_kept:
            self.redis.forget()
            self.journal.forget()
        self.redis.start()
        for proxy, since in zip(self.proxies, seen):
            proxy.sidecar.process.wait_log(" redis_up ", timeout=30, since=since)
        self.disturbed.append((began, time.time() + LEASE_S + 3))

    def is_disturbed(self, at: float) -> bool:
        """Whether slots may be taken twice then."""
        return any(begin <= at <= end for begin, end in self.disturbed)

    def wait_idle(self):
        """Until nobody waits, and no slot is taken."""
        for proxy in self.proxies:
            proxy.sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 0, 30, "nobody under way")
        connection = self.redis.connect()
        until(lambda: connection.ask("ZCARD", f"{PREFIX}:leases") == 0, 4 * LEASE_S, "all slots to be free",
              lambda: str(connection.ask("HGETALL", f"{PREFIX}:tickets")))
        connection.close()

    def end(self) -> list:
        """The complaints."""
        self.over.set()
        complaints = []
        for proxy in self.proxies:
            if proxy.is_stopped:
                proxy.go_on()
            complaints += proxy.sidecar.clean_up()
        self.journal.end()
        complaints += clean_up(self.processes, set())
        self.redis.end()
        return complaints
