"""Replicas that are played under a clock of their own, by chance from a seed: they enter, run, finish, cancel, retry, die, stand still, go. What they do is
what proxy/store/shared.c does with the same replies; what they are told by others comes late, or only with the next beat."""
import random

from balancer import Balancer, Beat, Replica

BACKENDS = {"p": 1, "q": 2, "r": 1}
MODELS = ("x", "y")
LEASE_MS = 4000


class Request:
    """A client's request."""

    def __init__(self, number: int, chance: random.Random):
        self.id = str(number)
        self.model = chance.choice(MODELS)
        self.priority = chance.choice((1, 5, 5, 5, 9))
        self.payer = chance.choice((0, 7, 8))
        self.cost_ms = chance.choice((100, 400))
        self.runs_ms = chance.randrange(200, 3000)
        self.can = [backend for backend in BACKENDS if chance.random() < 0.8] or ["q"]
        self.backend = None      # it has its slot
        self.has_begun = False   # its answer
        self.ends_ms = 0


class Played:
    """One replica."""

    def __init__(self, world, name: str):
        self.world, self.name = world, name
        self.replica = Replica(world.balancer, name)
        self.requests = {}
        self.stands_still_until_ms = 0
        self.next_beat_ms = 0
        self.heard_ms = 0

    def do(self, fn, *args, **keys):
        """A call; grants in its reply are taken, those of others reach these mostly."""
        self.heard_ms = self.world.balancer.now_ms
        self.world.depth += 1
        if self.world.depth > 100:
            raise RecursionError("each grant is followed by another one")
        for one, backend in fn(*args, **keys).items():
            if one in self.requests:
                self.granted(one, backend)
            else:
                self.world.publish(one, backend)
        self.world.depth -= 1

    def granted(self, one, backend):
        """What shared_ops.granted does."""
        request = self.requests.get(one)
        if request is None or request.backend or backend not in request.can:
            if request is None or request.backend != backend:
                self.do(self.replica.back, one)
            return
        if request.backend is None and self.world.chance.random() < 0.03:  # it is none that it could use just now
            self.do(self.replica.back, one)
            self.enter(request)
            return
        request.backend, request.ends_ms = backend, self.world.balancer.now_ms + request.runs_ms
        self.do(self.replica.ack, one)

    def enter(self, request):
        """It waits, or waits again."""
        request.backend, request.has_begun = None, False
        self.requests[request.id] = request
        self.do(self.replica.enter, request.id, request.model, [(backend, 500, 300) for backend in request.can], request.priority, request.payer,
                request.cost_ms, residency_ms=1500, lease_ms=LEASE_MS)

    def resume(self):
        """What is told to a Redis that does not know us."""
        for backend, slots in BACKENDS.items():
            self.replica.backend(backend, slots)
        for request in list(self.requests.values()):
            if request.backend:
                self.do(self.replica.hold, request.id, request.backend, request.model, 500, LEASE_MS)
            else:
                self.enter(request)

    def beat(self):
        """Each second."""
        self.heard_ms = self.world.balancer.now_ms
        running = [request.id for request in self.requests.values() if request.backend]
        beat: Beat = self.replica.beat(*running, lease_ms=LEASE_MS)
        again = [self.requests[one] for one in beat.lost if one in self.requests]
        for request in again:
            if request.has_begun:
                self.do(self.replica.keep, request.id)
            else:
                request.backend = None
        if beat.is_new:
            self.resume()
        else:
            for request in again:
                if not request.has_begun:
                    self.enter(request)
        for one, backend in beat.missed.items():
            self.granted(one, backend)

    def step(self, chance):
        """What happens to it now."""
        now_ms = self.world.balancer.now_ms
        if now_ms >= self.next_beat_ms:
            self.next_beat_ms = now_ms + 1000
            self.beat()
        for request in list(self.requests.values()):
            if request.backend and now_ms >= request.ends_ms:
                del self.requests[request.id]
                self.world.answered.add(request.id)
                if chance.random() < 0.02:  # its word is lost
                    self.world.forgotten[request.id] = now_ms
                else:
                    self.do(self.replica.leave, request.id)
            elif request.backend and not request.has_begun and len(request.can) > 1 and chance.random() < 0.05:
                request.can = [backend for backend in request.can if backend != request.backend]
                self.enter(request)  # it failed there
            elif request.backend:
                request.has_begun = True
            elif chance.random() < 0.01 and not self.world.is_finishing:
                del self.requests[request.id]
                self.world.cancelled.add(request.id)
                self.do(self.replica.leave, request.id)


class World:
    """All of them, and one Redis. `deaths` and `forgotten` are for the checker."""

    def __init__(self, balancer: Balancer, seed: int, replicas_n: int = 4):
        self.balancer = balancer
        self.chance = random.Random(seed)
        self.names_n = self.requests_n = self.depth = 0
        self.played, self.deaths, self.forgotten = [], {}, {}
        self.is_finishing = False
        self.answered, self.cancelled, self.died_with = set(), set(), set()
        for _ in range(replicas_n):
            self._start()

    def _start(self):
        self.names_n += 1
        self.played.append(Played(self, f"replica{self.names_n}"))

    def publish(self, one, backend):
        """Four of five messages arrive."""
        for played in self.played:
            if one in played.requests and not played.stands_still_until_ms and self.chance.random() < 0.8:
                played.granted(one, backend)

    def run(self, for_ms: int, step_ms: int = 50):
        """Requests come, replicas come and go."""
        end_ms = self.balancer.now_ms + for_ms
        drained = None
        while self.balancer.now_ms < end_ms:
            self.balancer.at(self.balancer.now_ms + step_ms)
            if self.chance.random() < 0.3:
                played = self.chance.choice(self._awake())
                self.requests_n += 1
                played.enter(Request(self.requests_n, self.chance))
            if self.chance.random() < 0.005:
                self._mishap()
            if self.chance.random() < 0.005:
                if drained:
                    self._awake()[0].replica.drain(drained, False)
                drained = None if drained else self.chance.choice(list(BACKENDS))
                if drained:
                    self._awake()[0].replica.drain(drained)
            self._steps()
        if drained:
            self._awake()[0].replica.drain(drained, False)

    def finish(self):
        """Nothing new comes, and nobody goes; until all are answered, or False: somebody waits in vain."""
        self.is_finishing = True
        for _ in range(1000):
            if not any(played.requests for played in self.played):
                return True
            self.balancer.at(self.balancer.now_ms + 100)
            self._steps()
        return False

    def _awake(self):
        return [played for played in self.played if not played.stands_still_until_ms] or [self.played[0]]

    def _steps(self):
        for played in self.played:
            if played.stands_still_until_ms > self.balancer.now_ms:
                continue
            played.stands_still_until_ms = 0
            played.step(self.chance)

    def _mishap(self):
        played = self.chance.choice(self._awake())
        what = self.chance.choice(("kill", "stop", "bye"))
        if what == "stop":
            played.stands_still_until_ms = self.balancer.now_ms + self.chance.choice((1500, 2 * LEASE_MS))
            return
        self.played.remove(played)
        self.died_with |= set(played.requests)
        if what == "bye":
            played.replica.bye()
        else:
            self.deaths[played.name] = played.heard_ms
        self._start()
