"""Access tags inside one tenant: what the request's groups may not see is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import Attack, Verdict, found, held_if, void
from tenantry.entrypoints.audit.exchange import Ask, Reply, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.recipes import chat_over_documents

GROUP: Final = "audit-board"  # of the tagged document
# What a caller without the group may say instead.
_SAID: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "none": ("without a group", {}),
    "other": ("of another group", {"x-tenantry-groups": "audit-staff"}),
    "longer": ("of a group whose name begins alike", {"x-tenantry-groups": f"{GROUP}s"}),
    "upper": ("of the group in capitals", {"x-tenantry-groups": GROUP.upper()}),
    "wild": ("of a group that is a pattern", {"x-tenantry-groups": "%,*,audit-%"}),
    "elsewhere": (
        "with the group in headers that mean nothing",
        {"x-groups": GROUP, "x-forwarded-groups": GROUP, "groups": GROUP},
    ),
}
_ROUTES: Final[Mapping[str, tuple[str, Callable[[Ground], Ask]]]] = {
    "get": (
        "read",
        lambda ground: ask("GET /v1/documents/{id}", {"id": ground.a.things["tagged"]}),
    ),
    "content": (
        "downloaded",
        lambda ground: ask("GET /v1/documents/{id}/content", {"id": ground.a.things["tagged"]}),
    ),
    "list": ("listed", lambda ground: ask("GET /v1/documents", query={"limit": "100"})),
    "search": (
        "found",
        lambda ground: ask("POST /v1/search", body={"query": "board word", "top_k": 50}),
    ),
    "answer": (
        "cited",
        lambda ground: ask("POST /v1/answers", body={"question": "board word?", "top_k": 50}),
    ),
    "chat": ("given to a chat", lambda ground: chat_over_documents(ground, "board word?")),
}


def group_attacks() -> list[Attack]:
    return [
        *(_seen(route, said) for route in _ROUTES for said in _SAID),
        Attack(
            "groups.delete",
            Wall.GROUPS,
            "A tagged document is not removed by a request without its group.",
            _deleted,
            published.ONE_ENDPOINT,
        ),
        Attack(
            "groups.exists",
            Wall.EXISTENCE,
            "A tagged document is refused byte for byte as one that never was.",
            _told,
        ),
        Attack(
            "groups.other-tenant",
            Wall.GROUPS,
            "The same group in tenant B opens nothing of A.",
            _of_b,
        ),
    ]


def _shows(ground: Ground, reply: Reply) -> bool:
    return ground.a.things["tagged"] in reply.text or ground.a.things["tagged-word"] in reply.text


def _seen(route: str, said: str) -> Attack:
    words, made = _ROUTES[route]
    told, headers = _SAID[said]

    def run(ground: Ground) -> Verdict:
        own = ground.send(ground.a, made(ground), headers={"x-tenantry-groups": GROUP})
        # An answer need not cite what it was given: that it may be found shows as much.
        if route != "answer" and not _shows(ground, own):
            return void(f"the group itself was answered {own.shown()} without it")
        if not own.ok:
            return void(f"the group itself was answered {own.shown()}")
        asked = made(ground)
        reply = ground.send(ground.a, asked, headers=headers)
        return held_if(not _shows(ground, reply), "the tagged document was shown")

    return Attack(
        f"groups.{route}-{said}",
        Wall.GROUPS,
        f"A document with an access tag is not {words} by a request {told}.",
        run,
        published.GROUP_SETTING,
    )


def _deleted(ground: Ground) -> Verdict:
    asked = ask("DELETE /v1/documents/{id}", {"id": ground.a.things["tagged"]})
    reply = ground.send(ground.a, asked)
    still = ground.send(ground.a, _ROUTES["get"][1](ground), headers={"x-tenantry-groups": GROUP})
    if not still.ok:
        return found("the tagged document is gone")
    return held_if(reply.status == 404, f"it was answered {reply.shown()}")


def _told(ground: Ground) -> Verdict:
    replies = []
    for name in (ground.a.things["tagged"], "doc_" + "0" * 26):
        reply = ground.send(ground.a, ask("GET /v1/documents/{id}", {"id": name}))
        replies.append(reply.comparable(name))
    return held_if(replies[0] == replies[1], "it is refused otherwise")


def _of_b(ground: Ground) -> Verdict:
    for _, made in _ROUTES.values():
        reply = ground.send(ground.b, made(ground), headers={"x-tenantry-groups": GROUP})
        if _shows(ground, reply) and reply.ok:
            return found("B was shown A's tagged document")
    return held_if(True, "")
