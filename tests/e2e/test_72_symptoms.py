"""docs/troubleshooting.md: what it says one sees is made to happen, and seen."""
import os
import re
import socket

import pytest

import test_57_memory
from sidecar import ROOT
from waiting import until

# Seen by other tests, which need control groups, a model's shape or a runner for it.
ELSEWHERE = {
    "… error supervisor oom_kill": "test_56_broken.py, test_07_memory.py",
    "… info ollama runner": "test_42_output.py",
    "… warning proxy memory_tight": "test_57_memory.py",
    "… warning supervisor control_elsewhere": "test_65_places.py",
}


def quoted():
    """The lines of the blocks of what our programs say."""
    with open(os.path.join(ROOT, "docs/troubleshooting.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```says\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def pattern(line):
    """… stands for anything, a number for any number, and any name of a file for another."""
    text = re.escape(line).replace("…", ".*").replace(re.escape("supervisor.ini"), r"\S*supervisor\.ini")
    return re.sub(r"\d+(?:\\?\.\d+)*", r"[\\d.]+", text)


def busy(sidecar):
    sidecar.configure("proxy", max_queue="0", slots="1")
    sidecar.boot("m", tokens=1000, token_delay_ms=20)
    with sidecar.connect() as first:
        stream = first.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        next(iter(stream.objects()))
        return sidecar.generate().body.decode()


def too_much_in_a_minute(sidecar):
    sidecar.configure("proxy", requests_per_minute="2")
    sidecar.boot("m")
    return [sidecar.generate().body.decode() for _ in range(3)][-1]


def too_large(sidecar):
    test_57_memory.boot(sidecar)
    return sidecar.generate(options=test_57_memory.LARGE).body.decode()


def a_client_that_leaves(sidecar):
    sidecar.configure("proxy", access_log="text")
    sidecar.boot("m", tokens=1, first_token_delay_ms=60000)
    with sidecar.connect() as client:
        client.send("POST", "/api/generate", {"model": "m", "prompt": "x"})
        sidecar.wait_health(lambda health: health["requests"]["in_flight"] > 0)
    sidecar.process.wait_log(" ended=client_gone ")


def half_an_answer(sidecar):
    sidecar.boot("m", tokens=20, crash_after_tokens=3)
    with sidecar.connect() as client:
        stream = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        told = "\n".join(str(line, "utf-8") for _, line in stream.lines())
    sidecar.process.wait_log(" answer_broken ")
    return told


def a_second_one(sidecar, **variables):
    """What a supervisor says that is started beside the first, with these in its environment."""
    sidecar.boot("m")
    sidecar.env.update(variables)
    assert sidecar.start(ini=False).wait() == 111


def a_port_that_is_taken(sidecar):
    a_second_one(sidecar, SIDECAR_PROXY_LISTEN=f"127.0.0.1:{sidecar.backend.port}", OLLAMA_HOST="127.0.0.1:1",
                 SIDECAR_SUPERVISOR_CONTROL_SOCKET=os.path.join(sidecar.directory, "second.sock"))


def a_control_socket_that_is_taken(sidecar):
    a_second_one(sidecar, SIDECAR_PROXY_LISTEN=f"127.0.0.2:{sidecar.port}", OLLAMA_HOST="127.0.0.1:1")


def a_volume_of_root_s(sidecar):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    models = os.path.join(sidecar.directory, "models")
    os.makedirs(os.path.join(models, "blobs"))
    sidecar.write("models/blobs/x", "")
    os.chmod(sidecar.directory, 0o755)
    sidecar.configure("program:ollama", user="nobody")
    sidecar.env["OLLAMA_MODELS"] = models
    sidecar.boot("m")


def a_volume_that_is_another_s(sidecar):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chmod(sidecar.directory, 0o755)
    sidecar.before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    sidecar.env["OLLAMA_MODELS"] = os.path.join(sidecar.directory, "models")
    sidecar.start()
    sidecar.process.wait_log(" models_failed path=")


def https(sidecar):
    sidecar.boot("m")
    with socket.create_connection(("127.0.0.1", sidecar.port)) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        client.recv(100)
    sidecar.process.wait_log(" tls_refused ")


def nobody_behind(sidecar):
    sidecar.configure("program:ollama", autostart="no")
    sidecar.configure("proxy", backend="http://127.0.0.1:9")
    sidecar.start()
    sidecar.process.wait_log(" proxy listening ")
    return sidecar.generate().body.decode()


def no_supervisor(sidecar):
    done = sidecar.ctl("status")
    assert done.returncode == 111
    return done.stderr


def a_model_that_is_not(sidecar):
    sidecar.configure("proxy", pull_missing="yes")
    sidecar.boot("m", pull_error="unknown_model")
    return sidecar.generate("nope").body.decode()


def pulls_that_fail(sidecar):
    sidecar.configure("preload", models="nope, full, net", retries="1")
    sidecar.backend.script(models={"nope": {"pull_error": "unknown_model"}, "full": {"pull_error": "disk_full"}, "net": {"pull_error": "dead_network"}})
    sidecar.start()
    sidecar.process.wait_log(" pull_retry ", 10)


def loads_that_fail(sidecar):
    sidecar.boot("m", load_fails="no memory")
    return "\n".join(sidecar.generate().body.decode() for _ in range(4))


def sleep(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="stop")
    sidecar.boot("m", tokens=1)
    told = sidecar.ctl("status").stdout
    sidecar.process.wait_log(" asleep ", 10)
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(" booted cause=wake", 10)
    return told


def no_ollama(sidecar):
    sidecar.env["PATH"] = "/nonexistent"
    gives_up(sidecar)


def an_ollama_that_dies(sidecar):
    sidecar.configure("program:ollama", command="sh -c 'echo Error: no >&2; exit 1'")
    gives_up(sidecar)


def gives_up(sidecar):
    sidecar.configure("program:ollama", max_restarts="1", backoff_min="1ms")
    sidecar.start()
    assert sidecar.process.wait() == 1


def a_list_that_is_required(sidecar):
    sidecar.configure("preload", models="nope", required="yes")
    sidecar.backend.script(pull_error="unknown_model")
    sidecar.start()
    assert sidecar.process.wait() == 1


def a_mistake(sidecar):
    sidecar.configure("supervisor", idle_timout="5m")
    sidecar.start()
    assert sidecar.process.wait() == 100


MADE = {
    a_client_that_leaves: ["… info proxy access id=…"],
    busy: ['{"error":"too many requests are waiting'],
    too_much_in_a_minute: ['{"error":"without a key an address may have'],
    too_large: ['{"error":"model requires more system memory'],
    half_an_answer: ['{"error":"the backend broke off', "… warning proxy answer_broken"],
    a_port_that_is_taken: ["… error supervisor listen_failed", "… error supervisor boot_failed"],
    a_control_socket_that_is_taken: ["… error supervisor control_failed"],
    a_volume_of_root_s: ["… warning supervisor models_kept", '… warning supervisor models_failed path="…/.ollama"'],
    a_volume_that_is_another_s: ['… warning supervisor models_failed path="…" error="Permission denied"', "… warning supervisor control_failed"],
    https: ["… warning proxy tls_refused"],
    nobody_behind: ['{"error":"the backend at …'],
    no_supervisor: ["sidecarctl: nobody answers"],
    a_model_that_is_not: ["{\"error\":\"model '…' is not installed"],
    pulls_that_fail: ["… error preload pull_failed model=… cause=unknown_model", "… error preload pull_failed model=… cause=disk_full",
                      "… warning preload pull_retry"],
    loads_that_fail: ["… warning proxy cooldown_begin", "{\"error\":\"model '…' could not be loaded"],
    sleep: ["sleeps when idle for", "… info supervisor asleep", "… info supervisor booted cause=wake"],
    no_ollama: ['… error supervisor required_failed program=ollama reason="ollama can'],
    an_ollama_that_dies: ['… error supervisor required_failed program=ollama reason="exit code'],
    a_list_that_is_required: ["… error supervisor required_failed program=preload"],
    a_mistake: ["supervisor.ini:4: error", "1 mistake; nothing was started"],
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_what_is_quoted_is_seen(sidecar, make):
    made = make(sidecar) or ""

    def told():
        return made + "\n" + (sidecar.process.tail(400) if sidecar.process else "")

    for beginning in MADE[make]:
        line = next(line for line in quoted() if line.startswith(beginning))
        until(lambda said=rf"^\s*(?:\S+: )?{pattern(line)}": re.search(said, told(), re.MULTILINE), 10, f"{line}, which is quoted,", told)


def test_every_line_that_is_quoted_is_seen_by_a_test():
    seen = [beginning for beginnings in MADE.values() for beginning in beginnings] + list(ELSEWHERE)
    assert len(quoted()) > 30 and not [line for line in quoted() if not line.startswith(tuple(seen))]
