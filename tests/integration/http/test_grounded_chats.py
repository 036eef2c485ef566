"""`x-tenantry-knowledge` on chats: what an unmodified SDK sees of it, and who is refused how."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest
from tests.support.described import Described
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json
from tests.support.http_services import CONVERSE_ANSWER, converse_events, frame

from tenantry.domain.eventstream import Decoder
from tenantry.entrypoints.http.bedrock.grounds import with_grounds

MODEL = "amazon.nova-micro-v1:0"
MESSAGES: Any = [{"role": "user", "content": [{"text": "hello"}]}]
ASKED: Any = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
TWO = {"x-tenantry-knowledge": "2"}
PASSAGE = {"document_id": "doc_x", "title": "Title", "text": "passage", "start": 0, "end": 7}
GROUNDS = {"citations": [{"number": 1, **PASSAGE}], "passages": [{**PASSAGE, "score": 0.9}]}
CHATS = ["/v1/chat/completions", f"/model/{MODEL}/converse", f"/model/{MODEL}/converse-stream"]


@pytest.fixture
def citing(edge: Edge) -> Edge:
    content = [{"text": "It holds [1]."}]
    message = {"role": "assistant", "content": content}
    edge.services.inference.answer = {**CONVERSE_ANSWER, "output": {"message": message}}
    return edge


def grounded(edge: Edge, top_k: str = "2") -> Any:
    """boto3's client, whose calls have the header."""
    client = edge.boto3()
    client.meta.events.register(
        "before-sign.bedrock-runtime.*",
        lambda request, **_: request.headers.add_header("x-tenantry-knowledge", top_k),
    )
    return client


def body_of(path: str) -> dict[str, Any]:
    return ASKED if path.startswith("/v1/") else {"messages": MESSAGES}


def test_converse_has_citations_and_passages_where_sdks_pass_them_on(citing: Edge) -> None:
    answer = grounded(citing).converse(modelId=MODEL, messages=MESSAGES)
    assert answer["additionalModelResponseFields"] == {"tenantry": GROUNDS}
    assert answer["output"]["message"]["content"] == [{"text": "It holds [1]."}]
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"] == "0.0315 USD"
    (asked,) = citing.services.grounded.asked
    assert (asked.search.query, asked.search.top_k, asked.model) == ("hello", 2, MODEL)
    plain = citing.boto3().converse(modelId=MODEL, messages=MESSAGES)
    assert "additionalModelResponseFields" not in plain


def test_all_else_of_an_answer_is_byte_for_byte_the_models(citing: Edge) -> None:
    path, body = f"/model/{MODEL}/converse", {"messages": MESSAGES}
    _, _, plain = post_json(citing, path, body)
    _, _, told = post_json(citing, path, body, headers=TWO)
    assert told.startswith(plain[:-1] + b',"additionalModelResponseFields":{"tenantry":')


def test_what_the_model_itself_adds_stays(citing: Edge) -> None:
    fields = {"stop_sequence": "x"}
    citing.services.inference.answer = {
        **citing.services.inference.answer,
        "additionalModelResponseFields": fields,
    }
    answer = grounded(citing).converse(modelId=MODEL, messages=MESSAGES)
    assert answer["additionalModelResponseFields"] == {**fields, "tenantry": GROUNDS}


def test_digits_and_fields_of_any_form_stay_too() -> None:
    body = b'{"n":12345678901234567890123,"additionalModelResponseFields":["x"]}'
    assert with_grounds(body, {"citations": []}) == (
        b'{"n":12345678901234567890123,"additionalModelResponseFields":'
        b'{"model":["x"],"tenantry":{"citations":[]}}}'
    )


def test_a_stream_says_it_where_the_message_ends(citing: Edge) -> None:
    stream = grounded(citing).converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
    events = list(stream)
    [stop] = [event["messageStop"] for event in events if "messageStop" in event]
    fields = {"tenantry": GROUNDS}
    assert stop == {"stopReason": "end_turn", "additionalModelResponseFields": fields}
    assert list(events[-1]) == ["metadata"]


def test_all_other_frames_are_byte_for_byte_the_models(citing: Edge) -> None:
    path, body = f"/model/{MODEL}/converse-stream", {"messages": MESSAGES}
    status, _, told = post_json(citing, path, body, headers=TWO)
    frames = Decoder().feed(told)
    sent = [frame(kind, payload) for kind, payload in converse_events()]
    assert status == 200
    assert [each.raw for each in frames[:4]] == [each.raw for each in sent[:4]]
    assert frames[5].payload == sent[5].payload
    assert frames[5].headers["x-tenantry-charge"] == "0.0315 USD"


def test_a_completion_has_them_beside_its_choices(citing: Edge) -> None:
    with openai.OpenAI(api_key="tk_acme", base_url=f"{citing.url}/v1") as sdk:
        raw = sdk.chat.completions.with_raw_response.create(**ASKED, extra_headers=TWO)
        done = raw.parse()
        assert done.model_extra == {"tenantry": GROUNDS}
        assert done.choices[0].message.content == "It holds [1]."
        assert raw.headers["x-tenantry-charge"] == "0.0315 USD"
        assert sdk.chat.completions.create(**ASKED).model_extra == {}


@pytest.mark.parametrize("usage", [False, True])
def test_a_streamed_completion_has_them_in_its_last_object(citing: Edge, usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if usage else {}
    with openai.OpenAI(api_key="tk_acme", base_url=f"{citing.url}/v1") as sdk:
        create = sdk.chat.completions.create
        chunks = list(create(**ASKED, stream=True, extra_headers=TWO, **options))
    assert chunks[-1].model_extra == {"tenantry": {"charge": "0.0315 USD", **GROUNDS}}
    assert not any("tenantry" in (chunk.model_extra or {}) for chunk in chunks[:-1])


@pytest.mark.parametrize("path", CHATS)
@pytest.mark.parametrize("value", ["", "0", "51", "all", "-1", "+5", "5.0", "1e1", "5,5", "٣", "²"])
def test_a_value_that_is_no_number_of_passages(edge: Edge, path: str, value: str) -> None:
    raw = value.encode().decode("latin-1")
    status, headers, said = post_json(
        edge, path, body_of(path), headers={"x-tenantry-knowledge": raw}
    )
    assert status == 400
    assert b"`x-tenantry-knowledge` takes the number of passages" in said
    told = orjson.loads(said)
    if path.startswith("/v1/"):
        assert told["error"]["type"] == "invalid_request_error"
    else:
        assert (list(told), headers["x-amzn-errortype"]) == (["message"], "ValidationException")
    assert edge.services.inference.asked == []


@pytest.mark.parametrize("path", CHATS)
def test_it_takes_both_scopes(edge: Edge, path: str) -> None:
    body, key = body_of(path), "tk_acme-infer"
    status, headers, said = post_json(edge, path, body, key=key, headers=TWO)
    assert status == 403 and b"lacks the scope 'search'" in said
    if path.startswith("/v1/"):
        assert headers["x-should-retry"] == "false"
    else:
        assert headers["x-amzn-errortype"] == "AccessDeniedException"
    assert post_json(edge, path, body, key=key)[0] == 200
    assert len(edge.services.inference.asked) == 1


@pytest.mark.parametrize("path", CHATS)
def test_without_words_there_is_nothing_to_search_for(edge: Edge, path: str) -> None:
    picture = {"format": "png", "source": {"bytes": "AAAA"}}
    url = {"url": "data:image/png;base64,AAAA"}
    content = [{"type": "image_url", "image_url": url}] if "/v1/" in path else [{"image": picture}]
    body = {**body_of(path), "messages": [{"role": "user", "content": content}]}
    status, _, said = post_json(edge, path, body, headers=TWO)
    assert status == 400 and b"no user message has any text" in said


@pytest.mark.parametrize("action", ["invoke", "invoke-with-response-stream", "count-tokens"])
def test_a_body_that_nothing_is_added_to_refuses_it(edge: Edge, action: str) -> None:
    body: Any = {"messages": MESSAGES}
    body = {"input": {"converse": body}} if action == "count-tokens" else body
    path = f"/model/{MODEL}/{action}"
    assert post_json(edge, path, body)[0] == 200
    before = len(edge.services.inference.asked)
    status, headers, said = post_json(edge, path, body, headers=TWO)
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert b"use Converse or ConverseStream" in said
    assert len(edge.services.inference.asked) == before


def test_where_no_chat_is_it_says_nothing(edge: Edge) -> None:
    texts = {"model": "amazon.titan-embed-text-v2:0", "input": "a"}
    asked = {"x-tenantry-knowledge": "all"}
    assert post_json(edge, "/v1/embeddings", texts, headers=asked)[0] == 200


def test_the_routes_that_take_it_say_so(edge: Edge) -> None:
    from tests.support.http_plain import send

    _, _, said = send(edge, "GET", "/openapi.json", b"")
    port = Described(orjson.loads(said))
    told = {
        line.partition(" ")[2]
        for line in port.operations
        if "x-tenantry-knowledge" in port.named(line, "header")
    }
    wanted = {"/v1/chat/completions", "/model/{model}/converse", "/model/{model}/converse-stream"}
    assert told == wanted
