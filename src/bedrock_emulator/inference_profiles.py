"""Application inference profiles: names of a customer's own for models, with tags to bill them by.

Owns: the profiles of every account and region, kept over restarts in one file for each.
Does not own: system-defined profiles (the catalogue has them), the wire.
Invariants: a profile is durable before its ARN is told; a client request token makes one profile;
no account sees another's; at most PROFILES_MAX live in one account and region.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import orjson

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.files import reading_again, replace_file
from bedrock_emulator.regions import bedrock_arn

PROFILES_MAX = 1_000  # the default that is commonly cited for an account's region
TAGS_MAX = 200  # of one resource (botocore 1.44.5, service model of `bedrock`)
KIND = "application-inference-profile"
_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_CHARS = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks to be made."""

    name: str
    copied_from: str  # ARN of a foundation model or of a system-defined profile
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None  # the client request token


@dataclass(frozen=True, slots=True)
class InferenceProfile:
    id: str
    arn: str
    wanted: Wanted  # as asked for, and what a repeated request is compared with
    tags: Mapping[str, str]  # as they are now
    created_at: str  # ISO 8601


class InferenceProfiles:
    """The profiles of all accounts, one small file for each account and region."""

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime],
        limit: int = PROFILES_MAX,
    ) -> None:
        self._folder = folder
        self._now = now
        self._limit = limit
        self._profiles: dict[tuple[str, str], dict[str, InferenceProfile]] = {}
        self._targets: dict[str, str] = {}  # read by the threads that generate
        for path in sorted(folder.glob("*.json")):
            account, _, region = path.stem.partition("_")
            with reading_again(path):
                for document in orjson.loads(path.read_bytes()):
                    wanted = Wanted(**document.pop("wanted"))
                    self._keep(account, region, InferenceProfile(wanted=wanted, **document))

    def target(self, arn: str) -> str | None:
        """What the profile of an ARN was copied from; None where there is no such profile."""
        return self._targets.get(arn)

    def create(self, account: str, region: str, wanted: Wanted) -> InferenceProfile:
        """Makes a profile durable, or finds the one that the same request made before.

        Raises ConflictException for a token that made another, ServiceQuotaExceededException.
        """
        made = self._profiles.get((account, region), {})
        for profile in made.values():
            if wanted.token is not None and profile.wanted.token == wanted.token:
                if profile.wanted == wanted:
                    return profile
                raise EmulatedError(
                    "ConflictException",
                    400,
                    "The client request token was used with other parameters.",
                )
        if len(made) >= self._limit:
            raise EmulatedError(
                "ServiceQuotaExceededException",
                400,
                f"You have reached the limit of {self._limit} application inference profiles.",
            )
        name = _random_id()
        arn = bedrock_arn(region, account, f"{KIND}/{name}")
        created_at = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        profile = InferenceProfile(name, arn, wanted, wanted.tags, created_at)
        self._keep(account, region, profile)
        self._save(account, region)
        return profile

    def find(self, account: str, region: str, profile_id: str) -> InferenceProfile:
        """Raises ResourceNotFoundException."""
        profile = self._profiles.get((account, region), {}).get(profile_id)
        if profile is None:
            raise errors.not_found(f"Could not find the inference profile {profile_id}.")
        return profile

    def list(self, account: str, region: str) -> list[InferenceProfile]:
        """In the order in which they were made."""
        return list(self._profiles.get((account, region), {}).values())

    def delete(self, account: str, region: str, profile_id: str) -> None:
        """Raises ResourceNotFoundException. Calls by its ARN are refused from now on."""
        profile = self.find(account, region, profile_id)
        del self._profiles[account, region][profile_id]
        del self._targets[profile.arn]
        self._save(account, region)

    def retag(self, account: str, region: str, profile_id: str, tags: Mapping[str, str]) -> None:
        """Replaces all tags. Raises ResourceNotFoundException, TooManyTagsException."""
        profile = self.find(account, region, profile_id)
        check_tag_count(tags)
        self._profiles[account, region][profile_id] = replace(profile, tags=tags)
        self._save(account, region)

    def _keep(self, account: str, region: str, profile: InferenceProfile) -> None:
        self._profiles.setdefault((account, region), {})[profile.id] = profile
        self._targets[profile.arn] = profile.wanted.copied_from

    def _save(self, account: str, region: str) -> None:
        documents = [asdict(profile) for profile in self.list(account, region)]
        replace_file(self._folder / f"{account}_{region}.json", orjson.dumps(documents))


def check_tag_count(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_MAX:
        message = f"A resource has at most {TAGS_MAX} tags."
        raise EmulatedError("TooManyTagsException", 400, message)


def _random_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_CHARS))
