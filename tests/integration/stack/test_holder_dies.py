"""Over the wire: the worker that holds a call dies; the hold stays until the log tells."""

import http.client
import threading
from contextlib import suppress

from tests.support.metered import CLAUDE, MeteredStack
from tests.support.stack import Tenant, wait_until
from tests.support.stack_clients import converse_path


def test_dispatched_is_unknown_and_held(fragile: MeteredStack) -> None:
    anna, bert = fragile.tenants()
    ask = fragile.ask(CLAUDE, 45, 511)
    fragile.rule(anna, "slow_first_token", delay_ms=3_000)
    caller = threading.Thread(target=_call, args=(fragile, anna, ask), daemon=True)
    caller.start()
    wait_until(lambda: fragile.posted(anna).open == [("dispatched", None)], "the dispatch")
    held = fragile.posted(anna)
    assert held.held_cost > 0
    fragile.kill_gateway_worker()
    unknown = fragile.wait_unknown(anna)
    assert (unknown.held_cost, unknown.held_charge) == (held.held_cost, held.held_charge)
    assert (unknown.cost, unknown.charge) == (0, 0)
    caller.join(30)

    wait_until(lambda: fragile.bill(anna), "the bill")
    fragile.log()
    posted = fragile.wait_posted(anna, 1)
    assert posted.attempts[0][:3] == (0, 1, "settled")
    assert (posted.held_cost, posted.held_charge) == (0, 0)
    fragile.revive()
    fragile.agree(anna, bert)


def _call(stack: MeteredStack, tenant: Tenant, ask: dict[str, object]) -> None:
    body = {name: value for name, value in ask.items() if name != "modelId"}
    with suppress(OSError, http.client.HTTPException):  # its worker dies before it answers
        stack.http("POST", converse_path(CLAUDE), body, tenant=tenant)
