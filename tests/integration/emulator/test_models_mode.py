"""The small real models behind the wire, billed durably, two accounts apart."""

from __future__ import annotations

import json

from tests.support.emulator import start_emulator


def test_answers_from_the_passage_and_cache_per_account(tmp_path):
    question = "What colour is the harbour bridge?"
    passage = "The harbour bridge was painted green in 1932. The town hall is made of brick."
    with start_emulator(tmp_path, mode="models") as emulator:
        for account in emulator.accounts:
            client = emulator.client(account=account)
            stream = client.converse_stream(
                modelId="amazon.nova-lite-v1:0",
                system=[{"text": passage}],
                messages=[{"role": "user", "content": [{"text": question}]}],
            )["stream"]
            usage = list(stream)[-1]["metadata"]["usage"]
            vectors = client.invoke_model(
                modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": question})
            )
            assert len(json.loads(vectors["body"].read())["embedding"]) == 1_024
            chat, embedding = emulator.bill(account.id)["records"]
            assert chat["usage"]["output"] == usage["outputTokens"] > 0
            assert embedding["usage"]["output"] == 0
            logged = {record["requestId"] for record in emulator.logged(account)}
            assert logged == {chat["request_id"], embedding["request_id"]}


def test_a_stream_with_citations_is_logged_as_the_whole_answer_is(tmp_path):
    text = "The harbour bridge was painted green in 1932. The town hall is made of brick."
    document = {"name": "d", "format": "txt", "source": {"text": text}}
    content = [
        {"document": {**document, "citations": {"enabled": True}}},
        {"text": "What colour is the harbour bridge?"},
    ]
    asked = {
        "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "messages": [{"role": "user", "content": content}],
    }
    config = {"s3Config": {"bucketName": "logs"}, "textDataDeliveryEnabled": True}
    with start_emulator(tmp_path, mode="models") as emulator:
        for account in emulator.accounts:
            emulator.client("bedrock", account=account).put_model_invocation_logging_configuration(
                loggingConfig=config
            )
            client = emulator.client(account=account)
            message = client.converse(**asked)["output"]["message"]
            [cited] = message["content"][0]["citationsContent"]["citations"]
            assert cited["title"] == "d"
            deltas = [
                event["contentBlockDelta"]["delta"]
                for event in client.converse_stream(**asked)["stream"]
                if "contentBlockDelta" in event
            ]
            assert deltas[-1] == {"citation": cited}
            whole, streamed = (
                record["output"]["outputBodyJson"]["output"]["message"]
                for record in emulator.logged(account)
            )
            assert whole == streamed == message
