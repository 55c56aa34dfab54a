"""The script of proxy/store/balance and proxy/balance decide the same: one is played what the other is, by chance, and each grant and each tag is compared."""
import fcntl
import os
import random
import subprocess

import pytest

from balancer import TOP, Balancer, Replica
from sidecar import BUILD

PLAYER = os.path.join(BUILD, "bench", "assign")
AGEING_MS, RESIDENCY_MS, FAIR_MAX_MS = 15_000, 4000, 60_000
MODELS = ("x", "y", "z:8b")
STEPS = 250


@pytest.fixture(scope="session")
def player():
    """bench/balance/assign.c, built; by one of several workers at a time."""
    with open(os.path.join(BUILD, "player.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-j2", f"BUILD={BUILD}", PLAYER], check=True, cwd=TOP)
    return PLAYER


class Both:
    """The script in Redis, and what the player is to be told; `said` is what the script decided, as the player would print it."""

    def __init__(self, connection, seed: int):
        connection.ask("FLUSHALL")
        self.chance = random.Random(seed)
        self.balancer = Balancer(connection)
        self.balancer.call("nobody", "ack")
        self.balancer.later(2000)
        self.balancer.journal_on()
        self.replica = Replica(self.balancer, "a")
        self.replica.beat(lease_ms=10**9)
        self.told = [f"rules {AGEING_MS} {RESIDENCY_MS} {FAIR_MAX_MS}", f"at {self.balancer.now_ms}"]
        self.said = []
        self.slots, self.weights, self.drained = {}, {}, set()
        self.tickets = {}  # {id: (model, priority, payer)}
        self.running = {}  # {id: backend}
        self.has = {}  # {backend: models that are loaded there}
        self.ids_n = 0
        for index in range(self.chance.choice((1, 2, 3, 3, 8))):
            self.backend(index)

    def next(self, granted: dict):
        """The player looks for whom it has a slot."""
        self.told.append("next")
        self.said += [f"grant {one} {backend}" for one, backend in granted.items()]
        for one, backend in granted.items():
            self.running[one] = backend
            model, there = self.tickets[one][0], self.has.setdefault(int(backend), set())
            if model not in there:
                there.clear()
            there.add(model)

    def backend(self, index):
        """It has other slots, another weight."""
        slots, weight = self.chance.randrange(1, 4), self.chance.choice((1, 1, 3))
        self.slots[index], self.weights[index] = slots, weight
        self.told.append(f"backend {index} {slots} {weight} {int(index not in self.drained)}")
        granted, _ = self.balancer.call("a", "backend", index, slots, weight)
        self.next({one: backend for _, one, backend in granted})

    def drain(self, index):
        """Nothing new goes there, or does again."""
        (self.drained.discard if index in self.drained else self.drained.add)(index)
        self.told.append(f"backend {index} {self.slots[index]} {self.weights[index]} {int(index not in self.drained)}")
        self.next(self.replica.drain(index, index in self.drained))

    def loaded(self, index):
        """It says what it has loaded: at least what it was given."""
        models = {model for model in MODELS if self.chance.random() < 0.4} | {self.tickets[one][0] for one, backend in self.running.items() if backend == str(index)}
        self.has[index] = set(models)
        self.told.append(f"loaded {index} {self.balancer.now_ms + 1} {' '.join(sorted(models))}")
        self.next(self.replica.loaded(index, *sorted(models)))

    def ways(self):
        """Where one may go."""
        chosen = [index for index in self.slots if self.chance.random() < 0.8]
        return [(index, self.chance.choice((0, 200, 900, 1000, 1005, 4000, 20_000)), self.chance.choice((0, 300, 5000))) for index in chosen]

    def words(self, ways):
        """… for the player."""
        return " ".join(f"{index}:{run}:{load}" for index, run, load in ways)

    def enter(self, one=None):
        """A new one, or one whose backend has failed."""
        ways = self.ways()
        if one is None:
            one, self.ids_n = str(self.ids_n), self.ids_n + 1
            model, priority, payer = self.chance.choice(MODELS), self.chance.choice((0, 5, 5, 9)), self.chance.choice((0, 7, 8))
            self.told.append(f"enter {one} {model} {priority} {payer} {self.words(ways)}")
        else:
            model, priority, payer = self.tickets[one]
            self.replica.ack(one)
            del self.running[one]
            self.told += [f"ways {one} {self.words(ways)}", f"leave {one}", f"again {one} {model}"]
        self.tickets[one] = model, priority, payer
        open_slots = sum(slots for index, slots in self.slots.items() if index not in self.drained)
        costs = [run + load * (model not in self.has.get(index, ())) for index, run, load in ways if index not in self.drained]
        cost = min(costs, default=0) // max(1, open_slots)
        granted = self.replica.enter(one, model, ways, priority, payer, cost, AGEING_MS, FAIR_MAX_MS, RESIDENCY_MS, 10**9)
        self.said.append(f"tag {one} {next(row['g'] for row in reversed(self.balancer.journal_end(20)) if row.get('id') == one and 'y' in row)}")
        self.next(granted)

    def change(self, one):
        """Its ways are others."""
        model, priority, payer = self.tickets[one]
        ways = self.ways()
        self.told.append(f"ways {one} {self.words(ways)}")
        self.next(self.replica.enter(one, model, ways, priority, payer, 1, AGEING_MS, FAIR_MAX_MS, RESIDENCY_MS, 10**9))

    def leave(self, one):
        """It has gone."""
        del self.tickets[one]
        self.running.pop(one, None)
        self.told.append(f"leave {one}")
        self.next(self.replica.leave(one))

    def later(self):
        """Time passes."""
        self.balancer.at(self.balancer.now_ms + self.chance.choice((0, 1, 300, 1000)))
        self.told.append(f"at {self.balancer.now_ms}")
        self.next(self.replica.ack())

    def places(self):
        """Where all stand."""
        for one, place in sorted(self.replica.beat(*self.running, lease_ms=10**9).places.items()):
            self.told.append(f"place {one}")
            self.said.append(f"place {one} {place - 1}")

    def step(self):
        """Something happens."""
        waiting = [one for one in self.tickets if one not in self.running]
        what = self.chance.random()
        if what < 0.3 and len(waiting) < 60:
            self.enter()
        elif what < 0.5 and self.running:
            self.leave(self.chance.choice(list(self.running)))
        elif what < 0.53 and waiting:
            self.leave(self.chance.choice(waiting))
        elif what < 0.56 and self.running:
            self.enter(self.chance.choice(list(self.running)))
        elif what < 0.62 and waiting:
            self.change(self.chance.choice(waiting))
        elif what < 0.66:
            self.loaded(self.chance.choice(list(self.slots)))
        elif what < 0.68:
            self.backend(self.chance.choice(list(self.slots)))
        elif what < 0.70:
            self.drain(self.chance.choice(list(self.slots)))
        elif what < 0.72:
            self.places()
        else:
            self.later()


@pytest.mark.parametrize("seed", range(int(os.environ.get("SAME_RULES_N") or 24)))
def test_the_script_decides_as_the_proxy_does(connection, player, seed):
    both = Both(connection, seed)
    for _ in range(STEPS):
        both.step()
    printed = subprocess.run([player], input="\n".join(both.told) + "\n", capture_output=True, text=True, check=True).stdout.splitlines()
    decided = [" ".join(line.split()[:3]) for line in printed if not line.startswith("again ")]
    assert len(both.said) > 50
    for number, (ours, theirs) in enumerate(zip(both.said, decided)):
        assert ours == theirs, f"decision {number}"
    assert len(both.said) == len(decided)
