"""The demo's documents are whole, licensed and readable."""

import hashlib
import io
from importlib.resources import files

import docx
import pypdfium2
import pytest

from tenantry.adapters.shipped import corpus, corpus_bytes, corpus_questions

SETS = ("python", "sqlite", "postgresql")
BESIDE = {"LICENCE.txt"}


@pytest.fixture(scope="module")
def documents():
    return corpus()


def test_every_document_is_the_one_of_the_index(documents):
    for document in documents:
        assert hashlib.sha256(corpus_bytes(document)).hexdigest() == document.sha256, document.file


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_every_format_its_licence_and_nothing_else(documents, name):
    listed = {document.file for document in documents if document.set == name}
    found = {path.name for path in files("tenantry.data").joinpath("corpus", name).iterdir()}
    assert found == listed | BESIDE
    assert {file.rpartition(".")[2] for file in listed} == {"md", "html", "txt", "pdf", "docx"}
    assert len({document.title for document in documents if document.set == name}) == len(listed)


@pytest.mark.parametrize("name", SETS)
def test_a_set_fits_the_smallest_plan(documents, name):
    sizes = [len(corpus_bytes(document)) for document in documents if document.set == name]
    assert len(sizes) < 100
    assert 150_000 < sum(sizes) < 400_000


def test_every_title_stands_in_its_text(documents):
    for document in documents:
        assert document.title.split()[-1].strip("()?") in _text(document), document.file


def test_questions_name_documents_of_their_set(documents):
    known = {(document.set, document.file) for document in documents}
    questions = corpus_questions()
    assert all((question.set, question.file) in known for question in questions)
    for name in SETS:
        asked = [question for question in questions if question.set == name]
        assert len(asked) >= 6
        assert {"pdf", "docx"} & {question.file.rpartition(".")[2] for question in asked}


def _text(document):
    content = corpus_bytes(document)
    if document.media_type == "application/pdf":
        with pypdfium2.PdfDocument(content) as pdf:
            return "".join(page.get_textpage().get_text_range() for page in pdf)
    if document.file.endswith(".docx"):
        return "\n".join(p.text for p in docx.Document(io.BytesIO(content)).paragraphs)
    return content.decode("utf-8")
