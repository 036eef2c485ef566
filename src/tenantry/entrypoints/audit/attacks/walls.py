"""The walls as the catalogue has them: what stands open needs no rows and no attack to be seen.

Each is held against what the release makes, by its migrations and of pgvector, so that whatever was
granted, created or altered by hand is found, whether an attack would have come that way or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from tenantry.domain.audit import Outcome, Wall
from tenantry.entrypoints.audit.attack import (
    HELD,
    Attack,
    Run,
    Verdict,
    found,
    held_if,
    not_run,
)
from tenantry.entrypoints.audit.ground import Ground

if TYPE_CHECKING:
    from tenantry.adapters.postgres.walls import Kind
    from tenantry.bootstrap.audit import LocalStores

LocalRun = Callable[[Ground, "LocalStores"], Verdict]
_TOLD_MAX: Final = 3  # of what is wrong; the detail of a result is short
_OTHER_VERSION: Final = "the schema is of another version than this program"


def wall_attacks() -> list[Attack]:
    rows = (
        (
            "strong-role",
            "No role that logs in passes row security, or may become one that crosses.",
            _strong_roles,
        ),
        (
            "policies",
            "Owner, row security and policies of every table are those that this release makes.",
            lambda _, local: _beyond(local, "policy"),
        ),
        (
            "grants",
            "Neither PUBLIC nor a role of Tenantry's has, or will have, more rights than shipped.",
            lambda _, local: _beyond(local, "grant"),
        ),
        (
            "functions",
            "Every function with its owner, search path, body and callers is this release's own.",
            _functions,
        ),
        (
            "triggers",
            "Writes set off the triggers that this release makes, each as it is, and nothing else.",
            lambda _, local: _beyond(local, "trigger"),
        ),
        (
            "settings",
            "No session begins with a setting that passes triggers, policies or names by.",
            lambda _, local: _beyond(local, "setting"),
        ),
        (
            "views",
            "No view shows the roles that serve what its owner may see, and no view keeps a copy.",
            lambda _, local: _ways_around(local, here=True),
        ),
        (
            "copies",
            "No other schema has tenants' rows, or a view of them, for the roles that serve.",
            lambda _, local: _ways_around(local, here=False),
        ),
        ("unforced", "Row security is forced on every table of tenants.", _forced),
    )
    return [Attack(f"rows.{name}", Wall.ROWS, words, locally(run)) for name, words, run in rows]


def locally(run: LocalRun) -> Run:
    """An attack that takes the deployment's own database."""

    def local(ground: Ground) -> Verdict:
        return not_run(ground.not_local) if ground.local is None else run(ground, ground.local)

    return local


def _strong_roles(_: Ground, local: LocalStores) -> Verdict:
    """A superuser passes whatever there is, and so does who copies the server or reads its files.
    On a server of ours there is one, which nothing that serves logs in as; on a server of the
    operator's own they are its administrators'."""
    strong = [row[0] for row in local.catalogue("strong_roles")]
    others = []
    for row in local.catalogue("superusers"):
        if not row["embedded"]:
            others.append(row["name"])
        elif not row["first"]:
            strong.append(f"{row['name']} {row['why']}")
    if strong:
        return found(_told(list(dict.fromkeys(strong))))
    words = f"passed, as everything, by the server's administrators: {', '.join(others)}"
    return Verdict(Outcome.HELD, words) if others else HELD


def _beyond(local: LocalStores, kind: Kind) -> Verdict:
    beyond = local.beyond(kind)
    if beyond is None:
        return not_run(_OTHER_VERSION)
    return held_if(not beyond, _told(beyond))


def _functions(_: Ground, local: LocalStores) -> Verdict:
    elsewhere = [row[0] for row in local.catalogue("functions_elsewhere")]
    return found(_told(elsewhere)) if elsewhere else _beyond(local, "function")


def _ways_around(local: LocalStores, *, here: bool) -> Verdict:
    ways = [row[1] for row in local.catalogue("ways_around") if row[0] is here]
    return held_if(not ways, _told(ways))


def _forced(_: Ground, local: LocalStores) -> Verdict:
    loose = [row[0] for row in local.catalogue("unforced")]
    return held_if(not loose, _told(loose))


def _told(wrong: Sequence[str]) -> str:
    more = f"; and {len(wrong) - _TOLD_MAX} more" if len(wrong) > _TOLD_MAX else ""
    return "; ".join(wrong[:_TOLD_MAX]) + more
