"""Positive controls: that the same request is served to whom it belongs."""

from __future__ import annotations

from tenantry.entrypoints.audit.attack import HELD, Verdict, found, held_if
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.credentials import Credential
from tenantry.entrypoints.audit.exchange import Ask, Reply
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.recipes import RECIPES, Recipe, own_ask
from tenantry.entrypoints.audit.things import NoSuchThing

_REFUSALS = (401, 403)


def control(ground: Ground, line: str) -> str | None:
    """Why canary A is not served by its own request, or None where it is. Asked once."""
    known = ground.controls.get(line)
    if known is None:
        try:
            reply = ground.send(ground.a, own_ask(ground, ground.a, line))
        except NoSuchThing as problem:
            known = str(problem)
        else:
            served = RECIPES[line].serves(reply.status) and reply.tenant == ground.a.id
            known = "" if served else f"its own tenant is answered {reply.shown()}"
        ground.controls[line] = known
    return known or None


def served_as(who: Canary, reply: Reply, recipe: Recipe | None = None) -> Verdict:
    """Held where the caller was served, and as itself. Foreign words are looked for elsewhere."""
    if reply.tenant != who.id:
        return found("it was not served as the key's tenant")
    through = recipe.serves(reply.status) if recipe is not None else reply.ok
    return held_if(through, f"the key's own tenant was answered {reply.shown()}")


def strangers_only(ground: Ground, asked: Ask, credential: Credential) -> Verdict:
    """Held where a request is refused for who makes it."""
    reply = ground.stranger(asked, credential)
    if reply.status in _REFUSALS and reply.tenant is None:
        return HELD
    return found(f"it was answered {reply.shown()}")
