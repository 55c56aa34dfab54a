"""`docker run IMAGE ARGUMENTS`: serve, and Ollama's own commands, as in the official image; and what exec finds."""
import pytest

NO_MODELS = {"OLLAMA_PRELOAD_MODELS": "none"}


@pytest.mark.limit(60)
def test_serve_supervises_as_no_argument_does(shipped):
    box = shipped.run(env=NO_MODELS, args=("serve",))
    box.wait_ready()
    assert box.pid_of("proxy") and box.stop() == 0


@pytest.mark.limit(90)
def test_a_command_of_ollamas_against_another_container(shipped):
    """It runs alone, as Ollama's user, and its exit code is the container's."""
    server = shipped.run(env=NO_MODELS)
    server.wait_ready()
    host = {"OLLAMA_HOST": f"http://{server.ip}:11434"}
    pull = shipped.run(env=host, args=("pull", "m"))
    assert pull.wait(30) == 0, pull.process.tail()
    assert not pull.logged(r"supervisor (boot|exec)")
    listed = shipped.run(env=host, args=("list",))
    assert listed.wait(30) == 0 and listed.logged(r"^m:latest")
    missing = shipped.run(env=host, args=("show", "nothing-of-this-name"))
    assert missing.wait(30) == 1
    assert server.stop() == 0


@pytest.mark.limit(60)
def test_a_command_without_a_server_says_what_ollama_says(shipped):
    """As the official image: there is no server in a container of its own."""
    alone = shipped.run(args=("list",))
    assert alone.wait(30) == 1 and alone.logged("could not connect to ollama")
    wrong = shipped.run(args=("frobnicate",))
    assert wrong.wait(30) == 1


@pytest.mark.limit(60)
def test_any_program_by_two_dashes(shipped):
    """tini's part: PID 1 reaps, passes signals on, and the exit code is the command's."""
    box = shipped.run("--entrypoint", "ollama-supervisor", args=("--", "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 1 & wait; done"))
    box.wait_log("^up$")
    assert box.stop() == 7
    other = shipped.run("--entrypoint", "ollama-supervisor", args=("--", "no-such-command"))
    assert other.wait() == 127


@pytest.mark.limit(60)
@pytest.mark.parametrize("user", ["", "ollama", "12345:0"])
def test_exec_as_whoever(shipped, user):
    """`docker exec … ollama pull` comes through the proxy, whoever asks; sidecarctl tells its health to everybody."""
    box = shipped.run(env=NO_MODELS)
    box.wait_ready()
    pulled = box.exec("ollama", "pull", "m", user=user)
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert "m:latest" in box.exec("ollama", "list", user=user).stdout
    assert box.exec("sidecarctl", "health", user=user).returncode == 0
    status = box.exec("sidecarctl", "status", user=user)
    assert status.returncode == (111 if user else 0), status.stdout + status.stderr
    assert not user or "as the user that runs ollama-supervisor" in status.stderr
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_a_mistake_in_the_environment_ends_it_in_words(shipped):
    box = shipped.run(env={"SIDECAR_SUPERVISOR_IDLE_TIMEOUT": "soon"})
    assert box.wait() == 100
    assert box.logged("SIDECAR_SUPERVISOR_IDLE_TIMEOUT")
