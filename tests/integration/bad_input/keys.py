"""Keys and tenants that were good a moment ago: what was decided holds for the next request."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.metered import MeteredStack
from tests.support.refusals import (
    ASKS,
    DENIED,
    NO_KEY,
    Ask,
    refused,
    traces,
    upstream_requests,
)
from tests.support.stack import Tenant
from tests.support.stack_clients import converse_body

from tenantry.domain.tenant import Scope

every_ask = pytest.mark.parametrize("ask", ASKS, ids=str)
OWN = ("/v1/usage", "/v1/limits", "/v1/invoices", "/v1/documents", "/v1/models")
REVOKE, SUSPEND, EXPIRE = "revoke", "suspend", "expire"
ENDS = {REVOKE: NO_KEY, SUSPEND: DENIED, EXPIRE: NO_KEY}


def end(metered: MeteredStack, tenant: Tenant, how: str) -> None:
    if how == REVOKE:
        metered.control(lambda control: control.revoke_key(tenant.id, tenant.key.id))  # type: ignore[arg-type]
    elif how == SUSPEND:
        metered.control(lambda control: control.set_suspended(tenant.id, True))  # type: ignore[arg-type]
    else:
        metered.rows(
            "UPDATE tenantry.api_key SET expires_at = $2 WHERE api_key_id = $1 RETURNING 1",
            tenant.key.id,
            datetime.now(UTC) - timedelta(seconds=1),
        )


def _counting(ask: Ask) -> str | None:
    """Nova cannot count tokens; Claude can."""
    return "anthropic.claude-haiku-4-5-20251001-v1:0" if ask.name == "count-tokens" else None


class TestKeys:
    """Of tenants whose key, or who themselves, were good a moment ago."""

    @pytest.mark.parametrize("how", ENDS)
    @every_ask
    def test_it_holds_for_the_next_request(self, metered: MeteredStack, ask: Ask, how: str) -> None:
        tenant = metered.tenant()
        first = ask.send(metered, tenant, _counting(ask))
        assert first[0] in (200, 201), first[2]
        before, sent = traces(metered, tenant), upstream_requests(metered)
        end(metered, tenant, how)
        refused(ask.family, ask.send(metered, tenant, _counting(ask)), ENDS[how])
        assert (traces(metered, tenant), upstream_requests(metered)) == (before, sent)

    @pytest.mark.parametrize("how", ENDS)
    def test_also_where_it_was_signed_and_for_what_is_only_read(
        self, metered: MeteredStack, how: str
    ) -> None:
        tenant = metered.tenant()
        sdk = metered.boto3(tenant)
        sdk.converse(modelId="nova-micro", **converse_body(max_tokens=4))
        end(metered, tenant, how)
        with pytest.raises(sdk.exceptions.ClientError) as caught:
            sdk.converse(modelId="nova-micro", **converse_body(max_tokens=4))
        assert caught.value.response["Error"]["Code"] == ENDS[how].bedrock[1]
        for path in OWN:
            family = "openai" if path == "/v1/models" else "tenantry"
            refused(family, metered.http("GET", path, tenant=tenant), ENDS[how])  # type: ignore[arg-type]

    def test_a_resumed_tenant_is_served_again(self, metered: MeteredStack) -> None:
        tenant = metered.tenant()
        sdk = metered.boto3(tenant)
        end(metered, tenant, SUSPEND)
        with pytest.raises(sdk.exceptions.ClientError):
            sdk.converse(modelId="nova-micro", **converse_body(max_tokens=4))
        metered.control(lambda control: control.set_suspended(tenant.id, False))  # type: ignore[arg-type]
        sdk.converse(modelId="nova-micro", **converse_body(max_tokens=4))

    @every_ask
    @pytest.mark.parametrize("key", ["", "tk_" + "0" * 40, "sk-proj-nobody"])
    def test_a_key_that_opens_nothing(self, metered: MeteredStack, ask: Ask, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        refused(ask.family, ask.send(metered, None, headers=headers), NO_KEY)

    @every_ask
    def test_a_key_without_the_scope(self, metered: MeteredStack, ask: Ask) -> None:
        needed = {
            "documents": Scope.DOCUMENTS_WRITE,
            "search": Scope.SEARCH,
            "answers": Scope.SEARCH,
            "answers-stream": Scope.SEARCH,
            "retrieve": Scope.SEARCH,
        }.get(ask.name, Scope.INFER)
        tenant = metered.tenant(scopes=frozenset(Scope) - {needed, Scope.ADMIN})
        assert needed in refused(ask.family, ask.send(metered, tenant, _counting(ask)), DENIED)

    def test_an_operators_token_opens_no_tenant(self, metered: MeteredStack) -> None:
        headers = {"authorization": f"Bearer {metered.operator_token}"}
        for ask in ASKS:
            refused(ask.family, ask.send(metered, None, headers=headers), NO_KEY)
        tenant = metered.tenant()
        status, _, _ = metered.http(
            "GET",
            "/admin/v1/tenants",
            admin=True,
            headers={"authorization": f"Bearer {tenant.key.bearer}"},
        )
        assert status == 401
