"""containers.config.json: every mistake is told at the start, by --check and at a reload; the profile and .env.example, as they are shipped."""
import json
import os
import re
import subprocess

import ports
from containers import Containers
from sidecar import ROOT, program
from standin import PATH
from waiting import until

BROKEN = """[
  {"name": "a", "host": "10.0.0.7", "wieght": 2},
  {"name": "a", "host": "10.0.0.8"},
  {"name": "b", "url": "ftp://h", "slots": "two"},
  {"name": "c", "host": "127.0.0.1", "port": %d}
]
"""


def dump(ini: str, **environment) -> dict:
    """{key: value} of a file's [proxy], [redis], [preload] and [supervisor], as --dump has them."""
    done = subprocess.run([program("ollama-supervisor"), "-c", ini, "--dump"], text=True, capture_output=True, timeout=10, check=True,
                          env={"PATH": os.environ["PATH"], **environment})
    values, section = {}, ""
    for line in done.stdout.splitlines():
        if line.startswith("["):
            section = line[1:-1]
        elif re.match(r"[a-z_]+ = ", line):
            key, _, value = line.partition(" = ")
            values[f"{section}.{key}"] = value.split("  ; ")[0]
    return values


def test_r2_1_every_mistake_is_told_and_nothing_starts(sidecar):
    path = sidecar.write("containers.config.json", BROKEN % sidecar.port)
    sidecar.configure("proxy", containers="containers.config.json")
    sidecar.write_ini()
    for words in (["--check"], []):
        run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, *words)
        assert run.returncode == 100
        for line, told in ((2, 'unknown member "wieght"; did you mean weight?'), (3, "there is another backend of this name, in line 2"),
                           (4, "slots must be a number, and is a string"), (4, "[backend:b] url: write http://"),
                           (5, "[backend:c] url: this is one of our own listeners")):
            assert re.search(rf"^{re.escape(path)}:{line}: error: .*{re.escape(told)}", run.stderr, re.M), (told, run.stderr)
        assert "5 mistakes" in run.stderr, run.stderr
    assert not sidecar.programs()


def test_a_reload_with_a_mistake_changes_nothing(sidecar):
    fleet = Containers(sidecar, "a")
    fleet.start("a", installed="m")
    process = sidecar.start()
    process.wait_log(r" ready after_ms=")
    proxy = sidecar.pid_of("proxy")
    path = sidecar.write("containers.config.json", "[]")
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and f"{path}:1: error: column 1: the array is empty" in run.stdout + run.stderr, run
    assert sidecar.pid_of("proxy") == proxy and proxy in sidecar.process_children()
    os.remove(path)
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and f"[proxy] containers: {path} can't be read" in run.stdout + run.stderr, run
    assert sidecar.pid_of("proxy") == proxy and proxy in sidecar.process_children()
    fleet.write()
    assert sidecar.ctl("reload").returncode == 0
    assert sidecar.pid_of("proxy") == proxy  # nothing has changed
    assert sidecar.stop() == 0


def test_a_key_of_the_file_is_shown_nowhere(sidecar):
    Containers(sidecar, "a", key="sesame-0123456789")
    process = sidecar.start()
    process.wait_log(r" ready after_ms=")
    shown = sidecar.ctl("dump").stdout
    assert "[backend:a]" in shown and "sesame" not in shown and "sesame" not in process.tail()
    assert sidecar.stop() == 0


def test_c_6_the_balancers_profile():
    """Its row of the card: 0.0.0.0:3000, nothing when idle, the list on every backend, open."""
    profile = os.path.join(ROOT, "deploy/profiles/balancer.ini")
    values = dump(profile)
    assert values["proxy.listen"] == "0.0.0.0:3000" and values["proxy.open"] == "yes" and values["proxy.manage_from"] == "private"
    assert values["supervisor.idle_timeout"] == "0" and values["preload.targets"] == "all" and values["proxy.slots"] == "1"
    assert os.path.realpath(values["proxy.containers"]) == os.path.join(ROOT, "containers.config.json")
    assert values["program:ollama.autostart"] == "no" and values["redis.url"] == ""
    values = dump(profile, BALANCER_PORT="3333", OLLAMA_NUM_PARALLEL="4", REDIS_URL="redis://r:6379")
    assert (values["proxy.listen"], values["proxy.slots"], values["redis.url"]) == ("0.0.0.0:3333", "4", "redis://r:6379")


def test_r2_1_env_example_is_read_by_our_programs_and_by_compose(folder):
    """As the .env of a copy of the profile; each of its variables, those that are remarks too, is read by somebody."""
    with open(os.path.join(ROOT, ".env.example"), encoding="utf-8") as file:
        example = file.read()
    with open(os.path.join(ROOT, "deploy/profiles/balancer.ini"), encoding="utf-8") as file:
        profile = file.read()
    with open(os.path.join(ROOT, "deploy/compose/balancer.yaml"), encoding="utf-8") as file:
        compose = file.read()
    os.makedirs(os.path.join(folder, "deploy/profiles"))
    for name, text in (("deploy/profiles/balancer.ini", profile), ("containers.config.json", '[{"name": "a", "host": "h"}]'),
                       (".env", re.sub("^#([A-Z])", r"\1", example.replace("3000", "3777"), flags=re.M))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    values = dump(os.path.join(folder, "deploy/profiles/balancer.ini"))
    assert values["proxy.listen"] == "0.0.0.0:3777" and values["redis.url"] == "redis://127.0.0.1:6379"
    assert values["proxy.access_log"] == "json" and values["supervisor.log_level"] == "warning"
    names = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.M)
    assert names[0] == "COMPOSE_FILE" and len(names) > 5
    assert not [name for name in names[1:] if "${" + name not in compose]


def test_the_shipped_file_names_the_ollamas_of_compose():
    with open(os.path.join(ROOT, "containers.config.json"), encoding="utf-8") as file:
        entries = json.load(file)
    with open(os.path.join(ROOT, "deploy/compose/balancer.yaml"), encoding="utf-8") as file:
        services = re.findall(r"^  ([a-z0-9-]+):$", file.read(), re.M)
    assert [entry["host"] for entry in entries] == sorted({name for name in services if re.fullmatch(r"ollama-\d", name)})


def test_three_ollamas_serve_where_those_of_the_file_are_not_there(folder, sidecar):
    """What `make run PROFILE=balancer` starts then: they are programs of the supervisor, and end with it."""
    numbers = [str(ports.free()) for _ in range(3)]
    subprocess.run([os.path.join(ROOT, "scripts/three-ollamas"), folder, *numbers], check=True, timeout=10)
    sidecar.env.update({"BALANCER_PORT": str(sidecar.port), "PATH": PATH, "SIDECAR_SUPERVISOR_CONTROL_SOCKET": sidecar.socket,
                        "SIDECAR_SUPERVISOR_STATE_DIR": os.path.join(folder, "state"), "OLLAMA_MODELS": os.path.join(folder, "models")})
    del sidecar.env["OLLAMA_HOST"]
    sidecar.ini = os.path.join(folder, "supervisor.ini")
    process = sidecar.start(ini=False)
    for number in range(1, 4):
        process.wait_log(rf" state program=ollama-{number} from=starting to=ready", 10)
    with open(os.path.join(folder, "containers.config.json"), encoding="utf-8") as file:
        assert [str(entry["port"]) for entry in json.load(file)] == numbers
    assert sidecar.stop() == 0
    until(lambda: not sidecar.programs(), 5, "the end of all of them")
