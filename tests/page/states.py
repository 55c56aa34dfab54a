"""What GET /sidecar/status may tell: for pictures that are hard to reach."""

RIGHTS = {"inference": True, "observe": True, "manage": True, "key": None, "why": None}
LOOK_ONLY = {**RIGHTS, "manage": False, "why": "[proxy] manage_from = loopback permits changes from this machine alone"}
HOSTILE = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>&lt;b&gt;\u202e</td></table>${window.hacked=1}"


def health(state="ready", status="ok", **more):
    """GET /health."""
    return {"status": status, "state": state, "waiting_for": [], "models": {"ready": ["tiny"], "pulling": [], "loading": [], "failed": []}, "version": "0.1.0",
            "uptime_s": 7300, "requests": {"in_flight": 0, "held": 0, "queued": 0, "total": 40}, **more}


def program(name, state="ready", **more):
    """One that the supervisor runs."""
    return {"name": name, "state": state, "pid": 4711, "uptime_s": 7290, "restarts": 0, "required": True, "rss_bytes": 1_300_000_000, "cpu_ms": 83000, "processes": 2,
            "next_start_ms": None, "last_exit": "", "reason": "", "status": "", **more}


def supervisor(**more):
    """The control socket's `status`."""
    return {"version": "0.1.0", "pid": 1, "state": "running", "uptime_s": 7300, "listen": ["127.0.0.1:11434"], "backend": "http://127.0.0.1:11435",
            "sleep": {"state": "awake", "for_s": 320, "idle_timeout_s": 600, "doubled": 0, "awake_s": 5400, "asleep_s": 1900, "cold_starts": 3, "wakes": 2},
            "memory": {"limit_bytes": 2_000_000_000, "used_bytes": 1_430_000_000, "peak_bytes": 1_700_000_000, "oom_kills": 0, "source": "cgroup2"},
            "programs": [program("ollama"), program("proxy", rss_bytes=7_000_000, cpu_ms=900), program("preload", "exited", pid=0, uptime_s=0, rss_bytes=None, cpu_ms=None, last_exit="exit 0")],
            "boots": [{"cause": "start", "ago_s": 7300, "exec_ms": 12, "api_ms": 700, "models_ms": 900, "load_ms": 4200, "first_token_ms": 5600},
                      {"cause": "wake", "ago_s": 320, "exec_ms": 9, "api_ms": 610, "models_ms": None, "load_ms": 3900, "first_token_ms": None}],
            "trouble": None, "instances": [], **more}


def live(number=1, phase="streaming", **more):
    """A request under way."""
    return {"id": f"r{number}", "method": "POST", "path": "/api/chat", "model": "llama3.2:1b", "client": "10.0.0.7", "key": "team", "backend": None, "phase": phase, "phase_ms": 2300,
            "age_ms": 5100, "wait_ms": 0, "queue_ms": 0, "load_ms": 1900, "first_token_ms": 2800, "tokens": 17, "priority": 5, "place": None, **more}


def ended(number=1, how="done", **more):
    """One that has ended."""
    return {"id": f"e{number}", "at": "2025-06-01T10:11:12Z", "method": "POST", "path": "/v1/chat/completions", "model": "llama3.2:1b", "client": "10.0.0.7", "backend": None, "status": 200,
            "ended": how, "code": None, "error": None, "wait_ms": 900, "queue_ms": 300, "load_ms": 2600, "first_token_ms": 4700, "total_ms": 9100, "prompt_tokens": 210,
            "tokens": 88, "tokens_per_s": 20.1, **more}


def model(name="tiny", state="on disk", **more):
    """One that there is."""
    return {"name": name, "where": "ollama", "state": state, "size_bytes": 1_300_000_000, "memory_bytes": None, "vram_bytes": None, "expires_at": None, "completed": None, "total": None, "reason": None, **more}


def series():
    """Ten minutes."""
    return {"step_s": 5, "tokens": [i % 20 * 5 for i in range(120)], "requests": [i % 3 for i in range(120)], "errors": [int(i % 40 == 0) for i in range(120)],
            "first_token_ms": [None if i % 4 else 300 + i * 10 for i in range(120)], "in_flight": [i % 5 for i in range(120)], "held": [i % 2 for i in range(120)]}


def requests(alive=(), recent=(), **more):
    """Who is answered, and was."""
    return {"in_flight": len(alive), "held": 0, "queued": 0, "live": list(alive), "more": 0, "recent": list(recent), **more}


def error(what="ollama was killed for want of memory", **more):
    """One of the last errors."""
    return {"at": "2025-06-01T10:10:00Z", "from": "program", "what": what, "do": "give the machine more memory, or set OLLAMA_CONTEXT_LENGTH lower", "id": None, **more}


def status(**more):
    """All of it, at rest."""
    return {"version": "0.1.0", "at": "2025-06-01T10:12:00Z", "uptime_s": 7300, "rights": RIGHTS, "health": health(), "supervisor": supervisor(), "requests": requests(), "errors": [],
            "series": series(), "backends": [], "queue": {"waiting": 0, "by_priority": {}}, "models": [model()], "pulls": [], **more}


def full():
    """Much at once: what a picture has to hold."""
    return status(
        requests=requests([live(1), live(2, "held", model="llava:7b", tokens=0), live(3, "queued", place=2, tokens=0, client="2001:db8::17"), live(4, "loading", tokens=0)],
                          [ended(1), ended(2, "refused", status=429, error="requests_per_minute of the key team is 20", tokens=None, tokens_per_s=None, first_token_ms=None),
                           ended(3, "client_gone", total_ms=61000)], held=1, queued=1),
        errors=[error(), error("the client left after 61 s", **{"from": "request", "id": "e3", "do": None})],
        models=[model("llama3.2:1b", "loaded", memory_bytes=1_500_000_000, vram_bytes=0, expires_at="2025-06-01T10:17:00Z"), model("llava:7b", size_bytes=4_700_000_000),
                model("broken:1b", "failed", reason="the file is shorter than it should be"), model("gpt-4o-mini", "listed", where="cloud", size_bytes=None)],
        pulls=[{"model": "qwen3:4b", "status": "pulling", "completed": 900_000_000, "total": 2_600_000_000}],
        backends=[{"name": "one", "api": "ollama", "url": "http://10.0.0.1:11434", "state": "up", "slots": 1, "used": 1, "drained": False, "why": None,
                   "speeds": [{"model": "llama3.2:1b", "decode_per_s": 21.5}]},
                  {"name": "cloud", "api": "openai", "url": "https://api.example", "state": "down", "slots": 0, "used": 0, "why": "it does not answer"}],
        queue={"waiting": 1, "by_priority": {"5": 1}})


def hostile():
    """Whatever may be somebody else's text, is markup."""
    bad = HOSTILE
    return status(
        health=health(error=bad, waiting_for=[bad], models={"ready": [bad], "pulling": [{"name": bad, "completed": 1, "total": 2}], "loading": [bad], "failed": [{"name": bad, "reason": bad}]}),
        supervisor=supervisor(programs=[program(bad, bad, reason=bad, status=bad, last_exit=bad)], trouble={"ago_s": 1, "text": bad},
                              instances=[{"model": bad, "engine": bad, "state": bad, "pid": 1, "port": 1, "quantized": bad, "uptime_s": 1, "load_ms": 1, "rss_bytes": 1, "cpu_ms": 1, "reason": bad}],
                              boots=[{"cause": bad, "ago_s": 1, "exec_ms": 1, "api_ms": 2, "models_ms": 3, "load_ms": 4, "first_token_ms": 5}]),
        requests=requests([live(1, bad, id=bad, method=bad, path=bad, model=bad, client=bad, key=bad, backend=bad)],
                          [ended(1, bad, id=bad, at=bad, method=bad, path=bad, model=bad, client=bad, backend=bad, error=bad)]),
        errors=[error(bad, **{"from": bad, "do": bad, "id": bad, "at": bad})], models=[model(bad, "on disk", where=bad, reason=bad), model("m" + bad, bad)],
        pulls=[{"model": bad, "status": bad, "completed": 1, "total": 2}],
        backends=[{"name": bad, "api": bad, "url": bad, "state": bad, "slots": 1, "used": 1, "drained": False, "why": bad, "speeds": [{"model": bad, "decode_per_s": 1}]}])
