"""The index by tenant says what is remembered, through any order of keeping and dropping."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenantry.adapters.postgres.known_keys import Known, KnownKeys
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan
from tenantry.domain.tenant import Principal, Tenant, TenantStatus

MOST = 4
POOL = Placement("pool", "pool", "111111111111", "us-east-1", frozenset({"us-east-1"}))
ANNA, BERT = TenantId("tnt_anna"), TenantId("tnt_bert")
LOOKUPS = {b"a1": ANNA, b"a2": ANNA, "AKIAA": ANNA, b"b1": BERT, b"b2": BERT, "AKIAB": BERT}


def known_of(tenant_id: TenantId, at: float) -> Known:
    tenant = Tenant(tenant_id, tenant_id, TenantStatus.ACTIVE, Plan("free"), POOL)
    return Known(Principal(tenant, ApiKeyId("key_1")), None, at)


STEPS = st.lists(
    st.one_of(
        st.sampled_from(sorted(LOOKUPS, key=str)), st.sampled_from([ANNA, BERT]), st.just(None)
    )
)


@given(STEPS)
def test_a_tenant_is_indexed_while_a_key_of_it_is_known(steps: list[bytes | str | None]) -> None:
    known = KnownKeys(MOST)
    wanted: list[bytes | str] = []  # in the order of their use
    for at, step in enumerate(steps):
        if step in LOOKUPS:
            known.put(step, known_of(LOOKUPS[step], at))
            wanted = [*(one for one in wanted if one != step), step][-MOST:]
        elif step is not None:
            known.forget(TenantId(str(step)))
            wanted = [one for one in wanted if LOOKUPS[one] != step]
        elif wanted:
            assert known.get(wanted[0], since=0) is not None
            wanted = [*wanted[1:], wanted[0]]
        assert list(known._known) == wanted
        index = {whose: {one for one in wanted if LOOKUPS[one] == whose} for whose in (ANNA, BERT)}
        assert known._of_tenant == {whose: some for whose, some in index.items() if some}


def test_what_is_older_than_asked_for_is_not_given() -> None:
    known = KnownKeys(MOST)
    known.put(b"a1", known_of(ANNA, 10.0))
    assert known.get(b"a1", since=10.0) is not None
    assert known.get(b"a1", since=10.1) is None
    assert known.get(b"b1", since=0.0) is None
