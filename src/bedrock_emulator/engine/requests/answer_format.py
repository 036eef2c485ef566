"""The JSON schema that Claude's answer has to fit: of a Messages body, or through Converse."""

from __future__ import annotations

import json
from typing import Any

from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.anthropic_blocks import as_dict


def read_format(body: dict[str, Any], prompt: Prompt) -> None:
    """It is billed for its tokens; `output_format` is its older name."""
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        prompt.schema = as_dict(form.get("schema"), "output_config.format.schema")
        prompt.add_text("schema:", json.dumps(prompt.schema, ensure_ascii=False))
