"""Uploads that cannot be taken: one clear refusal, and no document, no object, no charge."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge_files as files
from tests.support.metered import MeteredStack
from tests.support.refusals import (
    BUDGET,
    INVALID,
    NO_TRACE,
    QUOTA,
    TOO_LARGE,
    Refusal,
    refused,
    traces,
)
from tests.support.stack import Tenant
from tests.support.stack_clients import Reply

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
UNSUPPORTED = Refusal((415, "UnsupportedMediaTypeException"), 415)
GOOD_DOCX = files.docx("Some words.")
FILES: Mapping[str, tuple[bytes, str, str, Refusal]] = {
    "over its limit": (b"a" * 25_000_000, "a.txt", "text/plain", TOO_LARGE),
    "empty": (b"", "a.txt", "text/plain", INVALID),
    "white space": (b" \n\t ", "a.txt", "text/plain", INVALID),
    "an empty PDF": (b"", "a.pdf", PDF, INVALID),
    "a PDF without text": (files.pdf(""), "a.pdf", PDF, INVALID),
    "a corrupt PDF": (b"%PDF-1.4\n" + b"\x00\xff" * 500, "a.pdf", PDF, INVALID),
    "half a PDF": (files.pdf("words")[:120], "a.pdf", PDF, INVALID),
    "an encrypted PDF": (files.pdf("secret", encrypted=True), "a.pdf", PDF, INVALID),
    "a corrupt DOCX": (b"PK\x03\x04" + b"\x00\xff" * 500, "a.docx", DOCX, INVALID),
    "half a DOCX": (GOOD_DOCX[: len(GOOD_DOCX) // 2], "a.docx", DOCX, INVALID),
    "a zip bomb": (files.zip_bomb(), "a.docx", DOCX, INVALID),
    "a zip that is no DOCX": (files.archive(a="b"), "a.docx", DOCX, UNSUPPORTED),
    "a PDF that says DOCX": (files.pdf("words"), "a.docx", DOCX, UNSUPPORTED),
    "a DOCX that says PDF": (GOOD_DOCX, "a.pdf", PDF, UNSUPPORTED),
    "an image": (b"\x89PNG\r\n\x1a\n" + b"\x00" * 64, "a.png", "image/png", UNSUPPORTED),
    "a program": (b"\x7fELF" + b"\x00" * 64, "a", "application/octet-stream", INVALID),
    "no UTF-8": (b"caf\xe9 \xff\xfe\x80", "a.txt", "text/plain", INVALID),
}


def multipart(
    metered: MeteredStack, tenant: Tenant, data: bytes, name: str, media_type: str, title: str = "T"
) -> Reply:
    mark = "tenantry-test-boundary"
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="title"\r\n\r\n{title}\r\n'
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    body = head.encode("utf-8", "surrogatepass") + data + f"\r\n--{mark}--\r\n".encode()
    headers = {"content-type": f"multipart/form-data; boundary={mark}"}
    return metered.http("POST", "/v1/documents", body, tenant=tenant, headers=headers)


def objects_of(metered: MeteredStack) -> set[Path]:
    return {path for path in (metered.home / "accounts").glob("*/objects/**/*") if path.is_file()}


class TestUploads:
    """No document, no object and no charge is left of them."""

    @pytest.mark.parametrize("name", FILES)
    def test_a_file_that_cannot_be_read(
        self, metered: MeteredStack, uploader: Tenant, name: str
    ) -> None:
        data, file_name, media_type, refusal = FILES[name]
        before = objects_of(metered)
        reply = multipart(metered, uploader, data, file_name, media_type)
        refused("tenantry", reply, refusal)
        assert traces(metered, uploader) == NO_TRACE
        assert objects_of(metered) == before

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"text": ""}, INVALID),
            ({"text": " \n"}, INVALID),
            ({"title": ""}, INVALID),
            ({"title": "x" * 513}, INVALID),
            ({"metadata": {"a": None}}, INVALID),
            ({"metadata": {f"k{i}": 1 for i in range(33)}}, INVALID),
            ({"metadata": {"n": 2**63}}, INVALID),
            ({"metadata": {"n": 2**64}}, INVALID),
            ({"access": [""]}, INVALID),
            ({"id": "doc_1"}, INVALID),
            ({"tenant_id": "tnt_1"}, INVALID),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_a_text_that_cannot_be_taken(
        self, metered: MeteredStack, uploader: Tenant, changes: Any, refusal: Refusal
    ) -> None:
        body = json.dumps({"title": "T", "text": "Words.", **changes}).encode()
        sent = {"content-type": "application/json"}
        reply = metered.http("POST", "/v1/documents", body, tenant=uploader, headers=sent)
        refused("tenantry", reply, refusal)
        assert traces(metered, uploader) == NO_TRACE

    @pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b"], ids=ascii)
    @pytest.mark.parametrize("where", ["title", "file name"])
    def test_nul_and_surrogates_in_a_form(
        self, metered: MeteredStack, uploader: Tenant, bad: str, where: str
    ) -> None:
        title = bad if where == "title" else "T"
        name = "a.txt" if where == "title" else bad
        reply = multipart(metered, uploader, b"Words.", name, "text/plain", title=title)
        refused("tenantry", reply, INVALID)
        assert traces(metered, uploader) == NO_TRACE

    @pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "x"])
    def test_a_body_of_another_type(
        self, metered: MeteredStack, uploader: Tenant, media_type: str
    ) -> None:
        headers = {"content-type": media_type}
        reply = metered.http("POST", "/v1/documents", b"Words.", tenant=uploader, headers=headers)
        refused("tenantry", reply, UNSUPPORTED)

    def test_one_document_more_than_the_plan_allows(self, metered: MeteredStack) -> None:
        tenant = metered.tenant({"documents_max": 1})
        first = metered.http("POST", "/v1/documents", {"title": "1", "text": "One."}, tenant=tenant)
        assert first[0] == 201
        before, stored = traces(metered, tenant), objects_of(metered)
        body = {"title": "2", "text": "Two."}
        reply = metered.http("POST", "/v1/documents", body, tenant=tenant)
        assert "1 documents" in refused("tenantry", reply, QUOTA)
        assert traces(metered, tenant) == before
        assert objects_of(metered) == stored
        gone = metered.http("DELETE", f"/v1/documents/{json.loads(first[2])['id']}", tenant=tenant)
        assert gone[0] == 204
        assert metered.http("POST", "/v1/documents", body, tenant=tenant)[0] == 201

    def test_more_bytes_than_the_plan_allows(self, metered: MeteredStack) -> None:
        tenant = metered.tenant({"storage_max_mb": 1})
        body = {"title": "1", "text": "word " * 250_000}
        refused("tenantry", metered.http("POST", "/v1/documents", body, tenant=tenant), QUOTA)
        assert traces(metered, tenant) == NO_TRACE

    def test_an_upload_that_the_budget_does_not_hold(self, metered: MeteredStack) -> None:
        tenant = metered.tenant({"monthly_budget": "0.0000001"})
        before = objects_of(metered)
        body = {"title": "1", "text": "Some words."}
        refused("tenantry", metered.http("POST", "/v1/documents", body, tenant=tenant), BUDGET)
        assert traces(metered, tenant) == NO_TRACE
        assert objects_of(metered) == before
