"""`ollama serve`: listeners, signals, one thread for each connection."""
import errno
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback

from . import VERSION, journal, routes, script, settings, store, wire

_lock = threading.Lock()
_connections: set = set()
_numbers = {"connection": 0, "request": 0}


def log(text: str) -> None:
    """A line in the style of Ollama's own log."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S") + ".000Z"
    print(f'time={moment} level=INFO source=standin msg="{text}"', file=sys.stderr, flush=True)


def _next(kind: str) -> int:
    with _lock:
        _numbers[kind] += 1
        return _numbers[kind]


def _bind(host: str, port: int) -> list:
    """Listening sockets for every address of host; SystemExit with Ollama's words where one is taken."""
    passive = "127.0.0.1" if host == "localhost" else host or None  # a minimal system has no /etc/hosts
    try:
        found = socket.getaddrinfo(passive, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise SystemExit(f"Error: listen tcp: lookup {host}: {error.strerror}") from error
    if host == "0.0.0.0" and socket.has_ipv6:  # Go listens on both families for it
        found = [(socket.AF_INET6, 0, 0, "", ("::", port, 0, 0))] + found
    listeners = []
    for family, _, _, _, address in found:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            dual = address[0] == "::"
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        try:
            sock.bind(address)
            sock.listen(1024)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE and not listeners:
                shown = f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
                raise SystemExit(f"Error: listen tcp {shown}: bind: address already in use") from error
            continue
        listeners.append(sock)
        if family == socket.AF_INET6 and address[0] == "::":
            break
    if not listeners:
        raise SystemExit(f"Error: listen tcp {host}:{port}: bind: cannot assign requested address")
    return listeners


def _crash_at_start(after: bool) -> None:
    """The scripted crash of the first processes; `after` tells on which side of bind() we are."""
    crash = script.read().get("crash_at_start")
    if not crash or bool(crash.get("after_s")) != after or script.bump("crash_at_start") >= crash.get("times", 1):
        return

    def end():
        time.sleep(crash.get("after_s", 0))
        journal.note("fault", what="crash_at_start")
        if "signal" in crash:
            os.kill(os.getpid(), getattr(signal, "SIG" + str(crash["signal"])))
            time.sleep(1)
        os._exit(crash.get("code", 1))

    threading.Thread(target=end, daemon=True).start() if after else end()


def _serve(sock, number: int, loopback: bool) -> None:
    """A connection's life."""
    conn = wire.Connection(sock, number)
    with _lock:
        _connections.add(conn)
    reset = False
    try:
        while True:
            request = conn.read_request()
            request.id = _next("request")
            journal.note("request", conn=conn.number, **request.facts())
            if not _answer(conn, loopback) or not request.keep_alive:
                break
    except wire.Drop as drop:
        reset = drop.reset
    except wire.BadRequest as error:
        try:
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                         b"Connection: close\r\n\r\n400 Bad Request: " + str(error).encode())
        except OSError:
            pass
    except (wire.ClientGone, OSError, ValueError):
        pass
    except Exception:  # a mistake of ours must be seen, and must not take the process along
        traceback.print_exc()
    finally:
        with _lock:
            _connections.discard(conn)
        conn.close(reset)
        journal.note("closed", conn=conn.number)


def _answer(conn, loopback: bool) -> bool:
    """Answer one request; False when the client did not wait for it."""
    began, request = time.monotonic(), conn.request
    try:
        routes.dispatch(conn, loopback)
    except wire.ClientGone:
        is_read = request.method != "POST" or request.path == "/api/show"
        journal.note("read_left" if is_read else "cancelled", id=request.id, tokens=conn.tokens)
        return False
    journal.note("answered", id=request.id, status=conn.status)
    print(f"[GIN] {time.strftime('%Y/%m/%d - %H:%M:%S')} | {conn.status} | {time.monotonic() - began:.6f}s | "
          f'{request.method} "{request.path}"', flush=True)
    return True


def _stop(number: int) -> None:
    """Close everything at once and go, as Ollama does."""
    journal.note("stopping", signal=signal.Signals(number).name)
    log("stand-in is stopping")
    for conn in list(_connections):
        try:
            conn.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    os._exit(0)


def _on_signal(number, _frame) -> None:
    if script.read().get("ignore_term"):
        journal.note("term_ignored", signal=signal.Signals(number).name)
    else:
        _stop(number)


def serve() -> int:
    """Until a signal."""
    journal.open_journal()
    environment = {name: value for name, value in os.environ.items() if name.startswith("OLLAMA_")}
    journal.note("started", argv=sys.argv, env=environment)
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    time.sleep(script.read().get("start_delay_s", 0))
    _crash_at_start(after=False)
    host, port = settings.host()
    listeners = _bind(host, port)
    store.prune()
    for text in filter(None, (text.strip() for text in os.environ.get("STANDIN_MODELS", "").split(","))):
        store.install(text)
    threading.stack_size(512 << 10)
    log("THIS IS A STAND-IN FOR OLLAMA: it runs no model, its words are canned")
    shown = listeners[0].getsockname()
    log(f"Listening on {f'[{shown[0]}]' if ':' in shown[0] else shown[0]}:{shown[1]} (version {VERSION})")
    journal.note("listening", host=shown[0], port=shown[1])
    _crash_at_start(after=True)
    loopback = shown[0] in ("127.0.0.1", "::1")
    poll = select.poll()
    for listener in listeners:
        listener.setblocking(False)
        poll.register(listener, select.POLLIN)
    by_fd = {listener.fileno(): listener for listener in listeners}
    signaled, wake = socket.socketpair()  # a signal that comes right before poll() would be seen behind the next connection only
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    poll.register(signaled, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == signaled.fileno():
                signaled.recv(64)
                continue
            try:
                sock, peer = by_fd[fd].accept()
            except OSError:
                continue
            sock.setblocking(True)
            number = _next("connection")
            journal.note("connected", conn=number, peer=str(peer[:2]))
            threading.Thread(target=_serve, args=(sock, number, loopback), daemon=True).start()
