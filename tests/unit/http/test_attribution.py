"""Headers that attribute a request inside its tenant."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http import attribution
from tenantry.entrypoints.http.wire.request import Request


def request(body: bytes = b"{}", path: str = "/v1/search", **headers: str) -> Request:
    lowered = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", path, "", lowered, list(lowered.items()), body)


def test_what_people_write() -> None:
    headers = {
        "x-tenantry-user": "Zoë".encode().decode("latin-1"),
        "x-tenantry-groups": "sales, legal",
        "x-tenantry-tags": "feature=chat, team=a b",
        "x-tenantry-run": "run/1",
    }
    assert attribution.user_of(headers) == "Zoë"
    assert attribution.groups_of(headers) == {"sales", "legal"}
    assert attribution.tags_of(headers) == {"feature": "chat", "team": "a b"}
    assert attribution.run_of(headers) == "run/1"
    assert attribution.groups_of({}) == frozenset()


@pytest.mark.parametrize(("value", "top_k"), [("1", 1), ("50", 50), ("05", 5)])
def test_a_number_of_passages(value: str, top_k: int) -> None:
    assert attribution.knowledge_of({"x-tenantry-knowledge": value}) == top_k
    assert attribution.knowledge_of({}) is None


@pytest.mark.parametrize("value", ["", "0", "51", "5 ", "5,5", "-5", "٣", "²", "9" * 5_000])
def test_what_is_no_number_of_passages(value: str) -> None:
    with pytest.raises(BadRequest, match="from 1 to 50"):
        attribution.knowledge_of({"x-tenantry-knowledge": value})


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_value_is_taken_or_refused(value: str) -> None:
    for read, name in (
        (attribution.user_of, "x-tenantry-user"),
        (attribution.groups_of, "x-tenantry-groups"),
        (attribution.tags_of, "x-tenantry-tags"),
        (attribution.run_of, "x-tenantry-run"),
        (attribution.knowledge_of, "x-tenantry-knowledge"),
    ):
        try:
            read({name: value})
        except BadRequest:
            continue


@pytest.mark.parametrize(
    "value",
    [
        "feature",
        "a=1,a=2",
        "a=",
        "=1",
        f"{'k' * 65}=1",
        f"k={'v' * 129}",
        "k k=1",
        "k=ü",
        ",".join(f"k{number}=v" for number in range(9)),
    ],
)
def test_tags_that_are_refused_are_told_every_limit(value: str) -> None:
    with pytest.raises(BadRequest) as refused:
        attribution.tags_of({"x-tenantry-tags": value})
    assert refused.value.message == (
        "`x-tenantry-tags` takes at most 8 pairs `key=value`, joined by commas: keys of 1 to 64 "
        "letters, digits and `_.-`, each once, and values of 1 to 128 letters, digits, spaces and "
        "`_.:/@+-`."
    )


def test_tags_as_large_as_they_may_be() -> None:
    tags = {f"{number}{'k._-':0<63}": "v" * 119 + "_.:/@+- a" for number in range(8)}
    header = ",".join(f"{key}={value}" for key, value in tags.items())
    assert attribution.tags_of({"x-tenantry-tags": header}) == tags


def test_a_key_is_bound_to_route_and_body() -> None:
    first = attribution.idempotency_of(request(idempotency_key="k"), "bedrock")
    other_body = attribution.idempotency_of(request(b"{ }", idempotency_key="k"), "bedrock")
    other_path = attribution.idempotency_of(
        request(path="/v1/answers", idempotency_key="k"), "bedrock"
    )
    assert first is not None and other_body is not None and other_path is not None
    staff = attribution.idempotency_of(
        request(idempotency_key="k", x_tenantry_groups="staff"), "bedrock"
    )
    assert staff is not None, "what groups may see decides the answer too"
    found = (first, other_body, other_path, staff)
    assert len({each.body_sha256 for each in found}) == 4
    assert not first.implied


def test_an_upload_that_is_sent_again_is_the_same_whatever_its_boundary() -> None:
    def digest(boundary: str, data: bytes, quotes: str = "", *, form: bool = True) -> bytes:
        mark = b"--" + boundary.encode()
        body = mark + b"\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        body += data + b"\r\n" + mark + b"--\r\n"
        kind = f"multipart/form-data; boundary={quotes}{boundary}{quotes}"
        sent = request(body, "/v1/documents", idempotency_key="k", content_type=kind)
        asked = attribution.idempotency_of(sent, "tenantry", form=form)
        assert asked is not None
        return asked.body_sha256

    first = digest("0a1b", b"text")
    assert digest("2c3d", b"text") == digest("4e 5f", b"text", '"') == first
    others = {digest("0a1b", data) for data in (b"texts", b"", b"te--xt", b"te\r\n--\r\nxt")}
    assert len(others | {first}) == 5
    assert digest("0a1b", b"text", form=False) != digest("2c3d", b"text", form=False)


def test_marks_without_end_are_not_looked_for_one_by_one() -> None:
    """The loop serves nobody else meanwhile: 2.6 s, where a form may have 64 parts."""
    kind = "multipart/form-data; boundary=a"
    sent = request(b"--a" * 8_300_000, "/v1/documents", idempotency_key="k", content_type=kind)
    before = time.thread_time()
    assert attribution.idempotency_of(sent, "tenantry", form=True) is not None
    assert time.thread_time() - before < 0.8


def test_boto3s_invocation_id_implies_a_key_and_an_own_key_goes_before_it() -> None:
    invocation = "0a1b2c3d-0000-4000-8000-000000000001"
    implied = attribution.idempotency_of(request(amz_sdk_invocation_id=invocation), "bedrock")
    assert implied is not None and implied.implied and implied.key == invocation
    own = attribution.idempotency_of(
        request(amz_sdk_invocation_id=invocation, idempotency_key="mine"), "bedrock"
    )
    assert own is not None and (own.key, own.implied) == ("mine", False)


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_that_cannot_be(key: str) -> None:
    with pytest.raises(BadRequest):
        attribution.idempotency_of(request(idempotency_key=key), "bedrock")
