"""The API of a machine on a UNIX socket, as far as a machine asks it to be suspended; it answers as the test says."""
import os
import socket
import threading

from waiting import SLACK

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


def refusal(status: str, text: str) -> bytes:
    """An answer that is no yes."""
    body = b'{"error":"%s"}' % text.encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class MachineApi:
    """answer(connection, n) is called in a thread of its own for the n-th question, from 0 on, and closes the connection at its
    end; by default it says yes, and nothing happens."""

    def __init__(self, sidecar, answer=lambda connection, n: connection.sendall(OK)):
        self.path = os.path.join(sidecar.directory, "machine.sock")
        self.answer = answer
        self.questions: list = []  # each as bytes
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        sidecar.env.update(FLY_APP_NAME="my-app", FLY_MACHINE_ID="148ed123456789", SIDECAR_SUPERVISOR_SUSPEND_SOCKET=self.path)
        sidecar.configure("supervisor", idle_timeout="1s", idle_action="suspend")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(40 * SLACK)
        question = b""
        try:
            while b"\r\n\r\n" not in question:
                more = connection.recv(4096)
                if not more:
                    return
                question += more
            self.questions.append(question)
            self.answer(connection, len(self.questions) - 1)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self):
        """No more of it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
