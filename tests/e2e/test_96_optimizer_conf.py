"""The optimizer's configuration: its mistakes, what is in force, a reload; the profile, the unit of systemd and the scrape job that come
with it."""
import os
import re

from sidecar import ROOT
from waiting import until

try:
    import yaml
except ImportError:
    yaml = None

PROFILE = os.path.join(ROOT, "deploy/profiles/optimizer.ini")
CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def text_of(name: str) -> str:
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def dumped(text: str) -> dict:
    """{section: {key: (value, where it comes from)}} of --dump."""
    found: dict = {}
    section = None
    for line in text.splitlines():
        header = re.fullmatch(r"\[(\S+)\]", line)
        pair = re.fullmatch(r"(\w+) = (.*?)  ; (.*)", line)
        if header:
            section = found.setdefault(header[1], {})
        elif pair and section is not None:
            section[pair[1]] = (pair[2], pair[3])
    return found


def values(section: dict, *but: str) -> dict:
    return {key: value for key, (value, _) in section.items() if key not in but}


def dump(sidecar, ini=None) -> dict:
    run = sidecar.run("ollama-supervisor", "-c", ini or sidecar.ini, "--dump")
    assert run.returncode == 0, run.stderr
    return dumped(run.stdout)


# ---- R4.2: all of it configurable ----

def test_r4_2_the_built_in_strategies_are_those_of_the_profile(sidecar):
    """And are there only where the optimizer is enabled."""
    sidecar.write_ini()
    assert not [name for name in dump(sidecar) if name.startswith("strategy:")]
    sidecar.configure("optimizer", enabled="yes")
    sidecar.write_ini()
    built_in, written = dump(sidecar), dump(sidecar, PROFILE)
    assert [name for name in built_in if name.startswith("strategy:")] == ["strategy:A", "strategy:B", "strategy:C"]
    for name in ("strategy:A", "strategy:B", "strategy:C"):
        assert values(built_in[name]) == values(written[name]), name
    assert built_in["strategy:C"]["map_model"] == ("qwen3:0.6b", "built in")
    assert values(built_in["optimizer"], "cache") == values(written["optimizer"], "cache")


def test_r4_2_every_mistake_is_told_at_the_start_and_by_check(sidecar):
    """With file and line, all at once; nothing is started."""
    sidecar.configure("optimizer", enabled="yes", cache="redis")
    sidecar.configure("strategy:short", max_tokens="99", model="m")
    sidecar.configure("strategy:long", min_tokens="50", map_model="m", options="num_ctx=2K")
    sidecar.write_ini()
    for args in (["--check"], []):
        run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, *args)
        assert run.returncode == 100, run
        for line, told in ((r"cache = redis", "redis needs [redis] url: set it, or write memory"),
                           (r"min_tokens = 50", "prompts of 50 tokens are those of [strategy:short] as well"),
                           (r"\[strategy:long\]", "[strategy:long] reduce_model: there is none"),
                           (r"options = num_ctx=2K", "the option num_ctx must be a number")):
            with open(sidecar.ini, encoding="utf-8") as file:
                number = next(i for i, text in enumerate(file, 1) if re.match(line, text))
            assert re.search(rf"supervisor.ini:{number}: error: .*{re.escape(told)}", run.stderr), (told, run.stderr)
        assert "4 mistakes; nothing was started" in run.stderr


def test_r4_2_what_is_doubtful_is_warned_of_and_starts(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.configure("strategy:only", min_tokens="100", max_tokens="1000", model="m")
    sidecar.write_ini()
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert run.returncode == 0
    assert "warning: [strategy:only] min_tokens: prompts of 0 to 99 tokens have no strategy" in run.stderr
    assert "warning: [strategy:only] max_tokens: prompts of more tokens have no strategy" in run.stderr
    sidecar.configure("optimizer", enabled="no")
    sidecar.write_ini()
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert run.returncode == 0 and "[strategy:only] has no effect without [optimizer] enabled = yes" in run.stderr


def test_r4_2_a_reload_puts_a_change_in_force_by_another_proxy(sidecar):
    """Ollama goes on; what is the same changes nothing; a mistake is refused."""
    sidecar.boot(tokens=1)
    ollama, proxy = sidecar.pid_of("ollama"), sidecar.pid_of("proxy")
    for section, keys in (("optimizer", {"enabled": "yes", "models": "auto"}), ("strategy:mine", {"model": "m"}), ("strategy:mine", {"workers": "2"}),
                          ("proxy", {"share_buffer": "64K"})):
        sidecar.configure(section, **keys)
        sidecar.write_ini()
        run = sidecar.ctl("reload")
        assert run.returncode == 0, run.stdout + run.stderr
        until(lambda before=proxy: sidecar.pid_of("proxy") != before, 10, f"another proxy after {section} {keys}", sidecar.process.tail)
        proxy = sidecar.pid_of("proxy")
        assert sidecar.ask("POST", "/v1/chat/completions", CHAT).status == 200  # a model that is not listed passes
    assert sidecar.ctl("reload").returncode == 0
    sidecar.configure("strategy:mine", chunk_tokens="no")
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and "[strategy:mine] chunk_tokens" in run.stdout + run.stderr
    assert sidecar.pid_of("proxy") == proxy and sidecar.pid_of("ollama") == ollama
    assert sidecar.ask("POST", "/v1/chat/completions", CHAT).status == 200
    assert sidecar.stop() == 0


def test_r4_2_variables_set_the_optimizer_and_win(sidecar):
    sidecar.configure("optimizer", enabled="no", system_budget="1000")
    sidecar.env |= {"SIDECAR_OPTIMIZER_ENABLED": "yes", "SIDECAR_OPTIMIZER_SYSTEM_BUDGET": "2000"}
    sidecar.write_ini()
    found = dump(sidecar)
    assert found["optimizer"]["enabled"] == ("yes", "SIDECAR_OPTIMIZER_ENABLED")
    assert found["optimizer"]["system_budget"] == ("2000", "SIDECAR_OPTIMIZER_SYSTEM_BUDGET")
    assert "strategy:C" in found


# ---- the profile ----

def test_r4_2_the_profile_says_what_its_owner_wants(sidecar):
    """Port, models, token ranges, context, workers, time limit, budget."""
    found = dump(sidecar, PROFILE)
    assert found["proxy"]["listen"][0] == "127.0.0.1:8512" and found["proxy"]["hold_timeout"][0] == "0"
    assert found["proxy"]["heartbeat"][0] == "comment"
    assert found["optimizer"]["enabled"][0] == "yes" and found["optimizer"]["system_budget"][0] == "8444"
    a, b, c = (values(found[f"strategy:{name}"]) for name in "ABC")
    assert (a["min_tokens"], a["max_tokens"], a["model"], a["tools"]) == ("0", "1999", "qwen3:4b", "native")
    assert (b["min_tokens"], b["max_tokens"], b["model"]) == ("2000", "6000", "qwen3:0.6b")
    assert (c["min_tokens"], c["max_tokens"], c["map_model"], c["reduce_model"], c["workers"]) == ("6001", "0", "qwen3:0.6b", "qwen3:4b", "4")
    for one in (a, b, c):
        assert one["options"] == "num_ctx=8192" and one["timeout"] == "1200s"
    preloaded = set(found["preload"]["models"][0].split(", "))
    assert preloaded == {"qwen3:4b", "qwen3:0.6b"} and preloaded | {"auto"} == set(found["optimizer"]["models"][0].split(", "))
    ini = text_of("deploy/profiles/optimizer.ini")
    slots = re.search(r"^OLLAMA_NUM_PARALLEL = (\d+)$", ini, re.M)
    assert slots and slots[1] == c["workers"], "as many slots as workers"
    assert re.search(r"^OLLAMA_HOST = 127\.0\.0\.1:8513$", ini, re.M), "beside another Ollama"


def test_the_profile_starts_as_it_is(sidecar):
    """With ports and folders of the test by variables; its models are there."""
    sidecar.env |= {"SIDECAR_PROXY_LISTEN": f"127.0.0.1:{sidecar.port}", "SIDECAR_SUPERVISOR_CONTROL_SOCKET": sidecar.socket,
                    "SIDECAR_SUPERVISOR_STATE_DIR": os.path.join(sidecar.directory, "state")}
    sidecar.ini, sidecar.installed = PROFILE, "qwen3:4b,qwen3:0.6b"
    sidecar.backend.script(tokens=1)
    sidecar.start(ini=False)
    assert set(sidecar.wait_ready()["models"]["ready"]) == {"qwen3:4b", "qwen3:0.6b"}
    assert sidecar.stop() == 0


# ---- the service of systemd, the scrape job ----

def directives(name: str) -> list:
    return [line for line in text_of(f"deploy/systemd/{name}.service").splitlines() if line and not line.startswith(("#", "["))]


def test_r4_8_the_unit_is_that_of_the_sidecar_with_its_own_name_and_profile():
    """Whatever is different is said here."""
    own, others = directives("llm-optimizer"), directives("ollama-sidecar")
    assert {"Type=notify", "Restart=always", "RestartSec=5s", "SyslogIdentifier=llm-optimizer",
            "ExecStart=/usr/local/bin/ollama-supervisor -c /etc/ollama-sidecar/optimizer.ini"} <= set(own)
    different = {line.split("=")[0] for line in set(own) ^ set(others)}
    assert different == {"Description", "Documentation", "ExecStart", "ExecReload", "Restart", "SyslogIdentifier", "RuntimeDirectory",
                         "StateDirectory", "Environment"}
    assert "OLLAMA_MODELS=%S/ollama-sidecar/models" in "\n".join(own), "no model is there twice"
    assert len(own) == len(others), "nothing is left out"


def test_r4_8_the_scrape_job_asks_the_profile_s_port(sidecar):
    """Every 15 s, for at most 10 s; as YAML too where a reader is there."""
    text = text_of("deploy/prometheus/llm-optimizer.yml")
    listen = dump(sidecar, PROFILE)["proxy"]["listen"][0]
    for line in ("job_name: llm-optimizer", "scrape_interval: 15s", "scrape_timeout: 10s", "metrics_path: /metrics", f'targets: ["{listen}"]'):
        assert re.search(rf"^ +(- )?{re.escape(line)}$", text, re.M), line
    if not yaml:
        return
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job == {"job_name": "llm-optimizer", "scrape_interval": "15s", "scrape_timeout": "10s", "metrics_path": "/metrics",
                   "static_configs": [{"targets": [listen]}]}
    with_key = yaml.safe_load(re.sub(r"^    # (authorization:|  credentials_file:)", r"    \1", text, flags=re.M))["scrape_configs"][0]
    assert with_key["authorization"] == {"credentials_file": "/etc/prometheus/llm-optimizer.key"}
