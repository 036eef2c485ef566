"""The JSON schema that Claude's answer has to fit: of a Messages body, or through Converse."""

from __future__ import annotations

import json
from typing import Any

from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.anthropic_members import as_dict, missing, one_of, tag

_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def read_format(body: dict[str, Any], prompt: Prompt) -> None:
    """It is billed for its tokens; `output_format` is its older name."""
    path, form = "output_format", body.get("output_format")
    if body.get("output_config") is not None:
        config = as_dict(body["output_config"], "output_config")
        path, form = "output_config.format", config.get("format")
        if config.get("effort") is not None:
            one_of(config["effort"], _EFFORTS, "output_config.effort")
    if form is None:
        return
    tag(as_dict(form, path), ("json_schema",), path)
    if form.get("schema") is None:
        raise missing(f"{path}.schema")
    prompt.schema = as_dict(form["schema"], f"{path}.schema")
    prompt.add_text("schema:", json.dumps(prompt.schema, ensure_ascii=False))
