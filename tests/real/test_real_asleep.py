"""What is told of a real Ollama while it sleeps is byte by byte what it says while it is awake."""
import pytest

from said import said
from waiting import until

pytestmark = pytest.mark.limit(90)

PATHS = ("/", "/api/version", "/api/tags", "/api/ps", "/v1/models", "/v1/models/tiny", "/v1/models/TINY:latest")
SHOWS = ({"model": "tiny"}, {"model": "tiny", "verbose": True}, {"name": "library/Tiny:latest"})


def all_said(sidecar):
    """By what was asked; and by whom it was answered."""
    answers = {path: sidecar.ask("GET", path) for path in PATHS}
    answers |= {str(body): sidecar.ask("POST", "/api/show", body) for body in SHOWS}
    return {key: said(answer) for key, answer in answers.items()}, {answer.header("X-Sidecar-State") for answer in answers.values()}


def wait_asleep(sidecar, count):
    until(lambda: len(sidecar.process.logged(r" exited program=ollama")) == count, 40, "Ollama's end", sidecar.process.tail)
    sidecar.wait_health(lambda health: health["state"] == "asleep")


def runs_n(sidecar):
    return len(sidecar.process.logged(r" exec program=ollama "))


def test_reads_are_the_same_asleep_and_awake_and_wake_nobody(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="2s")
    sidecar.start()
    sidecar.wait_ready()
    awake, by = all_said(sidecar)
    assert by == {None} and {status for status, _, _ in awake.values()} == {200}
    assert sidecar.generate("tiny", options={"num_predict": 2}).status == 200
    wait_asleep(sidecar, 1)
    asleep, by = all_said(sidecar)
    assert by == {"asleep"}
    for key, answer in awake.items():  # /api/ps too: nothing was loaded when it was asked
        assert asleep[key] == answer, key
    assert runs_n(sidecar) == 1
    assert sidecar.generate("tiny", options={"num_predict": 2}).status == 200
    assert [model["name"] for model in sidecar.ask("GET", "/api/ps").json["models"]] == ["tiny:latest"]
    assert runs_n(sidecar) == 2


def test_a_copy_is_told_in_the_next_sleep_and_what_is_deleted_is_not(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="2s")
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.ask("POST", "/api/copy", {"source": "tiny", "destination": "who/copy:v1"}).status == 200
    try:
        assert sidecar.ask("POST", "/api/show", {"model": "who/copy:v1"}).status == 200
        wait_asleep(sidecar, 1)
        names = {model["name"] for model in sidecar.ask("GET", "/api/tags").json["models"]}
        assert names == {"tiny:latest", "who/copy:v1"}
        for name in ("who/copy:v1", "who%2Fcopy:v1"):
            answer = sidecar.ask("GET", f"/v1/models/{name}")
            assert (answer.status, answer.json["id"], answer.json["owned_by"]) == (200, "who/copy:v1", "who")
        assert sidecar.ask("POST", "/api/show", {"model": "who/copy:v1"}).header("X-Sidecar-State") == "asleep"
        assert runs_n(sidecar) == 1
    finally:
        assert sidecar.ask("DELETE", "/api/delete", {"model": "who/copy:v1"}, timeout=20).status == 200
    wait_asleep(sidecar, 2)
    assert {model["name"] for model in sidecar.ask("GET", "/api/tags").json["models"]} == {"tiny:latest"}
    assert sidecar.ask("GET", "/v1/models/who/copy:v1").status == 404 and runs_n(sidecar) == 2
    assert sidecar.ask("POST", "/api/show", {"model": "who/copy:v1"}, timeout=20).status == 404  # by Ollama itself
    assert runs_n(sidecar) == 3


@pytest.mark.parametrize("body", [b'{"model":"tiny\\u0000"}', b'{"model":"tiny","name":5}', b'{"model":"tiny","verbose":true,"verbose":null}',
                                  b'{"model":"tiny","system":"x","system":null}'])
def test_a_show_that_go_reads_in_its_own_way_is_left_to_ollama(sidecar, body):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="2s")
    sidecar.start()
    sidecar.wait_ready()
    for known in SHOWS:
        assert sidecar.ask("POST", "/api/show", known).status == 200
    awake = said(sidecar.ask("POST", "/api/show", body))
    wait_asleep(sidecar, 1)
    assert said(sidecar.ask("POST", "/api/show", body, timeout=20)) == awake


def test_a_model_that_is_not_there_is_told_in_the_same_words_and_so_is_what_is_no_name(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="2s")
    sidecar.start()
    sidecar.wait_ready()
    awake = {name: said(sidecar.ask("GET", f"/v1/models/{name}")) for name in ("nosuch", "no@such")}
    wait_asleep(sidecar, 1)
    for name, told in awake.items():
        assert said(sidecar.ask("GET", f"/v1/models/{name}")) == told and told[0] == 404 and runs_n(sidecar) == 1
