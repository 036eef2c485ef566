"""How to go on: keys and lines that can be pasted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import knowledge_base_of
from tenantry.entrypoints.demo.acts import CHAT_MODEL
from tenantry.entrypoints.demo.cast import Player
from tenantry.entrypoints.demo.show import Show

_QUESTION = "What is the maximum size of a VARCHAR?"


def print_how_to_go_on(show: Show, front: Mapping[str, Any], players: Mapping[str, Player]) -> None:
    """Ready-to-paste curl, boto3 and OpenAI lines with a key that works."""
    player = players["sqlite"]
    show.act("It stays up; go on from here (Ctrl-C ends it)")
    show.table(
        ("tenant", "plan", "API key"),
        [(p.name, f"{p.plan}, {p.placement}", p.key) for p in players.values()],
        right=9,
    )
    show.say("")
    show.say(f"{player.name}'s key, for the lines below")
    show.code(f"export TENANTRY_KEY={player.key}")
    show.say("")
    show.say("curl")
    show.code(
        f"curl -s {front['http_url']}/v1/answers \\\n"
        '  -H "Authorization: Bearer $TENANTRY_KEY" -H "Content-Type: application/json" \\\n'
        f"""  -d '{{"question": "{_QUESTION}"}}'"""
    )
    show.say("")
    show.say("boto3, unmodified (pip install boto3)")
    show.code(
        "export AWS_BEARER_TOKEN_BEDROCK=$TENANTRY_KEY\n"
        f"export AWS_CA_BUNDLE={front['ca_bundle']}\n"
        f"export AWS_ENDPOINT_URL_BEDROCK_RUNTIME={front['https_url']}\n"
        "python3 -c '\n"
        "import boto3\n"
        'bedrock = boto3.client("bedrock-runtime", region_name="us-east-1")\n'
        f'answer = bedrock.converse(modelId="{CHAT_MODEL}", messages=[\n'
        '    {"role": "user", "content": [{"text": "Say hello."}]}])\n'
        'print(answer["output"]["message"]["content"][0]["text"], answer["usage"])\''
    )
    show.say("")
    show.say("boto3 on its documents: a knowledge base of Bedrock's")
    show.code(
        "python3 -c '\n"
        "import boto3\n"
        "from botocore.config import Config\n"
        'agent = boto3.client("bedrock-agent-runtime", region_name="us-east-1",\n'
        f'    endpoint_url="{front["https_url"]}", config=Config(signature_version="bearer"))\n'
        f'base = {{"knowledgeBaseId": "{knowledge_base_of(TenantId(player.id))}", '
        f'"modelArn": "{CHAT_MODEL}"}}\n'
        f'answer = agent.retrieve_and_generate(input={{"text": "{_QUESTION}"}},\n'
        "    retrieveAndGenerateConfiguration={\n"
        '        "type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": base})\n'
        'print(answer["output"]["text"], answer["citations"], answer["sessionId"])\''
    )
    show.say("")
    show.say("OpenAI, unmodified (pip install openai)")
    show.code(
        "export OPENAI_API_KEY=$TENANTRY_KEY\n"
        f"export OPENAI_BASE_URL={front['http_url']}/v1\n"
        "python3 -c '\n"
        "import openai\n"
        "chat = openai.OpenAI().chat.completions.create(\n"
        f'    model="{CHAT_MODEL}", messages=[{{"role": "user", "content": "Say hello."}}])\n'
        "print(chat.choices[0].message.content, chat.usage)'"
    )
