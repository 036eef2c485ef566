"""Where a call may go: regions, accounts, profiles and guardrails that are not the tenant's."""

from __future__ import annotations

from typing import Any, Final

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit.attack import HELD, Attack, Verdict, found, held_if, void
from tenantry.entrypoints.audit.attacks.controls import control, served_as
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.credentials import Signature
from tenantry.entrypoints.audit.exchange import Reply, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.recipes import ALLOWED_GUARDRAIL, names_of, own_ask

NOWHERE: Final = "xx-nowhere-1"  # of a region's form; the only one that canary C may use
_REMOTE: Final = "ap-southeast-9"  # a region of nobody's placement
_OTHER_ACCOUNT: Final = "999999999999"
_PROFILES: Final = ("us", "eu", "apac", "global")
_CALLS: Final = {
    "converse": "POST /model/{model}/converse",
    "invoke": "POST /model/{model}/invoke",
    "stream": "POST /model/{model}/converse-stream",
    "count": "POST /model/{model}/count-tokens",
    "chat": "POST /v1/chat/completions",
    "embedding": "POST /v1/embeddings",
    "guardrail": "POST /guardrail/{id}/version/{version}/apply",
    "answer": "POST /v1/answers",
    "search": "POST /v1/search",
    "upload": "POST /v1/documents",
}


def placement_attacks() -> list[Attack]:
    return [
        Attack(
            "region.own-call",
            Wall.PLACEMENT,
            "A call of a tenant without restriction is served, and a read of a restricted one.",
            _own,
        ),
        *(_forbidden(name, line) for name, line in _CALLS.items()),
        *(_profile(prefix) for prefix in _PROFILES),
        Attack(
            "region.arn-of-other-region",
            Wall.PLACEMENT,
            "A model that is named by an ARN of another region is not called there.",
            lambda ground: _arn(ground, f"arn:aws:bedrock:{_REMOTE}::foundation-model/"),
        ),
        Attack(
            "region.arn-of-other-account",
            Wall.PLACEMENT,
            "An inference profile of another account is not called.",
            lambda ground: _arn(
                ground, f"arn:aws:bedrock:us-east-1:{_OTHER_ACCOUNT}:application-inference-profile/"
            ),
        ),
        Attack(
            "region.signed-for-other",
            Wall.PLACEMENT,
            "A request that is signed for another region stays in the tenant's own placement.",
            _signed_elsewhere,
        ),
        Attack(
            "guardrail.not-allowed",
            Wall.PLACEMENT,
            "A guardrail of the shared account that the plan does not allow cannot be named.",
            _guardrail,
        ),
        Attack(
            "guardrail.not-allowed-in-call",
            Wall.PLACEMENT,
            "Nor can it be named inside a call.",
            _guardrail_in_call,
        ),
    ]


def _converse(ground: Ground, who: Canary, model: str, **more: Any) -> Reply:
    messages = [{"role": "user", "content": [{"text": "Say ok."}]}]
    body = {"messages": messages, "inferenceConfig": {"maxTokens": 16}, **more}
    return ground.send(who, ask("POST /model/{model}/converse", {"model": model}, body=body))


def _chat(ground: Ground) -> str:
    return str(names_of(ground, ground.a)["chat"])


def _own(ground: Ground) -> Verdict:
    read = ground.send(ground.c, ask("GET /v1/limits"))
    if not read.ok:
        return void(f"canary C's read was answered {read.shown()}")
    ground.c.things["served"] = "yes"
    return served_as(ground.a, _converse(ground, ground.a, _chat(ground)))


def _forbidden(name: str, line: str) -> Attack:
    """C's plan is A's; the only difference is that none of its regions is one of the placement."""

    def run(ground: Ground) -> Verdict:
        why = control(ground, line)
        if why is not None:
            return void(why)
        reply = ground.send(ground.c, own_ask(ground, ground.a, line))
        if name == "search":  # where nothing was ever stored, nothing is embedded
            return held_if(reply.json().get("passages") == [] or reply.status == 403, reply.shown())
        if name == "upload":  # the upload is taken; that it is never embedded shows in its state
            state = reply.json().get("status") if reply.ok else None
            return held_if(reply.status == 403 or state != "ready", "it was embedded")
        return held_if(reply.status == 403, f"it was answered {reply.shown()}")

    return Attack(
        f"region.forbidden-{name}",
        Wall.PLACEMENT,
        f"{line} calls no model for a tenant whose allowed regions the placement does not have.",
        run,
    )


def _profile(prefix: str) -> Attack:
    def run(ground: Ground) -> Verdict:
        reply = _converse(ground, ground.c, f"{prefix}.{_chat(ground)}")
        return held_if(reply.status in (400, 403, 404), f"it was answered {reply.shown()}")

    return Attack(
        f"region.profile-{prefix}",
        Wall.PLACEMENT,
        f"A tenant with restricted regions cannot leave them by a cross-region profile `{prefix}`.",
        run,
    )


def _arn(ground: Ground, prefix: str) -> Verdict:
    own = _converse(ground, ground.a, _chat(ground))
    if not own.ok:
        return void(f"its own tenant was answered {own.shown()}")
    reply = _converse(ground, ground.a, prefix + _chat(ground))
    return held_if(reply.status in (400, 403, 404), f"it was answered {reply.shown()}")


def _signed_elsewhere(ground: Ground) -> Verdict:
    key = ground.c.key
    signature = Signature(key.access_key_id, key.secret, ground.now(), region=NOWHERE)
    body = {
        "messages": [{"role": "user", "content": [{"text": "Say ok."}]}],
        "inferenceConfig": {"maxTokens": 16},
    }
    asked = ask("POST /model/{model}/converse", {"model": _chat(ground)}, body=body)
    reply = ground.send(ground.c, asked, signature)
    return held_if(reply.status == 403, f"it was answered {reply.shown()}")


def _guardrail(ground: Ground) -> Verdict:
    line = "POST /guardrail/{id}/version/{version}/apply"
    body = {"source": "INPUT", "content": [{"text": {"text": "Say ok."}}]}
    name, _, version = ALLOWED_GUARDRAIL.partition(":")
    allowed = ground.send(ground.a, ask(line, {"id": name, "version": version}, body=body))
    if allowed.status in (401, 403):
        return void(f"the allowed one was answered {allowed.shown()}")
    for other in ("auditother", "gr1strict"):
        reply = ground.send(ground.a, ask(line, {"id": other, "version": "1"}, body=body))
        if reply.status not in (403, 404) or reply.ok:
            return found(f"another one was answered {reply.shown()}")
    return HELD


def _guardrail_in_call(ground: Ground) -> Verdict:
    config = {"guardrailIdentifier": "auditother", "guardrailVersion": "1"}
    reply = _converse(ground, ground.a, _chat(ground), guardrailConfig=config)
    return held_if(reply.status in (403, 404), f"it was answered {reply.shown()}")
