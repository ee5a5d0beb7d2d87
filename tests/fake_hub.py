"""A Hub on loopback that answers just what huggingface_hub asks when it downloads a model."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = 10_000  # bytes from which a file is in the large-file storage: another host, reached by a redirect


@dataclass
class Repo:
    """A model repository with one commit on its main branch."""

    files: dict[str, bytes]
    sha: str = "a" * 40
    gated: bool = False  # like the Hub: everybody sees the listing, only a token gets the files


@dataclass
class FakeHub:
    """What the server serves, how it misbehaves, and what it was asked."""

    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    status: int = 0  # answer everything with this status
    login_page: bool = False  # answer everything with a page, as the network of a hotel does
    pause: float = 0.0  # seconds before each piece of a large file
    break_after: int = 0  # bytes of a large file after which the connection is cut
    mute: threading.Event = field(default_factory=threading.Event)  # while set: take requests and answer nothing
    url: str = ""
    storage_url: str = ""

    def served(self, method: str = "GET") -> list[str]:
        """The files whose content (or with HEAD: whose description) was asked for."""
        paths = [path for verb, path in self.requests if verb == method]
        return [m[1] for p in paths if (m := re.search(r"/(?:resolve|storage)/.*?([^/]+)$", p))]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.hub, self.path.split("?")[0]
        hub.requests.append((self.command, path))
        while hub.mute.is_set():
            time.sleep(0.02)
        if hub.status:
            return self._send(hub.status, b"{}")
        if hub.login_page:
            return self._send(200, b"<html>Welcome, please log in</html>")
        if found := re.fullmatch(r"/api/models/(.+?)(?:/(revision|tree)/([^/]+))?", path):
            return self._describe(found[1], found[2], found[3] or "main")
        if found := re.fullmatch(r"/(storage/)?(.+?)/resolve/([^/]+)/(.+)", path):
            return self._file(bool(found[1]), found[2], found[3], found[4])
        return self._send(404, b"{}")

    def _repo(self, hub_id: str, revision: str) -> Repo | None:
        repo = self.hub.repos.get(hub_id)
        if repo is None:
            # Without a token the Hub says 401 for what is not there, as for what is private.
            self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", repo.sha):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            repo = None
        return repo

    def _describe(self, hub_id: str, what: str | None, revision: str) -> None:
        if (repo := self._repo(hub_id, revision)) is None:
            return
        if what == "tree":
            listing: object = [
                {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()} for n, c in repo.files.items()
            ]
        else:
            siblings = [{"rfilename": n, "size": len(c)} for n, c in repo.files.items()]
            listing = {"id": hub_id, "modelId": hub_id, "sha": repo.sha, "siblings": siblings, "tags": []}
        self._send(200, json.dumps(listing).encode(), {"Content-Type": "application/json"})

    def _file(self, storage: bool, hub_id: str, revision: str, name: str) -> None:
        if (repo := self._repo(hub_id, revision)) is None:
            return None
        if repo.gated:
            return self._send(401, b"{}", {"X-Error-Code": "GatedRepo"})
        content = repo.files[name]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {"X-Repo-Commit": repo.sha, "ETag": etag, "Accept-Ranges": "bytes"}
        if len(content) >= LARGE and not storage:
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": etag}
            headers["Location"] = f"{self.hub.storage_url}/storage{self.path}"
            return self._send(302, b"moved", headers)
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self._send(206, content[start:], headers, slow=storage)
        return self._send(200, content, headers, slow=storage)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, slow: bool = False) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        hub, sent, piece = self.hub, 0, 32 * 1024
        try:
            while sent < len(body):
                if slow and hub.break_after and sent >= hub.break_after:
                    self.close_connection = True
                    return
                if slow:
                    time.sleep(hub.pause)
                    while hub.mute.is_set():
                        time.sleep(0.02)
                self.wfile.write(body[sent : sent + piece])
                sent += piece
        except OSError:  # the client went away, which is what a cancel looks like from here
            self.close_connection = True


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A running `FakeHub`, stopped at the end."""
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    port = server.server_address[1]
    # Two names of the same server: the client follows a redirect to another host differently from one on the same.
    hub.url, hub.storage_url = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.mute.clear()
        server.shutdown()
        server.server_close()
        thread.join()
