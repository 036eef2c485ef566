"""Documents that have marks of notes themselves, `[2]`: an answer that quotes them cites what it
rests on, and reads as the document does. By unmodified SDKs, whole and streamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
import pytest
from tests.support.stack import Stack, Tenant, running_stack
from tests.support.stack_agent import agent, asked
from tests.support.stack_clients import converse_body, converse_path

pytestmark = pytest.mark.xdist_group("knowledge_stack")

NOVA = "amazon.nova-micro-v1:0"
TEXTS = {
    "Marabu": "The Marabu valve opens at 40 bar [2].",
    "Kolibri": "The Kolibri pump was built in 1987.[2]",
    "Fasan": "The Fasan hinge holds 90 kg[2].",
}
PAGE = (
    '<p>The Emu motor turns 300 times.<sup class="reference"><a href="#n">[2]</a></sup> It is red.'
)
QUESTIONS = [
    ("Marabu", "At how many bar does the Marabu valve open?", "40 bar [2]."),
    ("Kolibri", "In which year was the Kolibri pump built?", "in 1987.[2]"),
    ("Fasan", "How many kg does the Fasan hinge hold?", "90 kg[2]."),
    ("Emu", "How many times does the Emu motor turn?", "300 times."),
]
each_question = pytest.mark.parametrize(("title", "question", "words"), QUESTIONS)


@pytest.fixture(scope="module")
def reading() -> Iterator[Stack]:
    with running_stack(mode="models") as stack:
        yield stack


@pytest.fixture(scope="module")
def world(reading: Stack) -> Iterator[tuple[Tenant, Tenant]]:
    anna, bert = reading.tenants()
    for title, text in TEXTS.items():
        added(reading, anna, {"title": title, "text": text})
    form = (
        '--x\r\ncontent-disposition: form-data; name="file"; filename="Emu"\r\n'
        f"content-type: text/html\r\n\r\n{PAGE}\r\n--x--\r\n"
    )
    added(reading, anna, form.encode(), {"content-type": "multipart/form-data; boundary=x"})
    added(reading, bert, {"title": "Theirs", "text": "The Marabu valve of Bert opens never [1]."})
    yield anna, bert
    reading.wait_settled(anna, bert)
    assert reading.violations() == []


def added(stack: Stack, who: Tenant, body: Any, headers: dict[str, str] | None = None) -> None:
    status, _, answer = stack.http("POST", "/v1/documents", body, tenant=who, headers=headers)
    assert status == 201, answer


@each_question
def test_answers_cite_what_they_rest_on(
    reading: Stack, world: tuple[Tenant, Tenant], title: str, question: str, words: str
) -> None:
    body = {"question": question, "model": NOVA}
    status, _, answer = reading.http("POST", "/v1/answers", body, tenant=world[0])
    told = orjson.loads(answer)
    assert status == 200 and words in told["answer"]
    check([one["title"] for one in told["citations"]], title)


@each_question
def test_chats_cite_what_they_rest_on(
    reading: Stack, world: tuple[Tenant, Tenant], title: str, question: str, words: str
) -> None:
    status, _, answer = reading.http(
        "POST",
        converse_path(NOVA),
        converse_body(question),
        tenant=world[0],
        headers={"x-tenantry-knowledge": "5"},
    )
    told = orjson.loads(answer)
    assert status == 200
    assert words in told["output"]["message"]["content"][0]["text"]
    citations = told["additionalModelResponseFields"]["tenantry"]["citations"]
    check([one["title"] for one in citations], title)


@each_question
def test_knowledge_bases_keep_the_documents_words_and_their_source(
    reading: Stack, world: tuple[Tenant, Tenant], title: str, question: str, words: str
) -> None:
    client, ask = agent(reading, world[0]), asked(world[0], question)
    whole = client.retrieve_and_generate(**ask)
    text = whole["output"]["text"]
    assert words in text
    check(titles_of(whole["citations"]), title)
    with closing(client.retrieve_and_generate_stream(**ask)["stream"]) as stream:
        events = list(stream)
    assert "".join(e["output"]["text"] for e in events if "output" in e) == text
    told = [e["citation"]["citation"] for e in events if "citation" in e]
    parts = [one["generatedResponsePart"] for one in whole["citations"]]
    assert [one["generatedResponsePart"] for one in told] == parts
    assert titles_of(told) == titles_of(whole["citations"])


def titles_of(citations: list[Any]) -> list[str]:
    return [
        reference["metadata"]["x-tenantry-title"]
        for citation in citations
        for reference in citation["retrievedReferences"]
    ]


def check(titles: list[str], title: str) -> None:
    """The emulator's model quotes a second passage only where that is as good."""
    assert titles == [title]
