"""A registry on this machine that has what a folder of models has, so that a real Ollama has something to pull.

https, as Ollama takes http only where a request says "insecure"; SSL_CERT_FILE (Go's crypto/x509) makes it trust the certificate.
Its blobs are elsewhere, under another name of this machine: Ollama 0.9.5 wants to be sent there (server/download.go).
"""
import http.server
import json
import os
import re
import ssl
import subprocess
import threading

PATH = re.compile(r"/v2/library/([\w.-]+)/(manifests|blobs)/([\w:.-]+)")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _file(self):
        """What is asked for as a file; None: it is not there."""
        match = PATH.fullmatch(self.path)
        if not match:
            return None
        name, kind, what = match.groups()
        below = ["blobs", what.replace(":", "-")] if kind == "blobs" else ["manifests", "registry.ollama.ai", "library", name, what]
        path = os.path.join(self.server.models, *below)
        return path if os.path.isfile(path) else None

    def _send(self, with_body: bool):
        path = self._file()
        self.server.seen.append((self.command, self.path))
        if with_body and "/blobs/" in self.path and self.headers["Host"].startswith("127."):
            self.send_response(307)
            self.send_header("Location", f"https://localhost:{self.server.server_port}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not path:
            body, status = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode(), 404
        else:
            with open(path, "rb") as file:
                body, status = file.read(), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if asked and status == 200:
            body, status = body[int(asked[1]):int(asked[2]) + 1], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def do_GET(self):
        """A manifest, or (a range of) a blob."""
        self._send(True)

    def do_HEAD(self):
        """How long it is."""
        self._send(False)


class Registry:
    """Serves the folder from its making until close()."""

    def __init__(self, models: str, directory: str):
        self.certificate = os.path.join(directory, "registry.pem")
        key = os.path.join(directory, "registry.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.models, self._server.seen = models, []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def seen(self) -> list:
        """(method, path) of each request."""
        return self._server.seen

    def name(self, model: str) -> str:
        """A model of this registry, as Ollama is asked for it."""
        return f"127.0.0.1:{self._server.server_port}/library/{model}"

    def close(self):
        """Refuses connections from now on."""
        self._server.shutdown()
        self._server.server_close()
