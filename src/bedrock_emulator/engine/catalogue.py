"""The model catalogue: which models exist, what they allow, and how an identifier names one.

An identifier is a base id (`amazon.nova-pro-v1:0`), a cross-region profile id (`us.amazon…`), or
the ARN of a foundation model, an inference profile, an application inference profile or a
provisioned model. The last two are made by customers: a lookup that the caller passes knows them.
"""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from bedrock_emulator.engine import errors

Ttl = Literal["5m", "1h"]
ArnLookup = Callable[[str], str | None]
"""ARN of a created profile or provisioned model -> the model identifier it was made from."""

# Where a cross-region profile may be called from (region prefix) and where it may run.
_PROFILE_REGIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "us": (("us-east-", "us-west-", "ca-central-"), ("us-east-1", "us-east-2", "us-west-2")),
        "eu": (("eu-",), ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3")),
        "apac": (("ap-",), ("ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "ap-south-1")),
        "jp": (("ap-northeast-",), ("ap-northeast-1", "ap-northeast-3")),
        "au": (("ap-southeast-",), ("ap-southeast-2", "ap-southeast-4")),
        "ca": (("ca-",), ("ca-central-1", "ca-west-1")),
        "in": (("ap-south-",), ("ap-south-1", "ap-south-2")),
        "us-gov": (("us-gov-",), ("us-gov-east-1", "us-gov-west-1")),
        "global": (("",), ("us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1")),
    }
)
_ALIAS_DEPTH_MAX = 3  # a provisioned model of a profile of a model is the longest chain there is


@dataclass(frozen=True, slots=True)
class Overhead:
    """Tokens that a family's prompt template adds around what the caller wrote."""

    prompt: int = 0  # once a request
    turn: int = 0  # for each message after the first
    tools: int = 0  # once where tools are offered
    thinking: int = 0  # once where thinking is asked for
    tail: int = 0  # of `prompt`, what stands after the last block and is never cached


@dataclass(frozen=True, slots=True)
class Model:
    """One foundation model. Token figures are tokens of the family's encoding."""

    id: str
    family: str
    plays: Literal["extractive", "obedient", "minilm", "reranker"]
    native: str  # shape of its InvokeModel body
    encoding: str
    window: int
    long_window: int  # where the beta of a million tokens is asked for
    max_output: int  # 0 for embedding and reranking models
    profiles: tuple[str, ...]
    blocks: frozenset[str]  # content blocks it takes besides text and tools
    overhead: Overhead
    burndown: int
    tiers: tuple[str, ...]
    profile_tiers: Mapping[str, tuple[str, ...]]  # by profile, where they are others
    cache_min: int  # 0: no prompt cache
    cache_ttls: tuple[str, ...]
    cache_members: Literal["always", "asked"]
    counts_tokens: bool
    reasons: bool  # thinks aloud without being asked
    reasons_last: bool  # and shows it after its answer, where Converse answers whole
    api_versions: tuple[str, ...]  # that a Messages body may name

    @property
    def embeds(self) -> bool:
        return self.plays == "minilm"

    def called_by(self, profile: str) -> Model:
        """The model as a cross-region profile offers it."""
        tiers = self.profile_tiers.get(profile)
        return self if tiers is None else replace(self, tiers=tiers)

    @property
    def reranks(self) -> bool:
        return self.plays == "reranker"


@dataclass(frozen=True, slots=True)
class Resolved:
    model: Model
    profile: str | None  # "us", "global", …; None for a base id
    called_region: str

    @property
    def places(self) -> tuple[str, ...]:
        """The regions in which a call may run."""
        return (self.called_region,) if self.profile is None else _PROFILE_REGIONS[self.profile][1]

    def inference_region(self, seed: str) -> str:
        """Where this call runs; the same seed runs in the same region."""
        places = self.places
        return places[zlib.crc32(seed.encode("utf-8", "replace")) % len(places)]


@cache
def catalogue() -> Mapping[str, Model]:
    """All models by base id, read once from the package's data."""
    text = files("bedrock_emulator.engine").joinpath("data/catalogue.toml").read_text("utf-8")
    data = tomllib.loads(text)
    models = (_model(row, data["families"][row["family"]]) for row in data["models"])
    return MappingProxyType({model.id: model for model in models})


def _model(row: Mapping[str, Any], family: Mapping[str, Any]) -> Model:
    return Model(
        id=row["id"],
        family=row["family"],
        plays=family["plays"],
        native=row.get("native", family["native"]),
        encoding=family["encoding"],
        window=row["window"],
        long_window=row.get("long_window", row["window"]),
        max_output=row["max_output"],
        profiles=tuple(family["profiles"]),
        blocks=frozenset(family.get("blocks", ())),
        overhead=Overhead(**{**family.get("overhead", {}), **row.get("overhead", {})}),
        burndown=row.get("burndown", 1),
        tiers=tuple(row.get("tiers", ("default",))),
        profile_tiers={name: tuple(t) for name, t in row.get("profile_tiers", {}).items()},
        cache_min=row.get("cache_min", 0),
        cache_ttls=tuple(row.get("cache_ttls", ("5m",))),
        cache_members=family.get("cache_members", "asked"),
        counts_tokens=family.get("counts_tokens", False),
        reasons=row.get("reasons", family.get("reasons", False)),
        reasons_last=row.get("reasons_last", False),
        api_versions=tuple(row.get("api_versions", ("bedrock-2023-05-31",))),
    )


@cache
def system_profiles(region: str) -> Mapping[str, Resolved]:
    """The cross-region profiles that a region may call, by id."""
    return MappingProxyType(
        {
            f"{profile}.{model.id}": Resolved(model.called_by(profile), profile, region)
            for model in catalogue().values()
            for profile in model.profiles
            if region.startswith(_PROFILE_REGIONS[profile][0])
        }
    )


def resolve(model_id: str, account: str, region: str, lookup: ArnLookup | None = None) -> Resolved:
    """The model that an identifier names, seen from an account and region.

    Raises EmulatedError in Bedrock's words where there is none or it is not callable from here.
    """
    for _ in range(_ALIAS_DEPTH_MAX):
        if not model_id.startswith("arn:"):
            return _by_id(model_id, region)
        model_id = _from_arn(model_id, account, region, lookup)
    raise errors.unknown_model()


def _by_id(model_id: str, region: str) -> Resolved:
    models = catalogue()
    if model_id in models:
        return Resolved(models[model_id], None, region)
    prefix, _, rest = model_id.partition(".")
    model = models.get(rest)
    if model is None or prefix not in model.profiles:
        raise errors.unknown_model()
    if not region.startswith(_PROFILE_REGIONS[prefix][0]):
        raise errors.unknown_model()
    return Resolved(model.called_by(prefix), prefix, region)


def _from_arn(arn: str, account: str, region: str, lookup: ArnLookup | None) -> str:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "bedrock" or not parts[1].startswith("aws"):
        raise errors.validation("The provided ARN is invalid.")
    arn_region, arn_account = parts[3], parts[4]
    if arn_region != region:
        raise errors.wrong_region(region)
    kind, _, name = parts[5].partition("/")
    if arn_account not in ("", account):
        raise errors.access_denied(
            f"User is not authorized to perform: bedrock:InvokeModel on resource: {arn}"
        )
    if kind == "foundation-model" and name in catalogue():
        return name
    if kind == "inference-profile" and name.partition(".")[2] in catalogue():
        return name
    if kind in ("application-inference-profile", "provisioned-model"):
        target = lookup(arn) if lookup else None
        if target is None:
            raise errors.not_found(f"Could not find resource with ARN {arn}.")
        return target
    raise errors.unknown_model()
