"""Flaws of other products that were published, and on which attacks are modelled.

The text is what a report shows beside an attack; none of it is anything that Tenantry does.
"""

from __future__ import annotations

from typing import Final

BY_ID_ALONE: Final = "chroma-core/chroma#7462: a collection found by its id alone"
ONE_ENDPOINT: Final = "danny-avila/rag_api#301, #303: one endpoint without the owner's check"
REPLACE: Final = "vstorm-co/agenticos#1684: the path that replaces is not scoped"
DATASETS: Final = "topoteretes/cognee#3520: what another user's data answers"
SHARED_CACHE: Final = "BerriAI/litellm#29955: a cache whose key names no team"
OTHER_ROUTE: Final = "BerriAI/litellm#16303: a search route that asks nobody's permission"
GROUP_SETTING: Final = "BerriAI/litellm#16304: a team's setting that a key does not obey"
ONE_KEY: Final = "aws-samples/bedrock-access-gateway#18: one API key for everybody"
TENANT_HEADER: Final = (
    "AWS Guidance for Multi-Tenant Generative AI Gateway with Cost and Usage Tracking: the tenant"
    " is read from a request header"
)
EVERY: Final = (
    BY_ID_ALONE,
    ONE_ENDPOINT,
    REPLACE,
    DATASETS,
    SHARED_CACHE,
    OTHER_ROUTE,
    GROUP_SETTING,
    ONE_KEY,
    TENANT_HEADER,
)
