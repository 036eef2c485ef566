"""What reading needs of S3's wire: objects, ranges, listings in pages, flat and by folder.

Real HTTP on loopback, any buckets, held in memory. A request must be signed: its header is asked
for, not verified. PAGE is small, so that a listing has pages.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 3
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass
class S3Server:
    url: str
    objects: dict[str, bytes] = field(default_factory=dict)  # by `bucket/key`
    requests: list[str] = field(default_factory=list)
    fails: bool = False  # answers 403 to everything
    modified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def environment(self) -> Mapping[str, str]:
        """What points an AWS client at it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    state = S3Server(f"http://127.0.0.1:{server.server_port}")
    server.state = state  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: S3Server = self.server.state  # type: ignore[attr-defined]
        path = urlsplit(self.path)
        name = unquote(path.path).lstrip("/")
        state.requests.append(self.path)
        query = {key: values[0] for key, values in parse_qs(path.query).items()}
        if state.fails or "Authorization" not in self.headers:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif "list-type" in query:
            self._answer(200, _listing(state, name.rstrip("/"), query).encode())
        elif name in state.objects:
            self._object(state, state.objects[name])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_HEAD = do_GET

    def _object(self, state: S3Server, body: bytes) -> None:
        headers = {
            "Last-Modified": format_datetime(state.modified, usegmt=True),
            "ETag": '"e"',
            "Accept-Ranges": "bytes",
        }
        asked = self.headers.get("Range")
        if asked is None:
            self._answer(200, body, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        end = min(int(last) + 1 if last else len(body), len(body))
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(body)}"
        self._answer(206, body[int(first) : end], headers)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a test looks at `requests`."""


def _listing(state: S3Server, bucket: str, query: Mapping[str, str]) -> str:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after", "")
    keys = sorted(n[len(bucket) + 1 :] for n in state.objects if n.startswith(f"{bucket}/"))
    entries: list[tuple[str, bool]] = []  # key or folder, and which of them
    for key in (k for k in keys if k.startswith(prefix)):
        rest = key[len(prefix) :]
        folder = delimiter and delimiter in rest
        name = prefix + rest.partition(delimiter)[0] + delimiter if folder else key
        if name > after and (name, bool(folder)) not in entries:
            entries.append((name, bool(folder)))
    page, more = entries[:PAGE], len(entries) > PAGE
    modified = state.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
        f'<ETag>"e"</ETag><Size>{len(state.objects[f"{bucket}/{key}"])}</Size>'
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for key, folder in page
        if not folder
    )
    folders = "".join(
        f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>"
        for key, folder in page
        if folder
    )
    token = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if more else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{_NAMESPACE}">'
        f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
        f"<MaxKeys>{PAGE}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>"
        f"{contents}{folders}{token}</ListBucketResult>"
    )
