"""One request on its way through a handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from tenantry.application.context import Idempotency, Progress, RequestContext
from tenantry.domain.errors import BadRequest
from tenantry.domain.tenant import Principal
from tenantry.entrypoints.http import attribution
from tenantry.entrypoints.http.json_body import parse_object
from tenantry.entrypoints.http.routes import Route
from tenantry.entrypoints.http.services import Services
from tenantry.entrypoints.http.wire.request import Request

_QUERY_FIELDS_MAX = 32


@dataclass(slots=True)
class Call:
    """What a handler gets: the request, its route's parameters, who asks, and the use cases."""

    services: Services
    request: Request
    request_id: UUID
    route: Route
    params: Mapping[str, str]
    principal: Principal | None = None
    idempotency: Idempotency | None = None
    progress: Progress = field(default_factory=Progress)
    user: str | None = None  # the end user, once a context was made

    def tenant(self) -> Principal:
        """Who asks, on a tenant's route."""
        assert self.principal is not None, "the route is not a tenant's"
        return self.principal

    def json(self, *, exact: bool = False, long_in: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The body as a JSON object, as `parse_object` reads it. Raises `BadRequest`."""
        return parse_object(self.request.body, exact=exact, long_in=long_in)

    def query(self, *known: str) -> dict[str, str]:
        """The query's members, each at most once and known. Raises `BadRequest`."""
        try:
            pairs = parse_qsl(
                self.request.raw_query,
                keep_blank_values=True,
                strict_parsing=bool(self.request.raw_query),
                errors="strict",
                max_num_fields=_QUERY_FIELDS_MAX,
            )
        except ValueError:
            raise BadRequest("The query string is malformed.") from None
        members: dict[str, str] = {}
        for name, value in pairs:
            if name not in known:
                raise BadRequest(f"Unknown query parameter `{name[:64]}`.")
            if name in members:
                raise BadRequest(f"The query parameter `{name}` was given twice.")
            if "\x00" in value:
                raise BadRequest(f"The query parameter `{name}` holds a NUL character.")
            members[name] = value
        return members

    def faithful_context(self) -> RequestContext:
        """The same of a call whose body nothing is added to."""
        attribution.refuse_knowledge(self.request.headers)
        return self.context()

    def context(self, *, user: str | None = None) -> RequestContext:
        """The context of the use cases; `user` is the body's, the header goes before it."""
        headers = self.request.headers
        self.user = attribution.user_of(headers) or user
        return RequestContext(
            self.request_id,
            self.tenant(),
            user=self.user,
            groups=attribution.groups_of(headers),
            tags=attribution.tags_of(headers),
            run_id=attribution.run_of(headers),
            idempotency=self.idempotency,
            wire=self.route.family,
            progress=self.progress,
        )
