"""Where the deployment's notices go: a receiver that goes away and returns, on one port."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

SECRET: Final = "whsec_c29haydzIG93biBzZWNyZXQsIGZvciBub2JvZHkgZWxzZQ=="


class Receiver:
    """Keeps which notices came, and which came with a signature that does not verify."""

    def __init__(self) -> None:
        self.came: dict[str, int] = {}  # how often, by notice
        self.forged: list[str] = []
        self._lock = threading.Lock()
        self._server = self._listen(0)
        self._port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/notices"

    def go_away(self) -> None:
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def return_(self) -> None:
        self._server = self._listen(self._port)

    def heard(self, headers: dict[str, str], body: bytes) -> None:
        notice = headers.get("webhook-id", "")
        try:
            Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError:
            with self._lock:
                self.forged.append(notice)
            return
        with self._lock:
            self.came[notice] = self.came.get(notice, 0) + 1

    def _listen(self, port: int) -> ThreadingHTTPServer:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                receiver.heard({name.lower(): text for name, text in self.headers.items()}, body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return server
