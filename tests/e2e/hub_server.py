"""A small Hugging Face hub for tests: repositories in memory, large files behind redirects to a second port as its CDN has them, and faults
by script. Also alone: `python3 hub_server.py --folder FOLDER --port PORT` serves FOLDER/ORG/NAME/... as repositories."""
import argparse
import dataclasses
import hashlib
import http.server
import json
import os
import re
import threading
import time
import urllib.parse

LFS_BYTES = 1000  # files of this size or more stand behind the redirect
CHUNK_BYTES = 16 * 1024


def git_oid(content: bytes) -> str:
    """What git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclasses.dataclass
class File:
    content: bytes
    is_lfs: bool

    @property
    def sha256(self):
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self):
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (self.sha256.encode(), len(self.content))

    @property
    def etag(self):
        """What its blob is called in the cache."""
        return self.sha256 if self.is_lfs else git_oid(self.content)

    def row(self, path):
        oid = git_oid(self.pointer if self.is_lfs else self.content)
        row = {"type": "file", "oid": oid, "size": len(self.content), "path": path}
        if self.is_lfs:
            row["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return row


@dataclasses.dataclass
class Repository:
    name: str
    commits: dict = dataclasses.field(default_factory=dict)  # revision -> {path: File}
    refs: dict = dataclasses.field(default_factory=dict)
    info: dict = dataclasses.field(default_factory=dict)     # members that its description has beside the usual ones
    rows: list = None        # the tree as it is told, in place of the true one
    is_gated: bool = False   # only readers may have its files
    is_private: bool = False # only readers know that it is there
    renamed_to: str = None


@dataclasses.dataclass
class Request:
    host: str  # hub or cdn
    method: str
    path: str
    headers: dict
    at: float

    @property
    def range(self):
        return self.headers.get("range")


@dataclasses.dataclass
class Fault:
    """What happens to a request whose path it matches, on one host or both, so many times (None: always)."""
    pattern: str
    host: str = None
    times: int = 1
    status: int = None       # answers so, with headers and body
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    cut_after: int = None    # ends the connection behind so many bytes of the body
    hold_after: int = None   # sends nothing more behind so many bytes, until release() or the client leaves
    slow_bytes_s: int = None
    ignores_range: bool = False
    is_corrupt: bool = False # one bit of the body is another one
    length: int = None       # Content-Length of a body that is longer or shorter
    is_chunked: bool = False # without a Content-Length
    when: object = None      # a condition on the Request
    taken_n: int = 0


class Hub:
    """Starts at once; close() ends it."""

    def __init__(self, port=0, page_n=1000):
        self.repositories, self.requests, self.faults = {}, [], []
        self.readers = {}  # token -> names of repositories, gated or private, that it may read
        self.page_n = page_n
        self.below = ""    # the path that its URL has
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.reached = threading.Event()  # a hold_after has come to its place
        self.servers = [_Server((("127.0.0.1"), at), host, self) for host, at in (("hub", port), ("cdn", 0))]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in self.servers)

    def close(self):
        self.released.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def commit(self, name, files, ref="main", lfs=None, **keys):
        """A commit of a repository, which is made where it is new; the commit's hash. lfs: paths; by default what is large."""
        repository = self.repositories.setdefault(name, Repository(name))
        for key, value in keys.items():
            setattr(repository, key, value)
        made = {path: File(content, path in lfs if lfs is not None else len(content) >= LFS_BYTES) for path, content in files.items()}
        text = name + ref + str(len(repository.commits)) + "".join(path + file.etag for path, file in sorted(made.items()))
        revision = hashlib.sha1(text.encode()).hexdigest()
        repository.commits[revision] = made
        repository.refs[ref] = revision
        return revision

    def fault(self, pattern, **keys):
        """The next requests whose path has this pattern go wrong."""
        fault = Fault(pattern, **keys)
        with self.lock:
            self.faults.append(fault)
        return fault

    def release(self):
        """What is held goes on."""
        self.released.set()

    def asked(self, pattern, method="GET", host=None):
        """The requests so far whose path has this pattern."""
        with self.lock:
            return [r for r in self.requests if r.method == method and re.search(pattern, r.path) and host in (None, r.host)]

    def take_fault(self, request):
        """The fault that this request meets, or None."""
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if (re.search(fault.pattern, request.path) and fault.host in (None, request.host) and
                        (fault.times is None or fault.taken_n < fault.times) and (not fault.when or fault.when(request))):
                    fault.taken_n += 1
                    return fault
        return None


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, host, hub):
        super().__init__(address, _Handler)
        self.host, self.hub = host, hub

    def handle_error(self, request, client_address):
        pass  # clients leave


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, host = self.server.hub, self.server.host
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fault = hub.take_fault(Request(host, self.command, self.path, headers, time.monotonic()))
        if self.fault and self.fault.status:
            return self.answer(self.fault.status, self.fault.headers, self.fault.body)
        path, _, query = self.path.partition("?")
        if host == "cdn":
            return self.blob(path)
        if not path.startswith(hub.below + "/"):
            return self.refuse(404, "", "Nobody is here.")
        path = path[len(hub.below):]
        m = re.fullmatch(r"/api/models/(.+?)/(revision|tree)/([^/]+)(?:/)?", path)
        if m:
            return self.api(m[1], m[2], urllib.parse.unquote(m[3]), urllib.parse.parse_qs(query))
        m = re.fullmatch(r"/api/models/([^/]+(?:/[^/]+)?)", path)
        if m:
            return self.api(m[1], "revision", "main", {})
        m = re.fullmatch(r"/([^/]+(?:/[^/]+)?)/resolve/([^/]+)/(.+)", path)
        if m:
            return self.resolve(*map(urllib.parse.unquote, m.groups()))
        return self.refuse(404, "", "Sorry, we can't find the page you are looking for.")

    # answers

    def refuse(self, status, code, message):
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        if code:
            headers["X-Error-Code"] = code
        self.answer(status, headers, json.dumps({"error": message}).encode())

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.fault and self.fault.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.send(body)

    def send(self, body):
        """The body, as the fault has it."""
        fault, sent = self.fault, 0
        while sent < len(body):
            n = min(CHUNK_BYTES, len(body) - sent)
            for limit in (fault.cut_after, fault.hold_after) if fault else ():
                if limit is not None and limit > sent:
                    n = min(n, limit - sent)
            if fault and fault.cut_after is not None and sent >= fault.cut_after:
                self.close_connection = True
                return
            if fault and fault.hold_after is not None and sent >= fault.hold_after and not self.server.hub.released.is_set():
                self.server.hub.reached.set()
                self.server.hub.released.wait(120)
            is_chunked = fault and fault.is_chunked
            self.wfile.write(b"%x\r\n%b\r\n" % (n, body[sent:sent + n]) if is_chunked else body[sent:sent + n])
            sent += n
            if fault and fault.slow_bytes_s:
                time.sleep(n / fault.slow_bytes_s)
        if fault and fault.is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    # who asks

    def token(self):
        kind, _, token = (self.headers.get("Authorization") or "").partition(" ")
        return token if kind == "Bearer" else None

    def repository(self, name):
        """It, or None where a refusal was sent."""
        hub, token = self.server.hub, self.token()
        repository = hub.repositories.get(name)
        may_read = token is not None and name in hub.readers.get(token, ())
        if token is not None and token not in hub.readers:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif repository is None or (repository.is_private and not may_read):
            self.refuse(404 if token else 401, "RepoNotFound", "Repository not found" if token else "Invalid username or password.")
        elif repository.renamed_to:
            self.answer(307, {"Location": self.path.replace(name, repository.renamed_to)})
        else:
            repository.may_read = may_read
            return repository
        return None

    def commit(self, repository, revision):
        revision = repository.refs.get(revision, revision)
        if revision not in repository.commits:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return revision

    # what is asked

    def api(self, name, what, revision, query):
        repository = self.repository(name)
        revision = repository and self.commit(repository, revision)
        if not revision:
            return
        rows = repository.rows if repository.rows is not None else [f.row(p) for p, f in sorted(repository.commits[revision].items())]
        if what == "revision":
            info = {"_id": "0" * 24, "id": name, "modelId": name, "sha": revision, "private": repository.is_private, "downloads": 0, "likes": 0,
                    "gated": "manual" if repository.is_gated else False, "disabled": False, "tags": [],
                    "siblings": [{"rfilename": row["path"]} for row in rows if isinstance(row, dict) and row.get("type") == "file"], **repository.info}
            return self.answer(200, {"Content-Type": "application/json"}, json.dumps(info).encode())
        page_n = self.server.hub.page_n
        first = int((query.get("cursor") or ["0"])[0])
        headers = {"Content-Type": "application/json"}
        if first + page_n < len(rows):
            at = f"{self.server.hub.url}{self.server.hub.below}/api/models/{name}/tree/{revision}?recursive=true&cursor={first + page_n}"
            headers["Link"] = f'<{at}>; rel="next"'
        self.answer(200, headers, json.dumps(rows[first:first + page_n]).encode())

    def resolve(self, name, revision, path):
        repository = self.repository(name)
        revision = repository and self.commit(repository, revision)
        if not revision:
            return
        if repository.is_gated and not repository.may_read:
            return self.refuse(403 if self.token() else 401, "GatedRepo",
                               f"Access to model {name} is restricted and you are not in the authorized list. Visit {self.server.hub.url}/{name} to ask for access.")
        file = repository.commits[revision].get(path)
        if file is None:
            return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": revision})
        headers = {"X-Repo-Commit": revision, "Accept-Ranges": "bytes"}
        if file.is_lfs:
            signed = f"{self.server.hub.cdn_url}/{file.sha256}?signature=secret"
            return self.answer(302, {**headers, "Location": signed, "X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.content)),
                                     "ETag": f'"{git_oid(file.pointer)}"'})
        self.range(file.content, {**headers, "ETag": f'"{file.etag}"'})

    def blob(self, path):
        for repository in self.server.hub.repositories.values():
            for commit in repository.commits.values():
                for file in commit.values():
                    if "/" + file.sha256 == path:
                        return self.range(file.content, {"ETag": f'"{hashlib.md5(file.content).hexdigest()}"', "Accept-Ranges": "bytes"})
        return self.answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")

    def range(self, content, headers):
        fault = self.fault
        if fault and fault.is_corrupt and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        m = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not m or (fault and fault.ignores_range):
            if fault and fault.length is not None:
                content = (content * 2)[:fault.length]
            return self.answer(200, headers, content)
        first = int(m[1])
        if first >= len(content):
            return self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
        self.answer(206, {**headers, "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}, content[first:])


def read_folder(hub, folder):
    """FOLDER/ORG/NAME/... as repositories."""
    for org in sorted(os.listdir(folder)):
        for name in sorted(os.listdir(os.path.join(folder, org))):
            top, files = os.path.join(folder, org, name), {}
            for at, _, names in os.walk(top):
                for file in names:
                    with open(os.path.join(at, file), "rb") as stream:
                        files[os.path.relpath(os.path.join(at, file), top)] = stream.read()
            hub.commit(f"{org}/{name}", files)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    hub = Hub(port=options.port)
    read_folder(hub, options.folder)
    print(f"ready {hub.url}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        hub.close()


if __name__ == "__main__":
    main()
