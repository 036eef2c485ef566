"""Finding passages: embed the query, search the tenant's partition, see what the groups may."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.application.knowledge import Knowledge, QuerySpaces
from tenantry.domain.access import Permission
from tenantry.domain.chunk import Passage
from tenantry.domain.document import home_of
from tenantry.domain.errors import BadRequest, Conflict, UpstreamRubbish
from tenantry.domain.filter import Filter
from tenantry.domain.tenant import Principal
from tenantry.domain.upload import check_text
from tenantry.ports.vectors import Query

TOP_K_MAX = 50
TOP_K_DEFAULT = 5
QUERY_CHARS_MAX = 8_192


async def search(
    deps: Knowledge,
    principal: Principal,
    query: str,
    spaces: QuerySpaces | None = None,
    *,
    groups: frozenset[str] = frozenset(),
    top_k: int = TOP_K_DEFAULT,
    where: Filter | None = None,
    request: object | None = None,
    most: int = TOP_K_MAX,
    by_words: bool = True,
) -> Sequence[Passage]:
    """The best passages of the principal's tenant by meaning and words, at most `top_k`.

    The query is embedded and metered, unless the tenant never had a document. `spaces`: as read
    when the request was planned (None: as now); the search itself says where the documents have
    moved since. BadRequest for a query or `top_k` out of range (`most`); Conflict where the
    documents need reindexing.
    `by_words` False: by the vector alone, also where an engine could read the query's words.
    """
    check_query(query, top_k, most)
    if spaces is None:
        spaces = await deps.query_spaces(principal)
    if spaces.generation == 0:
        return []
    home = home_of(principal.tenant)
    await deps.keys.check(home)  # before anything is charged for what could not be read

    permitted = Permission(groups, where)
    space = spaces.live
    generation: int | None = spaces.generation
    for last in (False, True):
        vectors = await deps.embedder.embed(principal, [query], "query", request, space)
        if len(vectors) != 1 or len(vectors[0]) != space.dimensions:
            raise UpstreamRubbish(
                f"The embedding model did not return a vector of {space.dimensions} dimensions."
            )
        asked = Query(vectors[0], query if by_words else "", generation)
        try:
            return await deps.vectors.search(home, space.model, asked, top_k, permitted)
        except ValueError as error:
            raise UpstreamRubbish("The embedding model returned an unusable vector.") from error
        except Conflict:
            generation = None
            before, space = space, await deps.space(principal)
            if last or space == before:
                raise
            # A reindex has ended meanwhile: once more, where the documents are now.
    raise AssertionError("the second search returns or raises")


def check_query(query: str, top_k: int, most: int = TOP_K_MAX, *, called: str = "query") -> None:
    """BadRequest for what cannot be searched for. `called`: as whoever asked calls it."""
    if not isinstance(query, str) or not query.strip():
        raise BadRequest(f"The {called} must not be empty.")
    if len(query) > QUERY_CHARS_MAX:
        raise BadRequest(f"The {called} is longer than {QUERY_CHARS_MAX:,} characters.")
    check_text(query, called)
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= most:
        raise BadRequest(f"`top_k` must be a whole number from 1 to {most}.")
