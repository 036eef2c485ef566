"""How to go on: keys and lines that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.config import Settings, variable_of
from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import knowledge_base_of
from tenantry.entrypoints.demo.acts import CHAT_MODEL
from tenantry.entrypoints.demo.cast import Player
from tenantry.entrypoints.demo.show import Show

_PORTS: Final = {"http_url": "http_port", "https_url": "https_port", "admin_url": "admin_port"}
_QUESTION = "What is the maximum size of a VARCHAR?"


def print_how_to_go_on(
    show: Show, home: Path, front: Mapping[str, Any], players: Mapping[str, Player]
) -> None:
    """Ready-to-paste curl, boto3 and OpenAI lines with a key that works."""
    player = players["sqlite"]
    show.act("It stays up; go on from here (Ctrl-C ends it)")
    for each in players.values():
        show.say(f"{each.name} ({each.plan}, {each.placement}), API key")
        show.code(each.key)
    show.say("")
    show.say(f"a second terminal: this deployment, and {player.name}'s key for the lines below")
    show.code("\n".join(_exports(home, front, player)))
    show.say("")
    show.say("what tenants can ask, and what you can, to read in a browser")
    show.code("\n".join(f"{front[port]}/docs" for port in ("http_url", "admin_url")))
    show.say("")
    _print_lines(show, front, player)


def print_how_to_come_back(show: Show, home: Path) -> None:
    """After Ctrl-C: what is left, what brings the rest back, and how to be rid of it."""
    show.say("stopped: the gateway, its database, and the emulator that answered for Bedrock")
    show.say("")
    show.say(f"All that it made is kept in {home}. It comes back, with its keys, by")
    show.code("make demo")
    show.say(
        "`tenantry serve` alone brings no model back: the tenants' placements lead to the emulator."
    )
    show.say("")
    show.say("to delete it")
    show.code(f"rm -r {' '.join(shlex.quote(str(folder)) for folder in _folders(home))}")


def _folders(home: Path) -> list[Path]:
    """The data folder, and the database's where that is somewhere else."""
    place = known_place(home)
    outside = place is not None and not place.folder.is_relative_to(home)
    return [home, *([place.folder] if place is not None and outside else [])]


def _exports(home: Path, front: Mapping[str, Any], player: Player) -> list[str]:
    """What another terminal needs: home and key, and a port where it is not the default."""
    needed: dict[str, object] = {"home": home}
    for url, setting in _PORTS.items():
        if (port := urlsplit(front[url]).port) != getattr(Settings(), setting):
            needed[setting] = port
    needed["api_key"] = player.key
    return [f"export {variable_of(name)}={shlex.quote(str(it))}" for name, it in needed.items()]


def _print_lines(show: Show, front: Mapping[str, Any], player: Player) -> None:
    show.say("curl")
    show.code(
        f"curl -s {front['http_url']}/v1/answers \\\n"
        '  -H "Authorization: Bearer $TENANTRY_API_KEY" -H "Content-Type: application/json" \\\n'
        f"""  -d '{{"question": "{_QUESTION}"}}'"""
    )
    show.say("")
    show.say("boto3, unmodified (pip install boto3)")
    show.code(
        "export AWS_BEARER_TOKEN_BEDROCK=$TENANTRY_API_KEY\n"
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
        "export OPENAI_API_KEY=$TENANTRY_API_KEY\n"
        f"export OPENAI_BASE_URL={front['http_url']}/v1\n"
        "python3 -c '\n"
        "import openai\n"
        "chat = openai.OpenAI().chat.completions.create(\n"
        f'    model="{CHAT_MODEL}", messages=[{{"role": "user", "content": "Say hello."}}])\n'
        "print(chat.choices[0].message.content, chat.usage)'"
    )
