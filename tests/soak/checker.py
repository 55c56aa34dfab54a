"""Replays the journal of the script in proxy/store/balance and tells what was against its promises.

    python3 tests/soak/checker.py FILE      one row a line, as JSON

A row is {"e": event, "t": Redis' ms, …}: r replica, id, b backend, m model, p priority, g tag, a arrival, u slots that are taken then, s slots, c cost, y payer,
o ageing, f the most that a payer is ahead, l lease, w ways as BACKEND:RUN:LOAD,…. What is checked:

  slots     nothing is granted where all slots are taken (who holds or keeps one over and above counts), or at a drained backend
  once      a grant is for one that stands in line, and nobody has two leases
  order     of one model nobody is granted a slot that would have been the best for somebody who stood before him
  tags      are what payer, class, cost and ageing make of them, and stay the same when a ticket comes back
  leases    end when they are not renewed, never before, and nothing is granted to a replica that is dead
  lost      whoever waits for a replica that lives is granted in the end (`is_ended`)
"""
import json
import sys
from dataclasses import dataclass, field

SLACK_MS = 1500  # the others look each second


@dataclass
class Ticket:
    """One, as the journal tells it."""
    replica: str
    model: str = ""
    tag: int = 0
    arrival: int = 0
    payer: str = ""
    priority: int = 0
    cost_ms: int = 0
    state: str = "line"
    backend: str = ""
    lease_ms: int = 0
    since_ms: int = 0
    is_acked: bool = False
    ways: dict = field(default_factory=dict)  # {backend: (run, load)}


class Checker:
    """Feed it rows. As who knows who caused it: `deaths`: {replica: when it was last heard of, in Redis' ms}; `forgotten`: {id: since when nobody renews its
    lease, though its replica lives}."""

    def __init__(self, deaths: dict = None, forgotten: dict = None):
        self.faults = []
        self.tickets = {}
        self.slots = {}
        self.drained = set()
        self.gone = set()
        self.deaths, self.forgotten = dict(deaths or {}), dict(forgotten or {})
        self.arrival = 0
        self.granted_n = 0
        self.now_ms = 0
        self._row = None

    def check(self, rows, is_ended: bool = False) -> list:
        """All rows; the faults."""
        for row in rows:
            self.take(row)
        if is_ended:
            self._end()
        return self.faults

    def take(self, row: dict):
        """The next row."""
        self._row = row
        self.now_ms = int(row.get("t", self.now_ms))
        self._look_for_the_dead()
        getattr(self, "_" + row["e"])(row)
        if "u" in row and row.get("b"):
            used = self._used(row["b"])
            if used != int(row["u"]):
                self._fault("slots", f"{row['u']} slots of {row['b']} are said to be taken: {used} are")

    def _fault(self, rule: str, what: str):
        self.faults.append(f"{rule}: {what}: {json.dumps(self._row)}")

    def _used(self, backend: str) -> int:
        return sum(ticket.state == "slot" and ticket.backend == backend for ticket in self.tickets.values())

    def _known(self, row: dict, *states) -> Ticket:
        ticket = self.tickets.get(row["id"])
        if ticket is None:
            self._fault("once", "there is no such ticket")
            ticket = self.tickets[row["id"]] = Ticket(row["r"], row.get("m", ""), state="lapsed")
        elif states and ticket.state not in states:
            self._fault("once", f"it is in state {ticket.state}")
        if ticket.replica != row["r"]:
            self._fault("once", f"it is {ticket.replica}'s")
        return ticket

    # ---- what the script tells ----

    def _reset(self, _row):
        """Redis has lost all that it had."""
        self.tickets, self.slots, self.drained, self.arrival = {}, {}, set(), 0

    def _backend(self, row):
        self.slots[row["b"]] = int(row["s"])

    def _drain(self, row):
        (self.drained.add if row["d"] == "1" else self.drained.discard)(row["b"])

    def _line_up(self, row, ticket):
        ticket.state, ticket.model, ticket.lease_ms, ticket.is_acked = "line", row["m"], int(row["l"]), False
        if not ticket.payer:
            ticket.payer, ticket.priority, ticket.cost_ms = row["y"], int(row["p"]), int(row["c"])
        self._ways_of(row, ticket)
        self.gone.discard(row["r"])

    def _ways_of(self, row, ticket):
        ways = [way.rsplit(":", 2) for way in row["w"].split(",") if way]
        ticket.ways = {backend: (int(run), int(load)) for backend, run, load in ways}

    def _enter(self, row):
        if row["id"] in self.tickets:
            self._fault("once", "it has entered before")
        owed = self._owed(row["y"], int(row["p"]))
        ticket = self.tickets[row["id"]] = Ticket(row["r"], tag=int(row["g"]), arrival=int(row["a"]))
        self._line_up(row, ticket)
        if ticket.arrival <= self.arrival:
            self._fault("tags", "another one has arrived later")
        self.arrival = ticket.arrival
        start = self.now_ms + min(owed, int(row["f"]))
        if ticket.tag != start + (9 - int(row["p"])) * int(row["o"]):
            self._fault("tags", f"{ticket.tag - start} behind its start is not that of its class")

    def _owed(self, payer, priority):
        """What he has there, of this class and above."""
        return sum(ticket.cost_ms for ticket in self.tickets.values()
                   if payer != "0" and ticket.payer == payer and ticket.priority >= priority and ticket.state in ("line", "slot"))

    def _again(self, row):
        ticket = self._known(row)
        if ticket.state == "slot" and not ticket.is_acked:
            self._fault("leases", "a grant that nobody has acknowledged was taken back")
        self._keeps_its_place(row, ticket)
        self._line_up(row, ticket)

    def _ways(self, row):
        ticket = self._known(row, "line")
        self._keeps_its_place(row, ticket)
        self._ways_of(row, ticket)

    def _keeps_its_place(self, row, ticket):
        if (ticket.tag, ticket.arrival) != (int(row["g"]), int(row["a"])):
            self._fault("tags", f"its place was {ticket.tag}, {ticket.arrival}")

    def _grant(self, row):
        ticket, backend = self._known(row, "line"), row["b"]
        used = self._used(backend)
        if used >= self.slots.get(backend, 0):
            self._fault("slots", f"{used} of {self.slots.get(backend, 0)} were taken")
        if backend in self.drained:
            self._fault("slots", "it is drained")
        if backend not in ticket.ways:
            self._fault("order", "it may not go there")
        if row["r"] in self.gone:
            self._fault("leases", "its replica is gone")
        self._nobody_before(row, ticket, backend)
        self.granted_n += 1
        self._lease(ticket, backend)

    def _nobody_before(self, row, ticket, backend):
        paid = int(row["c"]) > ticket.ways.get(backend, (0, 0))[0]  # it is loaded first
        for one, other in self.tickets.items():
            if other.state != "line" or other.model != ticket.model or (other.tag, other.arrival) >= (ticket.tag, ticket.arrival) or backend not in other.ways:
                continue
            run, load = other.ways[backend]
            if run + (load if paid else 0) <= min(way[0] for way in other.ways.values()):
                self._fault("order", f"{one} stood before it")

    def _lease(self, ticket, backend, is_acked=False):
        ticket.state, ticket.backend, ticket.since_ms, ticket.is_acked = "slot", backend, self.now_ms, is_acked

    def _ack(self, row):
        self._known(row, "slot").is_acked = True

    def _back(self, row):
        self._known(row, "slot").state = "lapsed"

    def _leave(self, row):
        self._known(row)
        del self.tickets[row["id"]]

    def _expire(self, row):
        ticket = self._known(row, "slot")
        if self.now_ms < ticket.since_ms + ticket.lease_ms:
            self._fault("leases", "it has ended before its time")
        ticket.state = "lapsed"

    def _lost(self, row):
        ticket = self.tickets.get(row["id"])
        if ticket and ticket.state == "slot" and ticket.replica == row["r"]:
            self._fault("leases", "it has its lease")

    def _over_and_above(self, row):
        ticket = self.tickets.setdefault(row["id"], Ticket(row["r"]))
        self._known(row)
        if row["e"] == "hold" and ticket.state == "lapsed":
            self._fault("leases", "it has lost its lease: it may keep it, or come again")
        ticket.model, ticket.lease_ms = row["m"], int(row["l"])
        self._lease(ticket, row["b"], is_acked=True)

    _hold = _keep = _over_and_above

    def _dead(self, row):
        for ticket in self.tickets.values():
            if ticket.replica == row["r"]:
                ticket.state = "lapsed"
        self.gone.add(row["r"])

    def _bye(self, row):
        self.tickets = {one: ticket for one, ticket in self.tickets.items() if ticket.replica != row["r"]}
        self.gone.add(row["r"])

    # ---- what it ought to have told ----

    def _look_for_the_dead(self):
        for replica, died_ms in list(self.deaths.items()):
            its = [one for one, ticket in self.tickets.items() if ticket.replica == replica and ticket.state != "lapsed"]
            lease_ms = max((self.tickets[one].lease_ms for one in its), default=0)
            if its and self.now_ms > died_ms + lease_ms + SLACK_MS:
                self._fault("leases", f"{replica} is dead for {self.now_ms - died_ms} ms, and still has {its}")
                del self.deaths[replica]
        for one, since_ms in list(self.forgotten.items()):
            ticket = self.tickets.get(one)
            if ticket and ticket.state == "slot" and self.now_ms > since_ms + ticket.lease_ms + SLACK_MS:
                self._fault("leases", f"{one} is not renewed for {self.now_ms - since_ms} ms, and still has its slot")
                del self.forgotten[one]

    def _end(self):
        for one, ticket in self.tickets.items():
            if ticket.state == "line" and ticket.replica not in self.gone and ticket.replica not in self.deaths:
                self._fault("lost", f"{one} waits still")


def main():
    """Of a file."""
    with open(sys.argv[1], encoding="utf-8") as file:
        checker = Checker()
        faults = checker.check(map(json.loads, file))
    print("\n".join(faults) or f"{checker.granted_n} grants, nothing wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
