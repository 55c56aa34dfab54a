"""What a child is started as: user, groups, limits, folders, environment, secrets; supervisors.md scenarios 60, 63, 64."""
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from process import Process
from sidecar import program
from waiting import until

NOBODY = 65534
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")

REPORT = """
import json, os, resource, signal, sys, time
def asked(*_):
    open(sys.argv[1] + ".asked", "w").close()
    os._exit(0)
signal.signal(signal.SIGTERM, asked)
mask = os.umask(0)
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
said = {"uid": os.getresuid(), "gid": os.getresgid(), "groups": sorted(os.getgroups()), "umask": mask,
        "nice": os.nice(0), "no_new_privileges": status["NoNewPrivs"].strip(),
        "oom": open("/proc/self/oom_score_adj").read().strip(), "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
        "core": resource.getrlimit(resource.RLIMIT_CORE), "cwd": os.readlink("/proc/self/cwd"), "pid": os.getpid(),
        "env": dict(os.environ)}
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(said, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(1000)
"""


@pytest.fixture
def reporter(sidecar):
    """report(name, **rows) adds a program; said(name, since=pid) is what it said when it was last started."""
    os.chmod(sidecar.directory, 0o777)
    sidecar.write("report.py", REPORT)

    def report(name, **rows):
        path = os.path.join(sidecar.directory, f"{name}.json")
        command = f"python3 {sidecar.directory}/report.py {path}"
        sidecar.configure(f"program:{name}", **{"command": command, "required": "no", **rows})

    def said(name, other_than=0):
        path = os.path.join(sidecar.directory, f"{name}.json")

        def look():
            if not os.path.exists(path):
                return None
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
            return found if found["pid"] != other_than else None

        return until(look, 10, f"the report of {name}", sidecar.process.tail)

    report.said = said
    return report


def uids(pid: int) -> set:
    """The user ids of a process."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return {int(uid) for line in file if line.startswith("Uid:") for uid in line.split()[1:]}


def state_of(sidecar, name: str) -> dict:
    """The row of a program in `sidecarctl status`."""
    run = sidecar.ctl("--json", "status")
    assert run.returncode == 0, run.stderr
    return next(row for row in json.loads(run.stdout)["programs"] if row["name"] == name)


def must_reach_our_programs():
    """Another user can execute what was built here, or the test can't be made."""
    tried = subprocess.run([program("ollama-proxy"), "--version"], user=NOBODY, group=NOBODY, extra_groups=[],
                           capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("the folder of the build is closed to other users")


# ---- user, groups, limits ----

@ROOT
def test_a_program_is_started_as_its_rows_say(sidecar, reporter):
    reporter("all", user="nobody:daemon", groups="mail, 4321", umask="027", nice="5", oom_score_adj="300",
             no_new_privileges="yes", limits="nofile=300:400, core=0", directory="sub")
    reporter("none")
    os.mkdir(os.path.join(sidecar.directory, "sub"))
    sidecar.env.update(USER="root", LOGNAME="root", SHELL="/bin/zsh", MAIL="/var/mail/root", XDG_RUNTIME_DIR="/run/user/0")
    sidecar.boot()
    said = reporter.said("all")
    assert said["uid"] == [NOBODY] * 3 and said["gid"] == [1] * 3 and said["groups"] == [8, 4321]
    assert said["umask"] == 0o027 and said["nice"] == 5 and said["oom"] == "300" and said["no_new_privileges"] == "1"
    assert said["nofile"] == [300, 400] and said["core"] == [0, 0]
    assert said["cwd"] == os.path.join(sidecar.directory, "sub")
    env = said["env"]
    assert (env["HOME"], env["USER"], env["LOGNAME"]) == ("/nonexistent", "nobody", "nobody")
    assert env["SHELL"] == "/usr/sbin/nologin" and "MAIL" not in env and "XDG_RUNTIME_DIR" not in env
    plain = reporter.said("none")
    assert plain["uid"] == [0] * 3 and plain["nice"] == 0 and plain["no_new_privileges"] == "0"
    assert plain["env"]["HOME"] == sidecar.directory and plain["env"]["SHELL"] == "/bin/zsh"
    assert sidecar.ctl("stop", "all").returncode == 0  # root may still signal it
    until(lambda: os.path.exists(os.path.join(sidecar.directory, "all.json.asked")), 5, "it was asked to stop")


def test_every_mistake_is_told_at_once(sidecar):
    """Scenario 64: nothing is started."""
    sidecar.configure("program:x", command="sleep 1000", user="no-such-user", groups="no-such-group", umask="9",
                      oom_score_adj="5000", limits="nofiles=5, core=2:1", env_file="missing.env", nice="40")
    sidecar.write_ini()
    with open(sidecar.ini, encoding="utf-8") as file:
        lines = {line.split(" = ")[0]: number for number, line in enumerate(file, 1)}
    for args in (["--check"], []):
        run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, *args)
        assert run.returncode == 100
        for key, what in (("user", 'there is no user "no-such-user"'), ("umask", "octal"), ("nice", "out of range"),
                          ("groups", 'there is no group "no-such-group"'), ("oom_score_adj", "out of range"),
                          ("limits", 'there is no limit "nofiles"; did you mean nofile?'),
                          ("limits", "the soft limit is above the hard one"), ("env_file", "missing.env can't be read")):
            told = [line for line in run.stderr.splitlines() if line.startswith(f"{sidecar.ini}:{lines[key]}: ") and what in line]
            assert told, f"{key}: {what}\n{run.stderr}"
        assert not sidecar.backend.journal("started")


@ROOT
def test_a_step_that_fails_is_told(sidecar, reporter):
    """Scenario 64: the service is not started, with a clear reason in status and in the log."""
    os.mkdir(os.path.join(sidecar.directory, "closed"), 0o700)
    reporter("x", max_restarts="1", user="nobody", directory="closed")
    sidecar.boot(tokens=1)
    why = r"exit code 126: can't change to directory \S+/closed: Permission denied"
    sidecar.process.wait_log(rf"error supervisor state program=x from=\w+ to=failed .*reason=\"{why}")
    row = state_of(sidecar, "x")
    assert row["state"] == "failed" and "can't change to directory" in row["reason"]
    assert not os.path.exists(os.path.join(sidecar.directory, "x.json"))
    assert sidecar.generate().status == 200  # the others don't mind


@ROOT
@pytest.mark.parametrize("capability, rows, why", [
    ("setuid", {"user": "nobody"}, "user: we run as uid 0, gid 0, and may not change: that takes root, or CAP_SETUID"),
    ("setgid", {"groups": "none"}, "groups: we run as uid 0, and may not set groups"),
    ("sys_resource", {"limits": "nofile=2000000000"}, "limits: nofile: we may not go above our own hard limit"),
    ("sys_nice", {"nice": "-5"}, "nice: we may not go below 0"),
])
def test_root_without_a_capability(sidecar, capability, rows, why):
    """As in a container. Scenario 64."""
    if not shutil.which("setpriv"):
        pytest.skip("there is no setpriv")
    sidecar.configure("program:x", command="sleep 1000", **rows)
    sidecar.write_ini()
    run = subprocess.run(["setpriv", "--bounding-set", f"-{capability}", program("ollama-supervisor"), "-c", sidecar.ini, "--check"],
                         env=sidecar.environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 100 and f"[program:x] {why}" in run.stderr, run.stderr


@ROOT
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is missing")
def test_another_user_has_no_capability_of_ours(sidecar):
    """A supervisor that is not root and may change users, as by systemd's AmbientCapabilities=: who is nobody stays nobody."""
    powers = "+setuid,+setgid,+kill"
    path = os.path.join(sidecar.directory, "capabilities")
    os.chmod(sidecar.directory, 0o777)
    sidecar.alone()
    sidecar.script_program("status", f"grep ^Cap /proc/self/status >{path}.new && mv {path}.new {path}; exec sleep 1000",
                           user="nobody", required="no")
    sidecar.before = ["setpriv", "--reuid", "daemon", "--regid", "daemon", "--clear-groups", "--inh-caps", powers,
                      "--ambient-caps", powers]
    sidecar.start()
    until(lambda: os.path.exists(path), 10, "the capabilities of a program", sidecar.process.tail)
    with open(path, encoding="utf-8") as file:
        has = dict(line.split() for line in file)
    assert [has[kind + ":"] for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == ["0" * 16] * 4
    assert sidecar.stop() == 0


@ROOT
def test_a_changed_row_restarts_the_program_alone(sidecar, reporter):
    reporter("x", umask="022", user="nobody")
    reporter("y", umask="022")
    sidecar.boot(tokens=1)
    x, y = reporter.said("x"), reporter.said("y")
    reporter("x", umask="027", user="daemon")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    after = reporter.said("x", other_than=x["pid"])
    assert after["umask"] == 0o027 and after["uid"] == [1] * 3
    assert reporter.said("y")["pid"] == y["pid"] and os.path.exists(f"/proc/{y['pid']}")


@ROOT
def test_a_user_dies_with_the_supervisor(sidecar, reporter):
    reporter("x", user="nobody")
    sidecar.boot(tokens=1)
    reporter.said("x")
    sidecar.process.kill(signal.SIGKILL)
    until(lambda: os.path.exists(os.path.join(sidecar.directory, "x.json.asked")), 5, "SIGTERM for the child")
    until(lambda: not sidecar.programs(), 5, "the end of all the others")


@ROOT
def test_what_we_may_not_signal_is_told_once(sidecar):
    """The supervisor is nobody, and its child becomes root by a setuid program."""
    python = os.path.join(sidecar.directory, "python")
    shutil.copy(os.path.realpath(sys.executable), python)
    os.chmod(python, 0o4755)
    os.chmod(sidecar.directory, 0o777)
    sidecar.configure("program:x", command=f"{python} -c \"import os, time; os.setresuid(0, 0, 0); open('up', 'w'); time.sleep(1000)\"",
                      required="no", stop_timeout="300ms", directory=sidecar.directory)
    sidecar.write_ini()
    process = Process(["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", program("ollama-supervisor"),
                       "-c", sidecar.ini], sidecar.environment(), sidecar.directory)
    sidecar.processes.append(process)
    sidecar.process = process
    until(lambda: os.path.exists(os.path.join(sidecar.directory, "up")), 10, "the child, as root", process.tail)
    pid = sidecar.pid_of("x")
    if uids(pid) != {0}:
        pytest.skip("setuid programs have no effect in this folder")
    assert sidecar.ctl("stop", "x").returncode == 0
    process.wait_log(rf"warning supervisor signal_refused program=x pid={pid} signal=15 hint=")
    until(lambda: state_of(sidecar, "x")["state"] == "stopping", 5, "x to be stopping")
    os.kill(pid, signal.SIGKILL)
    process.wait_log(r"program=x from=stopping to=down")
    assert len(process.logged("signal_refused")) == 1


@ROOT
def test_what_we_may_not_signal_does_not_keep_us(sidecar):
    """Its child became root by a setuid program: it can't be stopped, but all else ends within the budget."""
    python = os.path.join(sidecar.directory, "python")
    shutil.copy(os.path.realpath(sys.executable), python)
    os.chmod(python, 0o4755)
    os.chmod(sidecar.directory, 0o777)
    sidecar.alone()
    sidecar.configure("supervisor", shutdown_timeout="1s")
    sidecar.configure("program:x", command=f"{python} -c \"import os, time; os.setresuid(0, 0, 0); open('up', 'w'); time.sleep(1000)\"",
                      required="no", directory=sidecar.directory)
    sidecar.before = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    sidecar.start()
    until(lambda: os.path.exists(os.path.join(sidecar.directory, "up")), 10, "the child, as root", sidecar.process.tail)
    pid = sidecar.pid_of("x")
    try:
        if uids(pid) != {0}:
            pytest.skip("setuid programs have no effect in this folder")
        sidecar.process.kill(signal.SIGTERM)
        assert sidecar.process.wait(5) == 0
    finally:
        os.kill(pid, signal.SIGKILL)


@ROOT
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is missing")
def test_who_may_change_users_must_be_able_to_stop_them(sidecar):
    """CAP_SETUID and CAP_SETGID without CAP_KILL would start what nobody could stop."""
    os.chmod(sidecar.directory, 0o777)
    sidecar.alone()
    sidecar.configure("program:x", command="sleep 1000", user="nobody", required="no")
    powers = "+setuid,+setgid"
    sidecar.before = ["setpriv", "--reuid", "daemon", "--regid", "daemon", "--clear-groups", "--inh-caps", powers,
                      "--ambient-caps", powers]
    sidecar.start()
    assert sidecar.process.wait(5) == 100
    assert sidecar.process.logged("CAP_KILL")


# ---- our own programs as somebody else ----

@ROOT
@pytest.mark.limit(40)
def test_proxy_and_preloader_as_nobody(sidecar):
    """Listeners, page, channel and notifications are descriptors or abstract: they work whoever one is. The ini file and
    the file of variables are closed to nobody, who takes them as the supervisor read them."""
    must_reach_our_programs()
    env_file = sidecar.write("closed.env", f"OLLAMA_HOST=127.0.0.1:{sidecar.backend.port}\nORIGIN=http://app.example\n")
    os.chmod(env_file, 0o600)
    del sidecar.env["OLLAMA_HOST"]
    sidecar.configure("program:proxy", user="nobody")
    sidecar.configure("program:preload", user="nobody")
    sidecar.configure("program:ollama", env_file=env_file)
    sidecar.configure("supervisor", env_file=env_file)
    sidecar.configure("preload", models="b, c", file="unreadable")
    sidecar.configure("proxy", cors_origins="%(ENV_ORIGIN)s, %(ENV_HOME)s")
    sidecar.env["HOME"] = "http://home.example"  # not what nobody's HOME says
    sidecar.installed = ""
    sidecar.backend.script(tokens=3)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    held = sidecar.background("POST", "/api/generate", {"model": "b", "prompt": "x", "stream": False})
    assert held.result().json.get("response") == "t0 t1 t2 ", sidecar.process.tail()
    health = sidecar.wait_ready()
    assert sorted(health["models"]["ready"]) == ["b:latest", "c:latest"]
    proxy = sidecar.pid_of("proxy")
    assert uids(proxy) == {NOBODY} and uids(sidecar.pid_of("ollama")) == {0}
    sidecar.process.wait_log(r" preload_done ")
    for origin in ("http://app.example", "http://home.example"):
        answer = sidecar.ask("GET", "/api/tags", headers=[("Origin", origin)])
        assert answer.status == 200, origin
    assert sidecar.ask("GET", "/api/tags", headers=[("Origin", "http://other.example")]).status == 403
    assert sidecar.ctl("restart", "proxy").returncode == 0  # handed over, with the new one on the same sockets
    until(lambda: sidecar.pid_of("proxy") != proxy, 5, "another proxy")
    sidecar.process.wait_log(r" drained ")
    assert uids(sidecar.pid_of("proxy")) == {NOBODY}
    assert sidecar.generate(model="c").json["response"] == "t0 t1 t2 "
    os.unlink(sidecar.ini)  # and one that starts after the file is gone
    os.kill(sidecar.pid_of("proxy"), signal.SIGKILL)
    assert sidecar.generate(model="c").status == 200
    assert sidecar.stop() == 0


# ---- where things are ----

def test_the_supervisor_leaves_where_it_was_started(sidecar, reporter):
    """Scenario 60; a folder of a program is relative to the ini file."""
    os.mkdir(os.path.join(sidecar.directory, "sub"))
    reporter("here")
    reporter("there", directory="sub")
    sidecar.write("tool", "#!/bin/sh\nexec sleep 1000\n")
    os.chmod(os.path.join(sidecar.directory, "tool"), 0o755)
    sidecar.configure("program:tool", command="./tool", required="no")
    sidecar.write_ini()
    process = Process([program("ollama-supervisor"), "-c", "supervisor.ini"], sidecar.environment(), sidecar.directory)
    sidecar.processes.append(process)
    sidecar.process = process
    assert reporter.said("here")["cwd"] == sidecar.directory
    there = reporter.said("there")
    assert there["cwd"] == os.path.join(sidecar.directory, "sub")
    assert os.readlink(f"/proc/{process.pid}/cwd") == "/"
    process.wait_log(r"program=tool from=down to=ready")
    sidecar.configure("program:there", directory=".")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0  # the same file, though its path was relative
    assert reporter.said("there", other_than=there["pid"])["cwd"] == sidecar.directory
    assert os.readlink(f"/proc/{process.pid}/cwd") == "/"


def test_a_file_that_appears_where_we_were_started_is_read_by_a_reload(sidecar):
    """Without -c, ./supervisor.ini means the folder of the start, also later."""
    sidecar.env.update(SIDECAR_SUPERVISOR_CONTROL_SOCKET=sidecar.socket, SIDECAR_PRELOAD_MODELS="none",
                       SIDECAR_PROXY_LISTEN=f"127.0.0.1:{sidecar.port}")
    process = Process([program("ollama-supervisor")], sidecar.environment(), sidecar.directory)
    sidecar.processes.append(process)
    sidecar.process = process
    sidecar.wait_ready()
    sidecar.configure("program:more", command="sleep 1000")
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 0, run.stdout + run.stderr
    process.wait_log(r"program=more from=down to=ready")


# ---- environment and secrets ----

def test_values_arrive_as_they_were_written(sidecar, reporter):
    """Scenario 63."""
    sidecar.write("all.env", "FROM=all\nALL=100% $HOME `x` \\n\nQUOTED=\"a 'b' c\"\nEMPTY_ALL=\nexport SPACED=a  b\n")
    sidecar.write("x.env", "FROM=own\nOWN='$5 and 5%'\nPERCENT=%(ENV_HOME)s %%\n")
    sidecar.configure("supervisor", env_file="all.env")
    sidecar.configure("environment", INI="100%% $HOME \"q\" 'q'", EMPTY_INI="", EXPANDED="<%(ENV_GIVEN)s>",
                      DEFAULTED="%(ENV_NOT_SET:-50%%)s", GIVEN="loses")
    reporter("x", env_file="x.env", environment="LAST=a=b, FROM2=%%(no)s")
    sidecar.env.update(GIVEN='50% of $X "quoted"', EMPTY="")
    sidecar.boot(tokens=1)
    env = reporter.said("x")["env"]
    assert env["FROM"] == "own"
    assert env["ALL"] == "100% $HOME `x` \\n" and env["QUOTED"] == "a 'b' c" and env["SPACED"] == "a  b"
    assert env["OWN"] == "$5 and 5%" and env["PERCENT"] == "%(ENV_HOME)s %%"
    assert env["INI"] == "100% $HOME \"q\" 'q'" and env["EXPANDED"] == '<50% of $X "quoted">'
    assert env["GIVEN"] == '50% of $X "quoted"' and env["DEFAULTED"] == "50%%"
    assert env["LAST"] == "a=b" and env["FROM2"] == "%(no)s"
    assert env["EMPTY"] == env["EMPTY_ALL"] == env["EMPTY_INI"] == ""
    assert "NOT_SET" not in env and "NOTIFY_SOCKET" not in env
    assert "OWN" not in sidecar.backend.journal("started")[0]["env"]


def test_a_secret_by_its_file(sidecar, reporter):
    """Scenario 63: its exact value, for who is started only; nowhere else; and anew where it has changed."""
    secret = "hf_se%cret$with \"all\" 'of' it"
    path = sidecar.write("token", secret + "\n")
    os.chmod(path, 0o600)
    reporter("x")
    sidecar.env.update(HF_TOKEN_FILE=path, OLLAMA_API_KEY="given-directly", SIDECAR_SUPERVISOR_LOG_LEVEL="debug")
    sidecar.boot(tokens=1)
    first = reporter.said("x")
    assert first["env"]["HF_TOKEN"] == secret and "HF_TOKEN_FILE" not in first["env"]
    for run in (sidecar.ctl("dump"), sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--dump"), sidecar.ctl("status")):
        assert run.returncode == 0
        assert "hf_se" not in run.stdout + run.stderr and "given-directly" not in run.stdout + run.stderr
    assert "; OLLAMA_API_KEY=***" in sidecar.ctl("dump").stdout
    assert sidecar.ctl("reload").returncode == 0
    assert reporter.said("x")["pid"] == first["pid"]  # nothing has changed
    sidecar.write("token", "hf_another")
    assert sidecar.ctl("reload").returncode == 0
    assert reporter.said("x", other_than=first["pid"])["env"]["HF_TOKEN"] == "hf_another"
    os.unlink(path)
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and f"HF_TOKEN_FILE names {path}: it can't be read" in run.stdout + run.stderr
    sidecar.wait_ready()  # by the old one
    assert not sidecar.process.logged("hf_se|hf_another|given-directly")


@pytest.mark.parametrize("content, what", [
    (None, "it can't be read: No such file or directory"), ("\n", "it is empty"), (b"a\0b", "it has a NUL byte")])
def test_a_secret_that_is_none(sidecar, content, what):
    """Scenario 63: a missing file is a mistake, and nothing is started."""
    path = os.path.join(sidecar.directory, "token")
    if content is not None:
        sidecar.write("token", content)
    sidecar.env["OLLAMA_API_KEY_FILE"] = path
    sidecar.write_ini()
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert run.returncode == 100 and f"OLLAMA_API_KEY_FILE: error: OLLAMA_API_KEY_FILE names {path}: {what}" in run.stderr
    sidecar.write("token", "good")
    assert sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check").returncode == 0
    sidecar.env["OLLAMA_API_KEY"] = "too"
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert run.returncode == 100 and "OLLAMA_API_KEY and OLLAMA_API_KEY_FILE are both set" in run.stderr
