"""What stands between proxies and their Redis: slow, silent, talking nonsense, or leading to another one."""
import socket
import threading


class Gate:
    """Connections to `port` lead to the Redis of `to()`. `delay_s`: what comes back comes so much later; `nonsense`: it comes instead."""

    def __init__(self, to_port: int):
        self._to_port = to_port
        self.delay_s = 0.0
        self.nonsense = b""
        self._open = set()
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, port: int):
        """Another Redis has its name: connections that are there end."""
        self._to_port = port
        self.cut()

    def cut(self):
        """All connections end."""
        with self._turn:
            for one in self._open:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def end(self):
        """It is gone."""
        self._over.set()
        self._listener.close()
        self.cut()

    def _accept(self):
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._to_port))
            except OSError:
                client.close()
                continue
            with self._turn:
                self._open |= {client, server}
            threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source, sink, is_reply):
        try:
            while data := source.recv(1 << 16):
                if is_reply:
                    self._over.wait(self.delay_s)
                    data = self.nonsense or data
                sink.sendall(data)
        except OSError:
            pass
        with self._turn:
            self._open -= {source, sink}
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
