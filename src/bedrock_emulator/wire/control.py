"""Bedrock's control plane, as far as it is here: invocation logging, inference profiles, tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Resolved, resolve, system_profiles
from bedrock_emulator.inference_profiles import KIND, InferenceProfile, InferenceProfiles
from bedrock_emulator.log_settings import LogSettingsStore, from_document
from bedrock_emulator.regions import bedrock_arn
from bedrock_emulator.wire import answers, profile_requests
from bedrock_emulator.wire.auth import Principal
from bedrock_emulator.wire.batch_requests import BatchRequests
from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.routes import ControlRoute


@dataclass(frozen=True, slots=True)
class ControlCall:
    """One request of a known account in a known region; `identifier` is the path's, decoded."""

    account: str
    region: str
    identifier: str
    request: Request
    caller: str = ""  # its ARN


@dataclass(frozen=True, slots=True)
class ControlPlane:
    log_settings: LogSettingsStore
    profiles: InferenceProfiles
    batches: BatchRequests

    def serve(
        self,
        route: ControlRoute,
        principal: Principal,
        request: Request,
        exchange: Exchange,
        request_id: str,
    ) -> None:
        """Answers with JSON; raises EmulatedError for anything refused."""
        operations: dict[str, Callable[[ControlCall], Any]] = {
            "GetModelInvocationLoggingConfiguration": self._get_logging,
            "PutModelInvocationLoggingConfiguration": self._put_logging,
            "DeleteModelInvocationLoggingConfiguration": self._delete_logging,
            "CreateInferenceProfile": self._create_profile,
            "GetInferenceProfile": self._get_profile,
            "ListInferenceProfiles": self._list_profiles,
            "DeleteInferenceProfile": self._delete_profile,
            "CreateModelInvocationJob": self._create_job,
            "GetModelInvocationJob": self._get_job,
            "ListModelInvocationJobs": self._list_jobs,
            "StopModelInvocationJob": self._stop_job,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }
        account, region = principal.account.id, principal.region
        call = ControlCall(account, region, route.identifier, request, principal.arn)
        document = operations[route.operation](call)
        status = 201 if route.operation == "CreateInferenceProfile" else 200
        headers = {"content-type": answers.JSON, "x-amzn-RequestId": request_id}
        exchange.respond(status, headers, orjson.dumps(document))

    def _get_logging(self, call: ControlCall) -> Any:
        settings = self.log_settings.get(call.account, call.region)
        return {} if settings is None else {"loggingConfig": settings.to_document()}

    def _put_logging(self, call: ControlCall) -> Any:
        body = profile_requests.json_object(call.request.body)
        self.log_settings.put(call.account, call.region, from_document(body))
        return {}

    def _delete_logging(self, call: ControlCall) -> Any:
        self.log_settings.put(call.account, call.region, None)
        return {}

    def _create_profile(self, call: ControlCall) -> Any:
        wanted = profile_requests.wanted_profile(profile_requests.json_object(call.request.body))
        resolve(wanted.copied_from, call.account, call.region)
        profile = self.profiles.create(call.account, call.region, wanted)
        return {"inferenceProfileArn": profile.arn, "status": "ACTIVE"}

    def _get_profile(self, call: ControlCall) -> Any:
        kind, name = _named(call, call.identifier)
        system = system_profiles(call.region).get(name)
        if system is not None and kind in ("", "inference-profile"):
            return _system_document(call, name, system)
        return _document(call, self._find(call, kind, name))

    def _list_profiles(self, call: ControlCall) -> Any:
        page = profile_requests.Page(call.request.raw_query)
        items: list[tuple[str, Any]] = []
        if page.type != "APPLICATION":
            for name, system in system_profiles(call.region).items():
                items.append((f"0 {name}", _system_document(call, name, system)))
        if page.type != "SYSTEM_DEFINED":
            for profile in self.profiles.list(call.account, call.region):
                order = f"1 {profile.created_at} {profile.id}"
                items.append((order, _document(call, profile)))
        shown, following = page.cut(items)
        token = {} if following is None else {"nextToken": following}
        return {"inferenceProfileSummaries": shown, **token}

    def _delete_profile(self, call: ControlCall) -> Any:
        kind, name = _named(call, call.identifier)
        if name in system_profiles(call.region):
            raise errors.validation("A system-defined inference profile cannot be deleted.")
        self.profiles.delete(call.account, call.region, self._find(call, kind, name).id)
        return {}

    def _create_job(self, call: ControlCall) -> Any:
        document = profile_requests.json_object(call.request.body)
        return self.batches.create(call.account, call.region, call.caller, document)

    def _get_job(self, call: ControlCall) -> Any:
        return self.batches.get(call.account, call.region, call.identifier)

    def _list_jobs(self, call: ControlCall) -> Any:
        return self.batches.list(call.account, call.region, call.request.raw_query)

    def _stop_job(self, call: ControlCall) -> Any:
        return self.batches.stop(call.account, call.region, call.identifier)

    def _tag(self, call: ControlCall) -> Any:
        document, profile = self._tagged(call)
        tags = {**profile.tags, **profile_requests.given_tags(document)}
        self.profiles.retag(call.account, call.region, profile.id, tags)
        return {}

    def _untag(self, call: ControlCall) -> Any:
        document, profile = self._tagged(call)
        removed = set(profile_requests.given_tag_keys(document))
        tags = {key: value for key, value in profile.tags.items() if key not in removed}
        self.profiles.retag(call.account, call.region, profile.id, tags)
        return {}

    def _list_tags(self, call: ControlCall) -> Any:
        _, profile = self._tagged(call)
        return {"tags": [{"key": key, "value": value} for key, value in profile.tags.items()]}

    def _tagged(self, call: ControlCall) -> tuple[dict[str, Any], InferenceProfile]:
        """The body, and the profile that its ARN names: only those have tags here."""
        document = profile_requests.json_object(call.request.body)
        kind, name = _named(call, profile_requests.resource_arn(document))
        return document, self._find(call, kind or "no ARN", name)

    def _find(self, call: ControlCall, kind: str, name: str) -> InferenceProfile:
        if kind not in ("", KIND):
            raise errors.not_found(f"Could not find the resource {name}.")
        return self.profiles.find(call.account, call.region, name)


def _named(call: ControlCall, identifier: str) -> tuple[str, str]:
    """Kind and name of an ARN of the caller's; a bare id has no kind."""
    if not identifier.startswith("arn:"):
        return "", identifier
    parts = identifier.split(":", 5)
    if len(parts) != 6 or parts[2] != "bedrock":
        raise errors.validation("The provided ARN is invalid.")
    if parts[3] != call.region:
        raise errors.wrong_region(call.region)
    if parts[4] != call.account:
        raise errors.access_denied(f"User is not authorized to access the resource: {identifier}")
    kind, _, name = parts[5].partition("/")
    return kind, name


def _document(call: ControlCall, profile: InferenceProfile) -> dict[str, Any]:
    resolved = resolve(profile.wanted.copied_from, call.account, call.region)
    document: dict[str, Any] = {"inferenceProfileName": profile.wanted.name}
    if profile.wanted.description is not None:
        document["description"] = profile.wanted.description
    return document | {
        "createdAt": profile.created_at,
        "updatedAt": profile.created_at,
        "inferenceProfileArn": profile.arn,
        "models": _models(resolved),
        "inferenceProfileId": profile.id,
        "status": "ACTIVE",
        "type": "APPLICATION",
    }


def _system_document(call: ControlCall, name: str, resolved: Resolved) -> dict[str, Any]:
    geography, _, model = name.partition(".")
    words = "".join(letter if letter.isalnum() else " " for letter in model)
    return {
        "inferenceProfileName": f"{geography.upper()} {words}"[:64],
        "description": f"Routes requests to {words} in several regions"[:200],
        "inferenceProfileArn": bedrock_arn(call.region, call.account, f"inference-profile/{name}"),
        "models": _models(resolved),
        "inferenceProfileId": name,
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }


def _models(resolved: Resolved) -> list[dict[str, str]]:
    """The foundation model in each region where calls may run."""
    return [
        {"modelArn": bedrock_arn(region, "", f"foundation-model/{resolved.model.id}")}
        for region in resolved.places
    ]
