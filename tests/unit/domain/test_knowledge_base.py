"""A tenant's one knowledge base: always the same name, which opens nothing."""

import re

import pytest

from tenantry.domain.errors import NotFound
from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import check_knowledge_base, knowledge_base_of

ANNA, BERT = TenantId("tnt_anna"), TenantId("tnt_bert")


def test_a_name_is_of_the_form_that_the_service_model_has_and_never_changes() -> None:
    names = {knowledge_base_of(TenantId(f"tnt_{n}")) for n in range(2_000)}
    assert len(names) == 2_000
    assert all(re.fullmatch("[0-9a-zA-Z]{10}", name) for name in names)
    # Clients have it in their settings.
    assert knowledge_base_of(ANNA) == "mkVBbCPe6I"


def test_any_name_but_ones_own_does_not_exist() -> None:
    own = knowledge_base_of(ANNA)
    check_knowledge_base(own, ANNA)
    check_knowledge_base(f"arn:aws:bedrock:us-east-1:111111111111:knowledge-base/{own}", ANNA)
    told = set()
    for name in (knowledge_base_of(BERT), "a" * 10, "", own.lower(), f"{own}/", f"x/{own}"):
        with pytest.raises(NotFound) as refused:
            check_knowledge_base(name, ANNA)
        told.add(refused.value.message)
    assert len(told) == 1
