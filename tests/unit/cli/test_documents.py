"""`tenantry documents add`: how a file is declared."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tenantry.adapters.extraction.extractor import FileExtractor
from tenantry.entrypoints.api_client import Reply
from tenantry.entrypoints.cli import knowledge

READY = {"id": "doc_1", "status": "ready", "replacement": None, "failure": None, "progress": None}


class Server:
    """Takes uploads, and remembers as what they were declared."""

    def __init__(self) -> None:
        self.declared: list[str] = []

    def upload(self, path: str, name: str, data: bytes, media_type: str, *_: Any) -> Reply:
        self.declared.append(media_type)
        text = asyncio.run(FileExtractor().extract(data, media_type, name)).text
        return Reply(201, {}, {**READY, "title": text})


@pytest.mark.parametrize("name", ["notes.txt", "notes.md", "notes"])
def test_a_text_in_another_charset_is_declared_as_such(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, file = Server(), tmp_path / name
    file.write_bytes("café".encode("latin-1"))
    monkeypatch.setattr(knowledge, "tenant_api", lambda: server)
    done = CliRunner().invoke(
        knowledge.documents, ["add", str(file), "--charset", "ISO_8859-1:1987"]
    )
    assert done.exit_code == 0, done.output
    assert [one.partition("; ")[2] for one in server.declared] == ['charset="ISO_8859-1:1987"']
    refused = CliRunner().invoke(knowledge.documents, ["add", str(file)])
    assert "state its charset" in str(refused.exception)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"pages": 6, "pages_without_text": 5}, "ready, 5 of 6 pages without text"),
        ({"pages": 1_200, "pages_without_text": 1_100}, "ready, 1,100 of 1,200 pages without text"),
        ({"pages": 6, "pages_without_text": 0}, "ready"),
        ({"pages": None, "pages_without_text": None}, "ready"),
        ({}, "ready"),  # of a gateway of before
    ],
)
def test_a_document_that_is_read_in_part_says_so(
    more: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {**READY, "title": "Contract", **more}

    class Gateway:
        def get(self, _: str) -> Reply:
            return Reply(200, {}, {"data": [row], "next_cursor": None})

        def upload(self, *_: Any) -> Reply:
            return Reply(201, {}, row)

    file = tmp_path / "contract.pdf"
    file.write_bytes(b"%PDF-")
    monkeypatch.setattr(knowledge, "tenant_api", Gateway)
    listed = CliRunner().invoke(knowledge.documents, ["list"])
    assert listed.output.splitlines()[-1].split("Contract")[1].strip() == said
    added = CliRunner().invoke(knowledge.documents, ["add", str(file)])
    assert added.output.splitlines() == [f"doc_1  {said}  contract.pdf"]
