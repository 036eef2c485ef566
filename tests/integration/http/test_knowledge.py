"""Documents, search and answers over HTTP: two tenants, both kinds of upload."""

from typing import Any

import orjson
import pytest
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json, send

from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import knowledge_base_of

BOUNDARY = "----a b"


def multipart(*parts: tuple[str, str | None, str | None, bytes]) -> tuple[bytes, dict[str, str]]:
    body = b""
    for name, filename, content_type, data in parts:
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"'
        if filename is not None:
            head += f'; filename="{filename}"'
        if content_type is not None:
            head += f"\r\ncontent-type: {content_type}"
        body += head.encode() + b"\r\n\r\n" + data + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    return body, {"content-type": f'multipart/form-data; boundary="{BOUNDARY}"'}


def added(edge: Edge, text: str, key: str = "tk_acme", **more: Any) -> dict[str, Any]:
    status, _, body = post_json(
        edge, "/v1/documents", {"title": "T", "text": text, **more}, key=key
    )
    assert status == 201, body
    found: dict[str, Any] = orjson.loads(body)
    return found


def test_a_document_from_json_to_deletion(edge: Edge) -> None:
    made = added(edge, "the lifecycle text", metadata={"lang": "en"})
    path = f"/v1/documents/{made['id']}"
    assert made["status"] == "ready"
    assert orjson.loads(send(edge, "GET", path)[2]) == made
    status, headers, body = send(edge, "GET", f"{path}/content")
    assert (status, body) == (200, b"the lifecycle text")
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"
    assert send(edge, "DELETE", path)[0] == 204
    assert send(edge, "GET", path)[0] == 404


def test_the_same_upload_again_is_the_same_document(edge: Edge) -> None:
    made = added(edge, "twice the same")
    status, headers, body = post_json(
        edge, "/v1/documents", {"title": "T", "text": "twice the same"}
    )
    assert (status, orjson.loads(body)["id"]) == (200, made["id"])
    assert "x-tenantry-charge" not in headers


def test_a_multipart_upload_keeps_its_bytes(edge: Edge) -> None:
    data = bytes(range(256)) * 10 + b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n"
    body, headers = multipart(
        ("title", None, None, "Größe".encode()),
        ("metadata", None, None, b'{"year": 2026}'),
        ("access", None, None, b"sales"),
        ("access", None, None, b"legal"),
        ("file", "report.pdf", "application/pdf", data),
    )
    status, answered, raw = send(edge, "POST", "/v1/documents", body, headers=headers)
    made = orjson.loads(raw)
    assert status == 201, made
    assert answered["x-tenantry-charge"] == "0.000001 USD"
    assert (made["title"], made["file_name"]) == ("Größe", "report.pdf")
    assert (made["metadata"], made["access"]) == ({"year": 2026}, ["legal", "sales"])
    path = f"/v1/documents/{made['id']}/content"
    assert send(edge, "GET", path)[0] == 404, "no groups: untagged documents only"
    seen = send(edge, "GET", path, headers={"x-tenantry-groups": "legal, other"})
    assert (seen[0], seen[2]) == (200, data)


def test_a_file_name_as_older_clients_send_it(edge: Edge) -> None:
    body, headers = multipart(("file", "a.txt", None, b"apples"))
    body = body.replace(b'filename="a.txt"', b"filename*=utf-8''%C3%84pfel%20%231.txt")
    status, _, raw = send(edge, "POST", "/v1/documents", body, headers=headers)
    assert (status, orjson.loads(raw)["file_name"]) == (201, "Äpfel #1.txt")


@pytest.mark.parametrize(
    "parts",
    [
        [("title", None, None, b"no file")],
        [("file", "a.txt", None, b"1"), ("file", "b.txt", None, b"2")],
        [("file", "a.txt", None, b"1"), ("nonsense", None, None, b"x")],
        [("file", "a.txt", None, b"1"), ("title", None, None, b"\xff\xfe")],
        [("file", "a.txt", None, b"1"), ("metadata", None, None, b"{")],
        [("file", "a.txt", None, b"1"), ("title", None, None, b"x" * 70_000)],
        [("file", "a.txt", None, b"1"), *[("access", None, None, b"x")] * 100],
    ],
)
def test_malformed_multipart_is_refused(edge: Edge, parts: Any) -> None:
    body, headers = multipart(*parts)
    assert send(edge, "POST", "/v1/documents", body, headers=headers)[0] == 400


def test_a_cut_multipart_body_is_refused(edge: Edge) -> None:
    body, headers = multipart(("file", "a.txt", None, b"1" * 100))
    assert send(edge, "POST", "/v1/documents", body[:-20], headers=headers)[0] == 400
    without = {"content-type": "multipart/form-data"}
    assert send(edge, "POST", "/v1/documents", body, headers=without)[0] == 400
    other = {"content-type": "text/plain"}
    assert send(edge, "POST", "/v1/documents", body, headers=other)[0] == 415


def test_pages_and_their_limits(edge: Edge) -> None:
    for number in range(3):
        added(edge, f"page {number}", key="tk_bolt")
    first = orjson.loads(send(edge, "GET", "/v1/documents?limit=2", key="tk_bolt")[2])
    rest = orjson.loads(
        send(edge, "GET", f"/v1/documents?cursor={first['next_cursor']}", key="tk_bolt")[2]
    )
    assert (len(first["data"]), len(rest["data"]), rest["next_cursor"]) == (2, 1, None)
    for query in ("limit=x", "limit=-1", "nonsense=1", "limit=1&limit=2", "cursor=%00", "%"):
        assert send(edge, "GET", f"/v1/documents?{query}")[0] == 400, query


def test_another_tenants_document_is_not_there(edge: Edge) -> None:
    made = added(edge, "acme alone")
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        status, _, body = send(edge, method, f"/v1/documents/{made['id']}{path}", key="tk_bolt")
        assert (status, orjson.loads(body)["code"]) == (404, "not_found")


def test_search_finds_in_the_keys_own_tenant_whatever_a_header_says(edge: Edge) -> None:
    added(edge, "needle of acme", metadata={"lang": "en"})
    query = {"query": "needle", "filter": {"lang": "en"}}
    status, headers, body = post_json(edge, "/v1/search", query)
    (passage,) = orjson.loads(body)["passages"]
    assert (status, passage["text"]) == (200, "needle of acme")
    assert passage.keys() == {"document_id", "title", "text", "score", "start", "end"}
    assert headers["x-tenantry-charge"] == "0.00001 USD"
    other = post_json(
        edge, "/v1/search", query, key="tk_bolt", headers={"x-tenantry-tenant": "tnt_acme"}
    )
    assert orjson.loads(other[2]) == {"passages": []}
    assert other[1]["x-tenantry-tenant"] == "tnt_bolt"


def test_numbers_are_kept_and_asked_for_as_they_were_sent(edge: Edge) -> None:
    """Every finite double, but no integer that would become another number."""
    kept = {"avogadro": 6.02214076e23, "least": -1e300, "most": 2**63 - 1}
    made = added(edge, "large numbers", metadata=kept)
    assert made["metadata"] == kept
    assert list(map(type, made["metadata"].values())) == [float, float, int]
    base = f"/knowledgebases/{knowledge_base_of(TenantId('tnt_acme'))}/retrieve"
    for number, status in ((b"1e19", 200), (b"98765432109876543211", 400)):
        where = b'{"lessThan":{"key":"avogadro","value":' + number + b"}}"
        configuration = b'{"vectorSearchConfiguration":{"filter":' + where + b"}}"
        form, headers = multipart(
            ("file", "a.txt", None, b"number " + number),
            ("metadata", None, None, b'{"n":' + number + b"}"),
        )
        json = {"content-type": "application/json"}
        for path, body, more in (
            ("/v1/search", b'{"query":"large","filter":' + where + b"}", json),
            ("/v1/answers", b'{"question":"large?","filter":' + where + b"}", json),
            (
                base,
                b'{"retrievalQuery":{"text":"x"},"retrievalConfiguration":' + configuration + b"}",
                json,
            ),
            ("/v1/documents", form, headers),
        ):
            said = send(edge, "POST", path, body, headers=more)
            made_it = status == 200 and path == "/v1/documents"
            assert said[0] == (201 if made_it else status), (path, said)


def test_an_answer_with_its_citations_and_charge(edge: Edge) -> None:
    status, headers, body = post_json(edge, "/v1/answers", {"question": "does it?"})
    answer = orjson.loads(body)
    assert (status, answer["answer"], answer["charge"]) == (200, "It holds [1].", "0.0315")
    assert answer["citations"][0]["number"] == 1
    assert answer["usage"] == {"uncached_in": 1_000, "out": 500, "embedding": 5}
    assert headers["x-tenantry-charge"] == "0.0315 USD"


def test_a_streamed_answer_ends_with_the_whole(edge: Edge) -> None:
    status, _, body = post_json(edge, "/v1/answers", {"question": "q", "stream": True})
    events = [line.removeprefix(b"data: ") for line in body.split(b"\n\n") if line]
    assert (status, events[-1]) == (200, b"[DONE]")
    last = orjson.loads(events[-2])
    assert (last["answer"], last["tenantry"]) == ("It holds [1].", {"charge": "0.0315 USD"})
    assert "".join(orjson.loads(event)["text"] for event in events[:-2]).split() == [
        "It",
        "holds",
        "[1].",
    ]


def test_a_broken_answer_ends_with_an_error_and_no_done(edge: Edge) -> None:
    edge.services.answers.breaks = True
    try:
        _, _, body = post_json(edge, "/v1/answers", {"question": "q", "stream": True})
    finally:
        edge.services.answers.breaks = False
    assert b"[DONE]" not in body
    last = orjson.loads(body.split(b"\n\n")[-2].removeprefix(b"data: "))
    assert (last["code"], last["status"]) == ("upstream_timeout", 424)


def test_what_is_said_of_a_document_has_a_bound_in_every_way_in(edge: Edge) -> None:
    said = {f"k{n}": "\U0001f600" * 1_000 for n in range(5)}
    document = {"title": "T", "text": "bounded", "metadata": {"k": "v" * 1_024}}
    heavy = {**document, "metadata": said}
    form, headers = multipart(
        ("file", "f.txt", "text/plain", b"bounded"),
        ("metadata", None, None, orjson.dumps(said)),
    )
    for key in ("tk_acme", "tk_bolt"):
        status, _, answer = post_json(edge, "/v1/documents", document, key=key)
        assert status == 201
        path = f"/v1/documents/{orjson.loads(answer)['id']}"
        for method, to in (("POST", "/v1/documents"), ("PUT", path)):
            for body, sent in (
                (orjson.dumps(heavy), {"content-type": "application/json"}),
                (form, headers),
            ):
                status, _, answer = send(edge, method, to, body, key=key, headers=sent)
                refused = orjson.loads(answer)
                assert (status, refused["code"]) == (400, "bad_request")
                assert "16,384 bytes together" in refused["detail"]
