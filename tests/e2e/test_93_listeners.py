"""R4.6: those who listen to one optimised answer: who comes late, who is slow, who leaves, and what is left then: nothing."""
import random
import threading
import time

import pytest

from client import Background
from played_backend import CLOSE, END, HANG, RESET, Held, chunk, head, single
from raw_client import descriptors, kernel_buffers_bytes
from sharing import CHAT, LAST, PATH, STREAM, HeldGood, entries, error_of, hear, line, optimizer, sends  # noqa: F401
from waiting import SLACK, until

# ---- who comes late, and who is slow ----

class Stepped:
    """Events of so many bytes, as many as the test lets out."""

    def __init__(self, count, size):
        self.count, self.size = count, size
        self.gates = threading.Semaphore(0)

    def __call__(self, request):
        yield head()
        for nth in range(self.count):
            if not self.gates.acquire(timeout=30 * SLACK):
                return
            yield chunk(line(f"{nth:06d}" + "x" * (self.size - 6)))
        yield chunk(LAST)
        yield END

    def let(self, count):
        self.gates.release(count)


def read_until(answer, pieces, mark):
    """What comes, up to where this is in it."""
    data = b""
    while mark not in data:
        data += next(pieces)[1]
    return data


def test_who_comes_late_hears_it_from_the_first_byte_r4_6(sidecar, optimizer):
    play = Stepped(10, 1000)
    backend = optimizer(play=play)
    first, = sends(sidecar)
    play.let(5)
    answer = first.receive()
    pieces = answer.pieces()
    data = read_until(answer, pieces, b"000004")
    late, = sends(sidecar)
    late_answer = late.receive()
    late_pieces = late_answer.pieces()
    late_data = read_until(late_answer, late_pieces, b"000004")
    play.let(5)
    data += b"".join(more for _, more in pieces)
    late_data += b"".join(more for _, more in late_pieces)
    assert data == late_data and answer.clean and late_answer.clean and len(backend.requests) == 1
    assert late_answer.header("X-Sidecar-Shared") == "yes"


def test_where_the_start_is_gone_another_generation_begins_r4_6(sidecar, optimizer):
    play = Stepped(10, 1000)
    backend = optimizer(play=play, share_buffer="4K")
    first, = sends(sidecar)
    play.let(5)
    answer = first.receive()
    pieces = answer.pieces()
    read_until(answer, pieces, b"000004")
    late, = sends(sidecar)
    until(lambda: len(backend.requests) == 2, 5, "a second generation", sidecar.process.tail)
    play.let(15)
    assert b"".join(more for _, more in pieces).endswith(b"[DONE]\n\n")
    late_answer = hear(late)
    assert late_answer.clean and late_answer.header("X-Sidecar-Shared") is None and b"000000" in late_answer.body


def test_six_late_joiners_at_different_speeds_get_the_same_bytes_r4_6(sidecar, optimizer):
    """Each reads in pieces of its own size, with pauses of its own: the test is about this pace."""
    play = Stepped(60, 10000)
    backend = optimizer(play=play)
    first, = sends(sidecar)
    play.let(20)
    answer = first.receive()
    pieces = answer.pieces()
    data = read_until(answer, pieces, b"000019")

    def read(client, size, pause_s):
        answer, got = client.receive(), b""
        while True:
            time.sleep(pause_s)
            piece = client.sock.recv(size)
            if not piece:
                return answer, got
            got += piece
            if got.endswith(b"\r\n0\r\n\r\n"):
                return answer, got

    def unframed(data):
        body = b""
        while data:
            size, data = data.split(b"\r\n", 1)
            size = int(size, 16)
            body, data = body + data[:size], data[size + 2:]
        return body

    clients = sends(sidecar, 6, receive_bytes=4096)
    readers = [Background(read, client, 65536 >> nth, 0.002 * nth / 6) for nth, client in enumerate(clients)]
    for _ in range(40):
        play.let(1)
        data += next(pieces)[1]
    data += b"".join(more for _, more in pieces)
    assert answer.clean
    for reader, client in zip(readers, clients):
        late, got = reader.result(25)
        assert late.header("X-Sidecar-Shared") == "yes"
        assert unframed(client._buffer + got) == data, "the same bytes"  # pylint: disable=protected-access
    assert len(backend.requests) == 1


@pytest.mark.limit(90)
def test_one_that_stalls_is_ended_without_holding_the_rest_r4_6(sidecar, optimizer):
    size = 64000
    count = kernel_buffers_bytes() // size + 20
    play = Stepped(count, size)
    backend = optimizer(play=play, share_buffer="256K", share_stall="300ms", write_timeout="60s")
    stalled, = sends(sidecar, receive_bytes=4096)
    others = sends(sidecar, 2)
    readers = [Background(hear, client) for client in others]
    play.let(count)
    answers = [reader.result(60) for reader in readers]
    assert all(answer.clean for answer in answers) and answers[0].body == answers[1].body and len(backend.requests) == 1
    broken = stalled.receive()
    assert not broken.clean and answers[0].body.startswith(broken.body[:1000000])
    assert error_of(broken)["code"] == "share_stall" and "[proxy] share_stall" in error_of(broken)["message"]
    assert not broken.clean
    assert sorted(entry["ended"] for entry in entries(sidecar, 3)) == ["client_stalled", "done", "done"]


@pytest.mark.limit(90)
def test_whoever_listens_alone_is_as_slow_as_he_likes_r4_6(sidecar, optimizer):
    """share_stall is about those who hold others; the backend waits for him, as ever."""
    size = 64000
    count = kernel_buffers_bytes() // size + 20
    play = Stepped(count, size)
    optimizer(play=play, share_stall="1ms", share_buffer="64K")
    slow, = sends(sidecar, receive_bytes=4096)
    play.let(count)
    until(lambda: count - play.gates._value > 5, 10, "the backend writes")  # pylint: disable=protected-access
    left = -1
    while left != play.gates._value:  # pylint: disable=protected-access
        left = play.gates._value  # pylint: disable=protected-access
        time.sleep(0.3)  # until it stands still: that is what is looked at
    assert left > 0, "it did not wait"
    answer = hear(slow)
    assert answer.clean and len(answer.body) > count * size


@pytest.mark.limit(90)
def test_who_joins_one_that_stands_still_hears_all_of_it_r4_6(sidecar, optimizer):
    """The backend waited for the first; now that there are two it goes on, without a word of his."""
    size = 64000
    count = kernel_buffers_bytes() // size + 20
    play = Stepped(count, size)
    backend = optimizer(play=play, share_buffer="64M", write_timeout="60s")
    still, = sends(sidecar, receive_bytes=4096)
    play.let(count)
    until(lambda: count - play.gates._value > 5, 10, "the backend writes")  # pylint: disable=protected-access
    left = -1
    while left != play.gates._value:  # pylint: disable=protected-access
        left = play.gates._value  # pylint: disable=protected-access
        time.sleep(0.3)  # until it stands still
    assert left > 0, "it did not wait"
    second, = sends(sidecar)
    answer = Background(hear, second).result(20)
    assert answer.clean and len(answer.body) > count * size and len(backend.requests) == 1
    still.close()


# ---- who leaves ----

def test_the_last_to_leave_ends_it_and_the_first_does_not_r4_6(sidecar, optimizer):
    play = Held(head(), chunk(line("to")), HANG)
    backend = optimizer(play=play)
    first, second = sends(sidecar, 2)
    play.go.set()
    answer = second.receive()
    pieces = answer.pieces()
    assert b'"to"' in next(pieces)[1]
    first.close()
    sidecar.process.wait_log(r'"client_gone"')
    assert backend.cuts == 0
    second.close()
    until(lambda: backend.cuts == 1, 0.1 * SLACK, "the backend's connection closes", sidecar.process.tail)
    third, = sends(sidecar)
    until(lambda: len(backend.requests) == 2, 5, "another generation", sidecar.process.tail)
    third.close()


def test_the_first_may_leave_before_anything_has_come_r4_6(sidecar, optimizer):
    play = HeldGood()
    backend = optimizer(play=play)
    first, second = sends(sidecar, 2)
    first.close()
    sidecar.process.wait_log(r'"client_gone"')
    play.go.set()
    answer = hear(second)
    assert answer.clean and answer.status == 200 and b"ken" in answer.body and len(backend.requests) == 1 and backend.cuts == 0


PHASES = {
    "waiting for Ollama": ({"start_delay_s": 30}, r" from=listen|to=gate"),
    "load": ({"load_s": 30}, r" to=load\b"),
    "queue": ({"token_delay_ms": 100, "tokens": 1000}, r" to=queue\b"),
    "fetch": ({"first_token_delay_ms": 30000}, r" to=fetch\b"),
    "relay": ({"token_delay_ms": 100, "tokens": 1000}, r" to=relay\b"),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_cancel_in_any_phase_leaves_nothing_r4_6(sidecar, phase):
    """Two listen, and leave; nothing of it is with the backend, in line or held any more, and the next one is served."""
    script, mark = PHASES[phase]
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("optimizer", enabled="yes")
    sidecar.env["OLLAMA_NUM_PARALLEL"] = "1"
    sidecar.installed = "qwen3:4b,qwen3:0.6b"
    sidecar.backend.script(**script)
    sidecar.start()
    if phase == "waiting for Ollama":
        sidecar.process.wait_log(r" listening ")
    else:
        sidecar.wait_ready()
    busy = []
    if phase == "queue":
        busy = sends(sidecar, 1, {**STREAM, "user": "other"})
        sidecar.process.wait_log(r" to=relay\b")
    since = len(sidecar.process.log)
    clients = sends(sidecar, 2)
    sidecar.process.wait_log(mark, since=since)
    for client in clients:
        client.close()
    left = 1 if phase == "load" else len(busy)  # a load belongs to nobody, and goes on
    until(lambda: (told := sidecar.health()) and (told["requests"]["in_flight"], told["requests"]["held"]) == (left, 0), 5, "nobody left", sidecar.process.tail)
    if phase in ("fetch", "relay"):
        sidecar.backend.wait("cancelled")
    for client in busy:
        client.close()
        sidecar.backend.wait("cancelled")
    if phase in ("waiting for Ollama", "load"):
        return  # nothing can be served before its time
    sidecar.backend.script(tokens=2)
    answer = sidecar.ask("POST", PATH, STREAM, timeout=20)
    assert answer.clean and answer.status == 200
    chats = [entry for entry in sidecar.backend.requests("/api/chat") if b"hi" in entry["body"].encode()]
    assert len(chats) == {"queue": 2, "fetch": 2, "relay": 2}[phase], "whoever left in line has never asked"


def test_who_waits_for_ollama_listens_until_it_is_there_r4_6(sidecar):
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("proxy", heartbeat_after="200ms", heartbeat_interval="100ms")
    sidecar.configure("optimizer", enabled="yes")
    sidecar.installed = "qwen3:4b"
    sidecar.backend.script(start_delay_s=1, tokens=3)
    sidecar.start()
    sidecar.process.wait_log(r" listening ")
    clients = sends(sidecar, 2)
    bodies = [hear(client).body for client in clients]
    assert all(body.startswith(b": ping\n") and body.endswith(b"[DONE]\n\n") for body in bodies)
    assert bodies[0].replace(b": ping\n", b"") == bodies[1].replace(b": ping\n", b"")
    assert len(sidecar.backend.requests("/api/chat")) == 1


def test_one_start_of_ollama_wakes_all_who_listen_r4_6(sidecar):
    """Asleep, it is woken by a request as by any other; while somebody listens it does not sleep again."""
    sidecar.configure("supervisor", log_level="debug", idle_action="stop", idle_timeout="300ms")
    sidecar.configure("optimizer", enabled="yes")
    sidecar.boot("qwen3:4b", tokens=4, token_delay_ms=300)
    for count in (1, 2):
        until(lambda: len(sidecar.process.logged(r" asleep action=stop")) >= count, 10, "sleep", sidecar.process.tail)
        clients = sends(sidecar, 2)
        answers = [hear(client) for client in clients]
        assert all(answer.status == 200 and answer.clean and int(answer.header("X-Sidecar-Wait-Ms")) > 0 for answer in answers)
        assert answers[0].body == answers[1].body and len(sidecar.process.logged(r" asleep action=stop")) == count
        assert len(sidecar.backend.requests("/api/chat")) == count
    assert sidecar.stop() == 0


def test_a_reload_leaves_listeners_to_their_end_r4_6(sidecar):
    """Another proxy takes over; who listens to the old one hears it all, and who comes now does not join him there."""
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("optimizer", enabled="yes")
    sidecar.boot("qwen3:4b", tokens=20, token_delay_ms=100)
    clients = sends(sidecar, 2)
    answers = [client.receive() for client in clients]
    sidecar.configure("optimizer", share="off")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" drain ")
    third, = sends(sidecar)
    assert [answer.body for answer in answers][0] == answers[1].body and all(answer.clean for answer in answers)
    assert hear(third).clean and len(sidecar.backend.requests("/api/chat")) == 2


def test_a_drain_serves_listeners_to_their_end_and_an_abort_tells_them_r4_6(sidecar, optimizer):
    for is_aborted in (False, True):
        more = threading.Event()
        play = Held(head(), chunk(line("to")), more, chunk(LAST), END)
        optimizer(play=play)
        clients = sends(sidecar, 2)
        play.go.set()
        answers = [client.receive() for client in clients]
        pieces = [answer.pieces() for answer in answers]
        assert all(b'"to"' in next(mine)[1] for mine in pieces)
        sidecar.process.kill()
        sidecar.process.wait_log(r" drain ")
        if is_aborted:
            sidecar.process.kill()
        else:
            more.set()
        rests = [b"".join(data for _, data in mine) for mine in pieces]
        assert all(answer.clean != is_aborted for answer in answers)
        assert all((b"shutting down" in rest) == is_aborted and rest.endswith(b"[DONE]\n\n") != is_aborted for rest in rests)
        more.set()
        assert sidecar.process.wait() == 0


def test_each_page_has_its_own_cors_lines_r4_6(sidecar, optimizer):
    play = HeldGood()
    optimizer(play=play)
    pages = ["http://localhost:3000", "http://localhost:4000"]
    clients = [sends(sidecar, headers=[("Origin", page)])[0] for page in pages]
    play.go.set()
    for answer, page in zip(map(hear, clients), pages):
        assert answer.header("Access-Control-Allow-Origin") == page
        exposed = ",".join(value for name, value in answer.headers if name == "Access-Control-Expose-Headers")
        assert "X-Sidecar-Wait-Ms" in exposed and "X-Sidecar-Shared" in exposed and "X-Sidecar-Strategy" in exposed


def test_tokens_are_paid_once_and_requests_by_each_r4_6_r4_9(sidecar, optimizer):
    play = HeldGood()
    optimizer(play=play, requests_per_minute="10", tokens_per_minute="60")
    clients, began = sends(sidecar, 2), time.monotonic()
    play.go.set()
    assert [hear(client).header("x-ratelimit-remaining-requests") for client in clients] == ["9", "8"]
    third, = sends(sidecar)
    answer = hear(third)
    assert int(answer.header("x-ratelimit-remaining-requests")) == 7
    back_n = time.monotonic() - began  # one a second comes back
    assert 55 <= int(answer.header("x-ratelimit-remaining-tokens")) <= 55 + back_n, "three of the prompt and two of the answer, once"


def test_who_waits_for_too_long_is_told_so_each_r4_6(sidecar):
    """hold_timeout and max_queue: what an inner exchange is refused for is told to all who listen, with when to come again."""
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("proxy", hold_timeout="500ms", max_queue="1")
    sidecar.configure("optimizer", enabled="yes")
    sidecar.env["OLLAMA_NUM_PARALLEL"] = "1"
    sidecar.boot("qwen3:4b", tokens=1000, token_delay_ms=50)
    busy, = sends(sidecar, 1, {**STREAM, "user": "first"})
    sidecar.process.wait_log(r" to=relay\b")
    held = sends(sidecar, 2, {**STREAM, "user": "second"})
    refused = sends(sidecar, 1, {**STREAM, "user": "third"})
    for client, code in [(refused[0], "queue_full"), (held[0], "hold_timeout"), (held[1], "hold_timeout")]:
        answer = hear(client)
        assert (answer.status, answer.json["error"]["code"]) == (503, code) and int(answer.header("Retry-After")) > 0
    busy.close()


class Erratic:
    """An answer of any kind, chosen by chance, which ends in any way, or never."""

    def __init__(self, chance):
        self.chance = chance

    def __call__(self, request):
        kind = self.chance.random()
        if kind < 0.1:
            yield from single({"error": "no"}, "500 Internal Server Error")
            return
        if kind < 0.15:
            yield CLOSE
            return
        yield head()
        for nth in range(self.chance.randrange(60)):
            yield chunk(line(f"{nth}" + "x" * self.chance.choice([1, 100, 5000])))
            time.sleep(self.chance.choice([0, 0, 0.001, 0.01]))  # a backend has a pace
        yield from self.chance.choice([[chunk(LAST), END], [chunk(LAST), END], [RESET], [END], [HANG]])


@pytest.mark.limit(60)
def test_a_storm_of_listeners_leaves_nothing_r4_6(sidecar, optimizer):
    """Clients of four requests come, hear a part or all, slowly or not, and leave; each that is served to a clean end has heard the same as others of that
    answer; nothing is under way, open or held afterwards."""
    chance = random.Random(1)
    backend = optimizer(play=Erratic(chance), heartbeat_after="20ms", heartbeat_interval="100ms", share_buffer="8K", share_stall="50ms")
    heard, faults = {}, []

    def come(seed):
        mine = random.Random(seed)
        try:
            client = sidecar.connect(timeout=3)
            client.send("POST", PATH, {**CHAT, "stream": mine.random() < 0.8, "user": str(mine.randrange(2))})
            if mine.random() < 0.2:
                time.sleep(mine.random() / 50)  # leaves without a word heard
                client.close()
                return
            answer, data, most, until_s = client.receive(), b"", mine.choice([1, 10000, 1 << 30]), time.monotonic() + 1
            for _, piece in answer.pieces():
                data += piece
                if len(data) > most or time.monotonic() > until_s:  # of one that hangs there are heartbeats alone
                    client.close()
                    return
                time.sleep(mine.choice([0, 0, 0, 0.002]))
            if answer.clean and answer.status == 200 and b"chat.completion.chunk" in data:
                data = data.replace(b": ping\n", b"")
                mark = data.split(b'"id":"', 1)[1].split(b'"')[0]
                if heard.setdefault(mark, data) != data or not data.endswith(b"[DONE]\n\n"):
                    faults.append((heard[mark], data))
            client.close()
        except (OSError, EOFError, ValueError):
            pass  # it broke

    for wave in range(6):
        clients = [Background(come, wave * 100 + nth) for nth in range(40)]
        for client in clients:
            client.result(20)
    assert not faults and heard and len(backend.requests) < 240
    until(lambda: sidecar.health()["requests"]["in_flight"] == 0, 5, "nothing under way", sidecar.process.tail)
    assert sidecar.health()["requests"]["held"] == 0
    until(lambda: descriptors(sidecar.process.pid) < 40, 5, "descriptors are given back")
    assert sidecar.process.stop() == 0
