"""Bedrock's ways to name a model, parsed.

A model is called by its base id (`anthropic.claude-sonnet-4-6`), by a cross-region inference
profile (`us.…`, `global.…`), or by an ARN. Application profiles, provisioned and custom models
do not say which model they stand for: their `base_id` is None until the catalogue resolves it.

Source: Amazon Bedrock API reference, InvokeModel `modelId` (read 2026-11).
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from tenantry.domain.record import record
from tenantry.domain.region import is_region

MODEL_ID_CHARS_MAX: Final = 2_048  # the service model's bound on modelId

# Prefixes of system-defined cross-region profiles; the rest of the id is the base id.
_GEO_PREFIXES: Final = ("us-gov", "apac", "us", "eu", "jp", "au", "ca", "in")
_GLOBAL_PREFIX: Final = "global"


_PATHS_CACHED: Final = 1_024


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


@record
class ModelRef:
    """A parsed identifier; `base_id` is None where only the account knows the model."""

    base_id: str | None
    scope: Scope
    region: str | None  # named by the ARN; None otherwise
    account: str | None
    kind: ModelKind
    resource_id: str  # the profile's, model's or deployment's own id
    profile_prefix: str | None = None  # "us", "global", … of a cross-region profile


_KINDS: Final = frozenset(kind.value for kind in ModelKind)

# provider.model with an optional :version and an optional context suffix (…-v1:0:200k).
_BASE_ID = re.compile(
    r"[a-z0-9-]{1,63}\.[a-z0-9](?:[a-zA-Z0-9._-]{0,127})(?::[a-z0-9]{1,8}){0,2}", re.ASCII
)
_ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z]{1,8}){0,2}):(?P<service>bedrock|sagemaker)"
    r":(?P<region>[a-z0-9-]{1,63})?"
    r":(?P<account>[0-9]{12})?:(?P<kind>[a-z-]{1,32})/(?P<resource>[A-Za-z0-9._:/-]{1,512})",
    re.ASCII,
)


def is_region_or_prefix(text: str) -> bool:
    """Whether it can be an AWS region or the prefix of a cross-region profile."""
    return is_region(text) or is_profile_prefix(text)


def is_profile_prefix(text: str) -> bool:
    """Whether ids of cross-region profiles begin with it, as `us` and `global` do."""
    return _scope_of(text) is not Scope.REGIONAL


def parse_model_id(text: str) -> ModelRef | None:
    """Parse a (percent-decoded) model identifier; None if it is none."""
    if len(text) > MODEL_ID_CHARS_MAX:
        return None
    if text.startswith("arn:"):
        return _parse_arn(text)
    return _parse_plain(text, region=None, account=None)


def _parse_plain(text: str, region: str | None, account: str | None) -> ModelRef | None:
    prefix, _, rest = text.partition(".")
    scope = _scope_of(prefix)
    if scope is Scope.REGIONAL:
        if _BASE_ID.fullmatch(text) is None:
            return None
        return ModelRef(text, scope, region, account, ModelKind.FOUNDATION_MODEL, text)
    nested = _scope_of(rest.partition(".")[0]) is not Scope.REGIONAL  # us.us.… is no profile
    if nested or _BASE_ID.fullmatch(rest) is None:
        return None
    return ModelRef(rest, scope, region, account, ModelKind.INFERENCE_PROFILE, text, prefix)


def _scope_of(prefix: str) -> Scope:
    if prefix == _GLOBAL_PREFIX:
        return Scope.GLOBAL
    return Scope.GEO if prefix in _GEO_PREFIXES else Scope.REGIONAL


def _parse_arn(text: str) -> ModelRef | None:
    match = _ARN.fullmatch(text)
    if match is None or match["kind"] not in _KINDS:
        return None
    kind = ModelKind(match["kind"])
    if (match["service"] == "sagemaker") != (kind is ModelKind.ENDPOINT):
        return None
    resource, region, account = match["resource"], match["region"], match["account"]
    if region is not None and not is_region(region):
        return None
    if kind in (ModelKind.FOUNDATION_MODEL, ModelKind.INFERENCE_PROFILE):
        ref = _parse_plain(resource, region, account)
        return ref if ref is not None and ref.kind is kind else None
    return ModelRef(None, Scope.REGIONAL, region, account, kind, resource)


class Operation(StrEnum):
    """A call of Bedrock on a model; the value is its path's last segment."""

    CONVERSE = "converse"
    CONVERSE_STREAM = "converse-stream"
    INVOKE = "invoke"
    INVOKE_STREAM = "invoke-with-response-stream"
    COUNT_TOKENS = "count-tokens"
    APPLY_GUARDRAIL = "apply"  # on `<id>:<version>` of a guardrail in place of a model
    CREATE_BATCH = "model-invocation-job"  # of the control plane, which names no model in its path
    GET_BATCH = "model-invocation-job/"  # on a job's ARN in place of a model
    RERANK = "rerank"  # of bedrock-agent-runtime, whose body names the model

    @property
    def streams(self) -> bool:
        """Whether the answer is an event stream."""
        return self in (Operation.CONVERSE_STREAM, Operation.INVOKE_STREAM)

    @property
    def service(self) -> str:
        """Whose host answers it; all three sign as `bedrock`."""
        if self in (Operation.CREATE_BATCH, Operation.GET_BATCH):
            return "bedrock"
        return "bedrock-agent-runtime" if self is Operation.RERANK else "bedrock-runtime"

    @property
    def method(self) -> str:
        return "GET" if self is Operation.GET_BATCH else "POST"


@lru_cache(maxsize=_PATHS_CACHED)
def upstream_path(model_id: str, operation: Operation) -> str:
    """The raw path of a call, its model id encoded into one segment as botocore does.

    Raises ValueError for what a URL parser would take for a dot segment.
    """
    if model_id in ("", ".", ".."):
        raise ValueError("not a Bedrock model id")
    if operation in (Operation.CREATE_BATCH, Operation.RERANK):
        return f"/{operation.value}"
    if operation is Operation.GET_BATCH:
        return f"/{operation.value}{quote(model_id, safe='')}"
    if operation is Operation.APPLY_GUARDRAIL:
        identifier, _, version = model_id.rpartition(":")
        return f"/guardrail/{quote(identifier, safe='')}/version/{quote(version, safe='')}/apply"
    return f"/model/{quote(model_id, safe='')}/{operation.value}"
