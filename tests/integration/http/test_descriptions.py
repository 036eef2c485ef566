"""`/docs` and `/openapi.json` over the wire: compressed, and not sent again to who has them."""

from __future__ import annotations

import gzip
import http.client

import pytest
from tests.support.http2_client import Client, fields
from tests.support.http_edge import Edge

PATHS = ("/docs", "/openapi.json")
Told = tuple[int, dict[str, str], bytes]


@pytest.mark.parametrize("admin", [False, True], ids=["data plane", "admin port"])
def test_one_connection_is_told_what_it_has_already(edge: Edge, admin: bool) -> None:
    address = (edge.admin_url if admin else edge.url).removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=20)

    def get(path: str, **headers: str) -> Told:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()

    for path in PATHS:
        status, told, whole = get(path)
        assert (status, told["content-length"]) == (200, str(len(whole)))
        assert told["x-content-type-options"] == "nosniff"
        status, packed, body = get(path, accept_encoding="gzip")
        assert (status, packed["content-encoding"]) == (200, "gzip")
        assert gzip.decompress(body) == whole and len(body) < len(whole) / 5
        for etag, coding in ((told["etag"], "identity"), (packed["etag"], "gzip")):
            status, same, body = get(path, if_none_match=etag, accept_encoding=coding)
            assert (status, body, same["etag"]) == (304, b"", etag)
            assert "content-length" not in same
            assert "content-type" not in same
    connection.close()


def test_so_is_one_of_http_2(edge: Edge) -> None:
    with Client(edge.port) as client:
        for path in PATHS:
            whole = client.answer(client.send(fields(path, method="GET", who=None)))
            tag = ("if-none-match", whole.headers["etag"])
            known = fields(path, tag, method="GET", who=None)
            same = client.answer(client.send(known))
            assert (whole.status, same.status, same.body) == (200, 304, b"")
            assert "content-length" not in same.headers
