"""The gateway's own certificate: trusted where it is this home's, and told of where it is not."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.command_line import StatusOf

from tenantry.entrypoints.http.tls import LocalTls, ensure_local_tls

NOW = datetime.now(UTC)
ADVICE = "set SSL_CERT_FILE to a PEM file with its authority, such as tls/ca.pem in the gateway's"


class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"data": []}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Quiet(http.server.ThreadingHTTPServer):
    """A client that trusts nothing here hangs up within the handshake."""

    def handle_error(self, *_: object) -> None: ...


@contextmanager
def gateway(tls: LocalTls) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.private_key)
    with Quiet(("127.0.0.1", 0), Gateway) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("TENANTRY_HOME", str(home))
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "TENANTRY_TLS_NAMES"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def listed(status_of: StatusOf, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Lists the documents of the gateway at a URL, and returns the exit status."""

    def run(url: str) -> int:
        monkeypatch.setenv("TENANTRY_URL", url)
        return status_of("documents", "list")

    return run


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST"])
def test_this_home_s_gateway_is_trusted(
    host: str, home: Path, listed: Callable[[str], int]
) -> None:
    with gateway(ensure_local_tls(home, [], now=NOW)) as port:
        assert listed(f"https://{host}:{port}") == 0


@pytest.mark.parametrize("has_its_own", [False, True])
def test_another_home_s_is_told_of_with_what_helps(
    has_its_own: bool,
    home: Path,
    listed: Callable[[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if has_its_own:
        ensure_local_tls(home, [], now=NOW)
    with gateway(tls := ensure_local_tls(tmp_path / "other", [], now=NOW)) as port:
        url = f"https://127.0.0.1:{port}"
        assert listed(url) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"tenantry: the TLS certificate at {url} is not accepted (")
        assert ADVICE in said
        assert said.count("\n") == 1
        monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_bundle))
        assert listed(url) == 0


def test_another_name_is_told_of(
    home: Path,
    listed: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Here by an address that the machine answers at and the certificate does not name."""
    with gateway(tls := ensure_local_tls(home, [], now=NOW)) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_bundle))
        assert listed(f"https://0.0.0.0:{port}") == 1
    said = capsys.readouterr().err
    assert "is not accepted (invalid peer certificate: certificate not valid for name" in said
    assert said.endswith(": TENANTRY_TLS_NAMES of the gateway adds names\n")


def test_an_authority_that_is_damaged_is_named(
    home: Path, listed: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    tls = ensure_local_tls(home, [], now=NOW)
    tls.ca_bundle.write_text("-----BEGIN CERTIFICATE-----\nZZZZ\n-----END CERTIFICATE-----\n")
    assert listed("https://127.0.0.1:1") == 1
    said = capsys.readouterr().err
    assert said == f"tenantry: {tls.ca_bundle}: is no PEM file of certificates\n"
