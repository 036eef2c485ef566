"""Finds the operation of a request on its raw path, one segment at a time.

A model id is one segment, however many `%2F` it holds; only then is it decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from bedrock_emulator.engine.types import EmulatedError, Operation

RUNTIME_OPERATIONS: dict[str, Operation] = {
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "count-tokens": "CountTokens",
}
CONTROL_OPERATIONS = {
    ("GET", "logging/modelinvocations"): "GetModelInvocationLoggingConfiguration",
    ("PUT", "logging/modelinvocations"): "PutModelInvocationLoggingConfiguration",
    ("DELETE", "logging/modelinvocations"): "DeleteModelInvocationLoggingConfiguration",
    ("POST", "inference-profiles"): "CreateInferenceProfile",
    ("GET", "inference-profiles"): "ListInferenceProfiles",
    ("POST", "model-invocation-job"): "CreateModelInvocationJob",
    ("GET", "model-invocation-jobs"): "ListModelInvocationJobs",
    ("POST", "tagResource"): "TagResource",
    ("POST", "untagResource"): "UntagResource",
    ("POST", "listTagsForResource"): "ListTagsForResource",
}
PROFILE_OPERATIONS = {"GET": "GetInferenceProfile", "DELETE": "DeleteInferenceProfile"}
RERANK = "/rerank"  # of bedrock-agent-runtime; its body names the model
MODEL_ID_CHARS_MAX = 2_048
COUNT_TOKENS_MODEL_ID_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class RuntimeRoute:
    operation: Operation
    model_id: str  # "" where the body names it


@dataclass(frozen=True, slots=True)
class ControlRoute:
    operation: str
    identifier: str = ""  # what the path names, decoded


@dataclass(frozen=True, slots=True)
class GuardrailRoute:
    """ApplyGuardrail on what the path names, decoded."""

    identifier: str
    version: str
    operation: str = "ApplyGuardrail"


@dataclass(frozen=True, slots=True)
class OwnRoute:
    """One of the emulator's own endpoints, `/_emulator/<name>`."""

    name: str


Route = RuntimeRoute | ControlRoute | GuardrailRoute | OwnRoute


@lru_cache(maxsize=1_024)
def route(method: str, raw_path: str) -> Route:
    """Raises UnknownOperationException (404), or ValidationException for an impossible model id."""
    segments = raw_path.split("/")
    if len(segments) == 4 and segments[1] == "model" and method == "POST":
        operation = RUNTIME_OPERATIONS.get(segments[3])
        if operation is not None:
            return RuntimeRoute(operation, _model_id(segments[2], operation))
    elif raw_path == RERANK and method == "POST":
        return RuntimeRoute("Rerank", "")
    elif segments[1:2] == ["model-invocation-job"] and segments[2:] and segments[2]:
        if len(segments) == 3 and method == "GET":
            return ControlRoute("GetModelInvocationJob", unquote(segments[2]))
        if segments[3:] == ["stop"] and method == "POST":
            return ControlRoute("StopModelInvocationJob", unquote(segments[2]))
    elif len(segments) == 6 and segments[1::2] == ["guardrail", "version", "apply"]:
        if method == "POST" and segments[2] and segments[4]:
            return GuardrailRoute(unquote(segments[2]), unquote(segments[4]))
    elif (method, raw_path[1:]) in CONTROL_OPERATIONS:
        return ControlRoute(CONTROL_OPERATIONS[method, raw_path[1:]])
    elif segments[1:2] == ["inference-profiles"] and len(segments) == 3:
        if segments[2] and method in PROFILE_OPERATIONS:
            return ControlRoute(PROFILE_OPERATIONS[method], unquote(segments[2]))
    elif len(segments) == 3 and segments[1] == "_emulator":
        return OwnRoute(segments[2])
    raise EmulatedError("UnknownOperationException", 404, "The requested operation is not known.")


def _model_id(segment: str, operation: Operation) -> str:
    try:
        model_id = unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise _invalid_model_id() from error
    limit = COUNT_TOKENS_MODEL_ID_CHARS_MAX if operation == "CountTokens" else MODEL_ID_CHARS_MAX
    if not 1 <= len(model_id) <= limit or not model_id.isprintable():
        raise _invalid_model_id()
    return model_id


def _invalid_model_id() -> EmulatedError:
    return EmulatedError("ValidationException", 400, "The provided model identifier is invalid.")
