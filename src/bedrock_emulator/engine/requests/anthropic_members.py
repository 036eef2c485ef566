"""Members of Messages bodies, held to their types in the words of Anthropic's validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.types import EmulatedError

_WORDS = {str: "string", bool: "boolean", dict: "dictionary", list: "list"}


def hold(
    owner: Mapping[str, Any], members: Mapping[str, type], path: str, required: Sequence[str] = ()
) -> None:
    """Raises EmulatedError (400) with the first fault; null stands for a member left out."""
    for name in required:
        if owner.get(name) is None:
            raise missing(f"{path}.{name}")
    for name, kind in members.items():
        if owner.get(name) is not None:
            as_kind(owner[name], kind, f"{path}.{name}")


def as_kind(value: Any, kind: type, path: str) -> Any:
    """The value, which is of that kind; JSON's true is no number here."""
    if type(value) is not kind:
        raise errors.validation(f"{path}: Input should be a valid {_WORDS[kind]}")
    return value


def as_dict(value: Any, path: str) -> dict[str, Any]:
    held: dict[str, Any] = as_kind(value, dict, path)
    return held


def as_list(value: Any, path: str) -> list[Any]:
    held: list[Any] = as_kind(value, list, path)
    return held


def missing(path: str) -> EmulatedError:
    return errors.validation(f"{path}: Field required")


def one_of(value: Any, allowed: Sequence[str], path: str) -> None:
    if value not in allowed:
        *others, last = (f"'{name}'" for name in allowed)
        names = f"{', '.join(others)} or {last}" if others else last
        raise errors.validation(f"{path}: Input should be {names}")


def tag(owner: Mapping[str, Any], allowed: Sequence[str], path: str) -> str:
    """What `type` says that this is."""
    kind = owner.get("type")
    if kind not in allowed:
        raise unknown_tag(kind, allowed, path)
    return str(kind)


def unknown_tag(kind: object, allowed: Sequence[str], path: str) -> EmulatedError:
    tags = ", ".join(f"'{name}'" for name in allowed)
    return errors.validation(
        f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
        f"{tags}"
    )
