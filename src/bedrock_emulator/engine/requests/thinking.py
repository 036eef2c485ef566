"""What Claude takes as `thinking`, in a Messages body or passed through Converse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.requests.anthropic_members import as_dict, unknown_tag

_KINDS = ("adaptive", "disabled", "enabled")
_LEAST_BUDGET = 1_024  # tokens of thinking
_INTERLEAVED = "interleaved-thinking"  # of a beta's name, before its date


@dataclass(frozen=True, slots=True)
class Beside:
    """What a body says besides that bears on thinking."""

    most: int  # output tokens
    temperature: Any
    betas: Any


def read_thinking(thinking: Any, beside: Beside) -> bool:
    """Whether the model is to think. Raises EmulatedError in Claude's words.

    Thinking has a budget within the answer's, but between tool calls may go beyond it.
    """
    if thinking is None:
        return False
    thinking = as_dict(thinking, "thinking")
    kind = thinking.get("type")
    if kind not in _KINDS:
        raise unknown_tag(kind, _KINDS, "thinking")
    if kind == "enabled":
        _check_budget(thinking.get("budget_tokens"), beside)
    if kind != "disabled" and beside.temperature not in (None, 1):
        raise errors.validation(
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."
        )
    return bool(kind != "disabled")


def check_choice(choice: str, *, thinking: bool) -> None:
    """Refuses a choice that forces a tool on a model that is to think first."""
    if thinking and choice not in ("auto", "none"):
        raise errors.validation("Thinking may not be enabled when tool_choice forces tool use.")


def _check_budget(budget: Any, beside: Beside) -> None:
    path = "thinking.enabled.budget_tokens"
    if isinstance(budget, bool) or not isinstance(budget, int):
        raise errors.validation(f"{path}: Input should be a valid integer")
    if budget < _LEAST_BUDGET:
        raise errors.validation(f"{path}: Input should be greater than or equal to {_LEAST_BUDGET}")
    if budget >= beside.most and _INTERLEAVED not in str(beside.betas):
        raise errors.validation("`max_tokens` must be greater than `thinking.budget_tokens`.")
