"""Bedrock's ways to name a model, parsed.

A model is called by its base id (`anthropic.claude-sonnet-4-6`), by a cross-region inference
profile (`us.…`, `global.…`), or by an ARN. Application profiles, provisioned and custom models
do not say which model they stand for: their `base_id` is None until the catalogue resolves it.

Source: Amazon Bedrock API reference, InvokeModel `modelId` (read 2026-11).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

MAX_MODEL_ID_CHARS: Final = 2_048  # the service model's bound on modelId

# Prefixes of system-defined cross-region profiles; the rest of the id is the base id.
_GEO_PREFIXES: Final = ("us-gov", "apac", "us", "eu", "jp", "au", "ca", "in")
_GLOBAL_PREFIX: Final = "global"


class Scope(StrEnum):
    """Where a call may run, which is part of its price."""

    REGIONAL = "regional"
    GEO = "geo"
    GLOBAL = "global"


class ModelKind(StrEnum):
    """What the identifier names; the values are the resource types of the ARNs."""

    FOUNDATION_MODEL = "foundation-model"
    INFERENCE_PROFILE = "inference-profile"
    APPLICATION_PROFILE = "application-inference-profile"
    PROVISIONED_MODEL = "provisioned-model"
    CUSTOM_MODEL = "custom-model"
    CUSTOM_DEPLOYMENT = "custom-model-deployment"
    IMPORTED_MODEL = "imported-model"
    PROMPT = "prompt"
    PROMPT_ROUTER = "prompt-router"
    DEFAULT_PROMPT_ROUTER = "default-prompt-router"
    ENDPOINT = "endpoint"


class UnknownModelId(ValueError):
    """The text is no Bedrock model identifier."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A parsed identifier; `base_id` is None where only the account knows the model."""

    base_id: str | None
    scope: Scope
    region: str | None  # named by the ARN; None otherwise
    account: str | None
    kind: ModelKind
    resource_id: str  # the profile's, model's or deployment's own id


# provider.model with an optional :version and an optional context suffix (…-v1:0:200k).
_BASE_ID = re.compile(
    r"[a-z0-9-]{1,63}\.[a-z0-9](?:[a-zA-Z0-9._-]{0,127})(?::[a-z0-9]{1,8}){0,2}", re.ASCII
)
_ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z]{1,8}){0,2}):(?P<service>bedrock|sagemaker)"
    r":(?P<region>[a-z]{2}(?:-[a-z]{1,9}){1,3}-[0-9]{1,2})?"
    r":(?P<account>[0-9]{12})?:(?P<kind>[a-z-]{1,32})/(?P<resource>[A-Za-z0-9._:/-]{1,512})",
    re.ASCII,
)


def parse_model_id(text: str) -> ModelRef:
    """Parse a (percent-decoded) model identifier. Raises UnknownModelId."""
    if len(text) > MAX_MODEL_ID_CHARS:
        raise UnknownModelId(f"a model id has at most {MAX_MODEL_ID_CHARS} characters")
    if text.startswith("arn:"):
        return _parse_arn(text)
    return _parse_plain(text, region=None, account=None)


def _parse_plain(text: str, region: str | None, account: str | None) -> ModelRef:
    prefix, _, rest = text.partition(".")
    scope = _scope_of(prefix)
    base_id = text if scope is Scope.REGIONAL else rest
    if _BASE_ID.fullmatch(base_id) is None or _scope_of(base_id.partition(".")[0]) is not (
        Scope.REGIONAL
    ):
        raise UnknownModelId("not a Bedrock model id")
    kind = ModelKind.FOUNDATION_MODEL if scope is Scope.REGIONAL else ModelKind.INFERENCE_PROFILE
    return ModelRef(base_id, scope, region, account, kind, text)


def _scope_of(prefix: str) -> Scope:
    if prefix == _GLOBAL_PREFIX:
        return Scope.GLOBAL
    return Scope.GEO if prefix in _GEO_PREFIXES else Scope.REGIONAL


def _parse_arn(text: str) -> ModelRef:
    match = _ARN.fullmatch(text)
    if match is None:
        raise UnknownModelId("not the ARN of a Bedrock model")
    try:
        kind = ModelKind(match["kind"])
    except ValueError as error:
        raise UnknownModelId(f"not a kind of Bedrock model: {match['kind']}") from error
    if (match["service"] == "sagemaker") != (kind is ModelKind.ENDPOINT):
        raise UnknownModelId("service and kind of the ARN contradict each other")
    resource, region, account = match["resource"], match["region"], match["account"]
    if kind in (ModelKind.FOUNDATION_MODEL, ModelKind.INFERENCE_PROFILE):
        ref = _parse_plain(resource, region, account)
        if ref.kind is not kind:
            raise UnknownModelId("kind and id of the ARN contradict each other")
        return ref
    return ModelRef(None, Scope.REGIONAL, region, account, kind, resource)


def encode_model_id(model_id: str) -> str:
    """The identifier as one path segment, encoded as botocore encodes it."""
    if model_id in ("", ".", ".."):  # a URL parser would take the last two for dot segments
        raise UnknownModelId("not a Bedrock model id")
    return quote(model_id, safe="")
