"""Denials of Bedrock: which are worth asking again, and that none names what is ours."""

from __future__ import annotations

import pytest
from tests.support.core import principal
from tests.support.scripted import Core, context, core
from tests.support.skipping import run

from tenantry.application.calls import ChatCall
from tenantry.domain import errors
from tenantry.ports.model import Failure, FailureKind

NO_ACCESS = "You don't have access to the model with the specified model ID."
NO_RIGHT = "User: arn:aws:sts::1:x is not authorized to perform: bedrock:InvokeModel"
NO_CACHING = "You invoked an unsupported model or your request did not allow prompt caching."
NO_KEY = "Authentication failed: Please make sure your API Key is valid."
DENIED = "AccessDeniedException"
BODY = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


def denied(message: str, error_type: str) -> Failure:
    return Failure(FailureKind.REFUSED, False, message, 403, error_type)


def ask(worker: Core) -> None:
    run(worker.inference.complete(context(principal("acme")), ChatCall("Converse", "claude", BODY)))


@pytest.mark.parametrize(
    ("message", "error_type", "told"),
    [
        (NO_ACCESS, DENIED, errors.ModelNotAllowed),
        (NO_RIGHT, DENIED, errors.ModelNotAllowed),
        (NO_CACHING, DENIED, errors.UpstreamRefused),
        (NO_KEY, DENIED, errors.UpstreamUnavailable),
        (NO_ACCESS, "ExpiredTokenException", errors.UpstreamUnavailable),
        (NO_ACCESS, "UnrecognizedClientException", errors.UpstreamUnavailable),
    ],
)
def test_a_denial_is_told_as_what_it_is_and_costs_nothing(
    message: str, error_type: str, told: type[errors.TenantryError]
) -> None:
    worker = core(denied(message, error_type))
    with pytest.raises(told):
        ask(worker)
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("released", False)
    assert len(worker.model.attempts) == 1


@pytest.mark.parametrize("message", [NO_RIGHT, f"arn:aws:iam::1:x: {NO_CACHING}"])
def test_a_denial_names_neither_account_nor_role(message: str) -> None:
    with pytest.raises(errors.TenantryError) as told:
        ask(core(denied(message, DENIED)))
    assert "arn:" not in told.value.message
