"""Knowledge bases in front of the emulator's small models: found, put in order, cited."""

import pytest
from tests.support.stack import running_stack
from tests.support.stack_agent import (
    RERANK_ARN,
    TEXTS,
    agent,
    asked,
    retrieve,
    titles,
    with_documents,
)

QUESTION = "How long may goods be sent back?"
TEMPLATE = "Answer from these: $search_results$ $output_format_instructions$"


@pytest.mark.slow
def test_answers_cite_what_they_rest_on() -> None:
    with running_stack(mode="models") as stack:
        anna, bert = with_documents(stack)
        client = agent(stack, anna)
        reranking = {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "modelConfiguration": {"modelArn": RERANK_ARN},
                "numberOfRerankedResults": 1,
            },
        }
        found = retrieve(client, anna, QUESTION, rerankingConfiguration=reranking)
        assert titles(found) == {"Returns"}
        generation = {"promptTemplate": {"textPromptTemplate": TEMPLATE}}
        for more in ({}, {"generationConfiguration": generation}):
            answer = client.retrieve_and_generate(**asked(anna, QUESTION, **more))
            [citation] = answer["citations"]
            part = citation["generatedResponsePart"]["textResponsePart"]
            assert part["text"] == answer["output"]["text"] == TEXTS["Returns"][0]
            [reference] = citation["retrievedReferences"]
            assert reference["content"]["text"] == TEXTS["Returns"][0]
        stream = client.retrieve_and_generate_stream(
            **asked(anna, "When do trains to Oslo leave?"), sessionId=answer["sessionId"]
        )["stream"]
        events = list(stream)
        assert "".join(e["output"]["text"] for e in events if "output" in e) == TEXTS["Trains"][0]
        assert sum("citation" in event for event in events) == 1
        stack.wait_settled(anna, bert)
