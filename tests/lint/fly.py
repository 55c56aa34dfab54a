"""The rule of fly.toml, for tests/lint/run: it has known keys of the right type only, and says what the image and fly.ini say.

Keys and types: https://fly.io/docs/reference/configuration and, for those of [http_options], https://fly.io/docs/machines/api.
A key that is not known there is ignored by a deployment, or ends it.
"""
import configparser
import json
import re

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

DURATION = "duration"  # seconds as a number, or text such as "15s"
TEXTS = {"*": str}
CHECK = {"interval": DURATION, "timeout": DURATION, "grace_period": DURATION}
HTTP_CHECK = {**CHECK, "method": str, "path": str, "protocol": str, "tls_skip_verify": bool, "tls_server_name": str, "headers": TEXTS}
MACHINE_CHECK = {"command": [str], "image": str, "entrypoint": [str], "kill_signal": str, "kill_timeout": DURATION}
CONCURRENCY = {"type": str, "soft_limit": int, "hard_limit": int}
HTTP_OPTIONS = {"compress": bool, "idle_timeout": int, "h2_backend": bool,
                "response": {"pristine": bool, "headers": {"*": (str, bool, list)}}}
PORT = {"port": int, "start_port": int, "end_port": int, "handlers": [str], "force_https": bool, "http_options": HTTP_OPTIONS,
        "tls_options": {"alpn": [str], "versions": [str], "default_self_signed": bool}, "proxy_proto_options": {"version": str}}
MACHINES = {"auto_stop_machines": (str, bool), "auto_start_machines": bool, "min_machines_running": int, "processes": [str],
            "internal_port": int, "concurrency": CONCURRENCY, "machine_checks": [MACHINE_CHECK]}
VM = {"size": str, "memory": (str, int), "cpus": int, "cpu_kind": str, "kernel_args": [str], "persist_rootfs": str,
      "host_dedication_id": str, "processes": [str]}
MOUNT = {"source": str, "destination": str, "initial_size": (str, int), "snapshot_retention": int, "scheduled_snapshots": bool,
         "auto_extend_size_threshold": int, "auto_extend_size_increment": str, "auto_extend_size_limit": str, "processes": [str]}
KNOWN = {
    "app": str, "primary_region": str, "kill_signal": str, "kill_timeout": DURATION, "swap_size_mb": int, "console_command": str,
    "build": {"dockerfile": str, "ignorefile": str, "image": str, "build-target": str, "args": TEXTS},
    "deploy": {"strategy": str, "max_unavailable": (int, float), "wait_timeout": DURATION, "release_command": str,
               "release_command_timeout": DURATION, "release_command_vm": VM},
    "env": TEXTS,
    "processes": TEXTS,
    "mounts": MOUNT,
    "http_service": {**MACHINES, "force_https": bool, "http_options": HTTP_OPTIONS, "checks": [HTTP_CHECK]},
    "services": [{**MACHINES, "protocol": str, "ports": [PORT], "tcp_checks": [CHECK], "http_checks": [HTTP_CHECK]}],
    "checks": {"*": {**HTTP_CHECK, "port": int, "type": str, "processes": [str]}},
    "files": [{"guest_path": str, "local_path": str, "secret_name": str, "raw_value": str, "processes": [str]}],
    "restart": [{"policy": str, "retries": int, "processes": [str]}],
    "vm": [VM],
    "metrics": [{"port": int, "path": str, "processes": [str]}],
    "statics": [{"guest_path": str, "url_prefix": str, "tigris_bucket": str, "index_document": str}],
}
UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(value):
    """A duration of fly.toml or of supervisor.ini; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    m = re.fullmatch(r"(\d+)(ms|s|m|h)", str(value))
    return int(m.group(1)) * UNITS_S[m.group(2)] if m else 0 if value == "0" else None


def judge(value, known, where, found):
    """Compares one value with what is known of its place."""
    if isinstance(known, dict):
        if not isinstance(value, dict):
            found(f"{where} is to be a section")
            return
        for key, part in value.items():
            if key in known or "*" in known:
                judge(part, known.get(key, known.get("*")), f"{where}.{key}" if where else key, found)
            else:
                found(f"{where + '.' if where else ''}{key} is no key that is known")
    elif isinstance(known, list):
        if not isinstance(value, list):
            found(f"{where} is to be a list" + (", written [[…]]" if isinstance(known[0], dict) else ""))
            return
        for part in value:
            judge(part, known[0], where, found)
    elif known == DURATION:
        if seconds(value) is None:
            found(f"{where} is to be a duration, such as 15 or \"15s\"")
    elif not isinstance(value, known) or (isinstance(value, bool) and known is int):
        names = " or ".join(kind.__name__ for kind in (known if isinstance(known, tuple) else (known,)))
        found(f"{where} is to be of type {names}")


class Settings:
    """A profile's values, with the table's defaults."""

    def __init__(self, profile: str, table: str):
        self._ini = configparser.ConfigParser(interpolation=None)
        self._ini.read_string(profile)
        self._table = table

    def __call__(self, section: str, key: str) -> str:
        default = re.search(rf'^PARAM\({section}, \w+, {key}, "([^"]*)"', self._table, re.M)
        return self._ini.get(section, key, fallback=default.group(1))


def compare(fly: dict, texts: dict, found):
    """Values that depend on each other. texts: {file of the repository: its text}."""
    service, mount = fly["services"][0], fly["mounts"]
    file, port, check = fly["files"][0], service["ports"][0], service["http_checks"][0]
    if file["local_path"] not in texts or fly["build"]["dockerfile"] not in texts:
        found("[[files]] and [build] name files that are not there; their paths start at the folder of fly.toml, a sub-folder too")
        return
    recipe = texts[fly["build"]["dockerfile"]]
    ini = Settings(texts[file["local_path"]], texts["common/conf_params.def"])
    entry = json.loads(re.findall(r"^ENTRYPOINT (\[.*\])", recipe, re.M)[-1])
    listens = ini("proxy", "listen")
    action, stops = ini("supervisor", "idle_action"), service["auto_stop_machines"]
    served_n = max(1, int(ini("proxy", "slots")))
    rules = (
        (file["guest_path"] == entry[entry.index("-c") + 1], "[[files]] does not replace the file that the image's ENTRYPOINT reads"),
        (f"EXPOSE {service['internal_port']}" in recipe, "internal_port is not what the image exposes"),
        (service["internal_port"] == port["port"] == int(fly["env"]["OLLAMA_HTTP_PORT"]), "internal_port, the port and OLLAMA_HTTP_PORT differ"),
        (listens == f"[::]:{service['internal_port']}", f"the profile listens on {listens}; Fly's proxy needs IPv4, APP.internal IPv6"),
        (fly["env"]["OLLAMA_MODEL_CACHE_DIR"] == mount["destination"], "OLLAMA_MODEL_CACHE_DIR is not where the volume is mounted"),
        (f"SIDECAR_SUPERVISOR_STATE_DIR={mount['destination']}/" in recipe, "state_dir of the image is not on the volume: nothing there outlives a stop"),
        (seconds(fly["kill_timeout"]) > seconds(ini("supervisor", "shutdown_timeout")), "kill_timeout is not above shutdown_timeout"),
        (seconds(fly["kill_timeout"]) <= 300, "kill_timeout is at most 300 s"),
        (fly["kill_signal"] in ("SIGTERM", "SIGINT"), "kill_signal is none that stops us in order"),
        (port["handlers"] == ["http"] and not port.get("force_https") and "tls_options" not in port, "Flycast has plain http alone"),
        (port["http_options"].get("compress") is False and ini("proxy", "stream_encoding") != "off", "streams would be gathered, to be compressed"),
        (port["http_options"]["idle_timeout"] < seconds(ini("proxy", "keepalive_timeout")), "Fly's proxy must be the first that closes an idle connection"),
        (service["concurrency"]["type"] == "requests", "concurrency is to be counted in requests"),
        (service["concurrency"]["hard_limit"] >= int(ini("proxy", "max_queue")) + served_n, "hard_limit is below max_queue and what is served: requests would wait at Fly's proxy"),
        (service["concurrency"]["soft_limit"] < service["concurrency"]["hard_limit"], "soft_limit is not below hard_limit"),
        (check["path"] == "/live" and '"/live"' in texts["proxy/route.c"], "the check is to ask /live: another one keeps requests away that we hold"),
        (service["auto_start_machines"] is True, "nothing would start the machine"),
        (service["min_machines_running"] == 0, "min_machines_running is to be 0"),
        (stops in (("stop", "off") if action == "exit" else ("suspend", "off")), f"auto_stop_machines = {stops} and idle_action = {action} do not go together"),
        ([part["policy"] for part in fly["restart"]] == ["on-failure"], "an idle exit would not stay stopped, or a failure would"),
        (action in ("exit", "suspend") and seconds(ini("supervisor", "idle_timeout")) > 0, "the profile would never stop the machine"),
    )
    for is_good, what in rules:
        if not is_good:
            found(what)


def findings_of(text: str, texts: dict) -> list:
    """All that is wrong with a fly.toml."""
    findings: list = []
    try:
        fly = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [f"it is no TOML: {error}"]
    judge(fly, KNOWN, "", findings.append)
    if not findings:
        try:
            compare(fly, texts, findings.append)
        except (KeyError, IndexError) as error:
            findings.append(f"{error} is missing")
    return findings


def check_fly(tree):
    """fly.toml, as `fly deploy` reads it."""
    text = tree.texts.get("fly.toml")
    if text is None or tomllib is None:
        return
    for what in findings_of(text, tree.texts):
        key = re.match(r"[\w.-]*?([\w-]+) ", what)
        line = re.search(rf"^\s*(?:\[+[\w.]*)?{re.escape(key.group(1))}\b", text, re.M) if key else None
        tree.found("fly", "fly.toml", text.count("\n", 0, line.start()) + 1 if line else 1, what)
