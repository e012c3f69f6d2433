"""A web server on this machine that can be told to behave badly."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    method: str
    path: str
    range: str | None
    if_range: str | None


@dataclass
class Behaviour:
    """What is served, and how.

    Lists are used up, one entry for each answer with a body, and then all is well again.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    validator: str | None = "ETag"
    weak: bool = False
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    content_range: str | None = None
    length: str | None = "true"
    redirects: dict[str, str] = field(default_factory=dict)
    stop_at: int | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    log: list[Asked] = field(default_factory=list)


class Loopback:
    """The server: ``url`` leads to ``now``'s files."""

    def __init__(self) -> None:
        self.now = Behaviour()
        outer = self

        class Handler(_Handler):
            @property
            def now(self) -> Behaviour:
                return outer.now

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, files: dict[str, bytes], **behaviour: object) -> Behaviour:
        """Forget all that was; serve these files from now on."""
        self.now = Behaviour(dict(files), **behaviour)  # type: ignore[arg-type]
        return self.now


class _Handler(BaseHTTPRequestHandler):
    now: Behaviour
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        now, name = self.now, self.path.lstrip("/")
        now.log.append(
            Asked(self.command, name, self.headers.get("Range"), self.headers.get("If-Range"))
        )
        if name in now.redirects:
            self._head(302, {"Location": now.redirects[name], "Content-Length": "0"})
        elif now.statuses:
            self._head(now.statuses.pop(0), {"Content-Length": "0"})
        elif name not in now.files:
            self._head(404, {"Content-Length": "0"})
        else:
            self._send(now.files[name], body)

    def _send(self, data: bytes, body: bool) -> None:
        now, first = self.now, self._first(data)
        part = data[first:]
        length = str(len(part)) if now.length == "true" else now.length
        headers = {} if length is None else {"Content-Length": length}
        if now.validator:
            headers[now.validator] = ("W/" if now.weak else "") + _tag(data)
        if first and first >= len(data):
            self._head(416, {"Content-Range": f"bytes */{len(data)}"})
            return
        if first:
            true = f"bytes {first}-{len(data) - 1}/{len(data)}"
            headers["Content-Range"] = true if now.content_range is None else now.content_range
        self._head(206 if first else 200, headers)
        if not body:
            return
        if now.stop_at is not None:
            self.wfile.write(part[: now.stop_at])
            now.stopped.set()
            now.go_on.wait(180)
        else:
            self.wfile.write(part[: now.cuts.pop(0)] if now.cuts else part)

    def _first(self, data: bytes) -> int:
        """From which byte on to send: not from the beginning, if asked so and the file is the same."""
        asked = self.headers.get("Range")
        if asked is None or not self.now.ranges:
            return 0
        if self.headers.get("If-Range") not in (None, _tag(data)):
            return 0
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _tag(data: bytes) -> str:
    """Changes with the file; who compares it takes it as it is, so it stands for a date as well."""
    return f'"{hashlib.sha1(data).hexdigest()}"'


@contextmanager
def loopback() -> Iterator[Loopback]:
    """A server that runs until the block ends."""
    one = Loopback()
    thread = threading.Thread(target=one.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.now.go_on.set()
        one.server.shutdown()
        one.server.server_close()
        thread.join()
