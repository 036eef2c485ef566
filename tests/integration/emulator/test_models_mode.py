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
