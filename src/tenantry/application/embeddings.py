"""Embedding texts through the tenant's placement, admitted and metered like any other call.

Owns: the native bodies of embedding models and their answers. A batch of texts is one
reservation of many calls; a failure of one fails the batch.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from tenantry.application.admitted import AdmittedRequest
from tenantry.application.calls import ChatCall, Embedded
from tenantry.application.context import RequestContext
from tenantry.application.gate import Gate
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import PlannedChat, Planning
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.chunk import ChunkLimit
from tenantry.domain.embeddable import beginning_of, chunk_limit, drops_the_end
from tenantry.domain.errors import (
    BadRequest,
    Forbidden,
    LargerThanLimit,
    NotFound,
    TenantryError,
    UpstreamRefused,
    UpstreamRubbish,
)
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal
from tenantry.domain.vector_lengths import length_near, length_to_ask_for, vector_lengths

PARALLEL_CALLS_MAX = 8  # of one request, so that one upload does not fill the connection pool
TEXTS_MAX = 2_048  # of one request: OpenAI's own bound on `input`
COHERE_TEXTS_MAX = 96  # of one call (Bedrock user guide, Cohere Embed)
# Where a body says how long its vectors are to be: at its top, or in one of these members of it.
_HOLDING_THE_WISH = ("embeddingConfig", "singleEmbeddingParams")
_WISHES = ("dimensions", "output_dimension", "outputEmbeddingLength", "embeddingDimension")
_OF_PICTURES = "amazon.titan-embed-image"  # and of texts
# A document's passages and the queries for them are embedded as far as the model takes them; what a
# client has embedded for itself, whole or not at all.
Purpose = Literal["document", "query", "client"]
Vector = Sequence[float]
UNPLANNABLE = (BadRequest, Forbidden, NotFound)  # what planning a call raises


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts that go upstream in one call."""

    chat: ChatCall
    count: int


class Embeddings:
    """One for each worker."""

    def __init__(
        self, gate: Gate, planning: Planning, calls: ModelCalls, tasks: OwnedTasks
    ) -> None:
        self._gate = gate
        self._planning = planning
        self._calls = calls
        self._tasks = tasks

    async def embed_in(
        self, ctx: RequestContext, space: Space, texts: Sequence[str], *, counts: bool
    ) -> Embedded:
        """A batch of a document: a request of its own, which no minute's limit paces."""
        name = self.name_in(ctx.principal, await self._planning.catalogue(), space)
        return await self.embed(
            ctx,
            name,
            texts,
            space.dimensions,
            purpose="document",
            counts_as_request=counts,
            paced_by_minute=False,
        )

    def plan_in(
        self, principal: Principal, catalogue: Catalogue, space: Space, query: str
    ) -> PlannedChat:
        """The call that embedding a query takes."""
        name = self.name_in(principal, catalogue, space)
        return self.plan(principal, catalogue, name, [query], space.dimensions, "query")[0]

    async def can_plan_in(self, principal: Principal, space: Space) -> bool:
        """Whether the call of a query can be planned and priced now."""
        catalogue = await self._planning.catalogue()
        try:
            call = self.plan_in(principal, catalogue, space, "x")
            await self._planning.check_priced(call.planned)
        except UNPLANNABLE:
            return False
        return True

    async def embed(
        self,
        ctx: RequestContext,
        model: str,
        texts: Sequence[str],
        dimensions: int | None,
        *,
        purpose: Purpose = "client",
        counts_as_request: bool = True,
        paced_by_minute: bool = True,
    ) -> Embedded:
        """A request of its own: admitted, embedded, settled; in order of the texts."""
        return await asyncio.shield(
            self._tasks.start(
                self._embed(
                    ctx, model, texts, dimensions, purpose, counts_as_request, paced_by_minute
                ),
                name="embed",
            )
        )

    def plan(
        self,
        principal: Principal,
        catalogue: Catalogue,
        model: str,
        texts: Sequence[str],
        dimensions: int | None,
        purpose: Purpose,
    ) -> list[PlannedChat]:
        """The calls that embedding `texts` takes."""
        if not 0 < len(texts) <= TEXTS_MAX:
            raise BadRequest(f"1 to {TEXTS_MAX} texts can be embedded at once", of="texts")
        resolved = self._planning.resolve(principal, model, catalogue)
        if resolved.model.kind != "embedding":
            raise BadRequest(f"model {resolved.model.id} does not embed", of="model")
        for text in texts:
            if not text.strip():
                raise BadRequest("a text to embed must not be empty", of="texts")
            # No tokeniser makes fewer of them.
            if purpose == "client" and len(text) > resolved.model.window * 8:
                said = f"a text is larger than {resolved.model.window} tokens"
                raise LargerThanLimit(said, of="texts")
        batches = _batches(resolved.model, model, texts, dimensions, purpose)
        return [self._planning.chat(principal, b.chat, catalogue, None) for b in batches]

    async def plan_space(self, principal: Principal) -> Space:
        """Where the plan's embedding model puts texts."""
        plan = principal.tenant.plan
        catalogue = await self._planning.catalogue()
        resolved = self._planning.resolve(principal, plan.embedding_model, catalogue)
        return _space(resolved.model, plan.embedding_dimensions)

    async def chunk_limit(self, principal: Principal, space: Space) -> ChunkLimit:
        """See the port."""
        catalogue = await self._planning.catalogue()
        try:
            return chunk_limit(self._planning.resolve(principal, space.model, catalogue).model)
        except TenantryError:  # told when a text is to be embedded
            return ChunkLimit()

    async def checked_space(
        self, principal: Principal, model: str, dimensions: int | None
    ) -> Space:
        """The space of a model that can be called and priced, by its id; else its refusal. Where
        no dimensions are asked for, the plan's, as near as the model makes them.
        """
        catalogue = await self._planning.catalogue()
        (call,) = self.plan(principal, catalogue, model, ["x"], dimensions, "document")
        await self._planning.check_priced(call.planned)
        found = call.planned.resolved.model
        if dimensions is not None:
            return Space(found.id, dimensions)
        return _space(found, principal.tenant.plan.embedding_dimensions)

    def name_in(self, principal: Principal, catalogue: Catalogue, space: Space) -> str:
        """What a space's model is called by: as the plan does where it is the plan's, since the
        plan may name a profile of it.
        """
        own = principal.tenant.plan.embedding_model
        wanted = self._planning.resolve(principal, space.model, catalogue).model.id
        try:
            planned = self._planning.resolve(principal, own, catalogue).model.id
        except TenantryError:
            return space.model
        return own if planned == wanted else space.model

    async def run(
        self, request: AdmittedRequest, planned: Sequence[PlannedChat], first_call: int = 0
    ) -> list[Vector]:
        """The vectors of planned calls of an admitted request, in order. The caller settles."""
        found: list[list[Vector]] = [[] for _ in planned]
        left = deque(enumerate(planned))

        async def some() -> None:
            try:
                while left:
                    number, call = left.popleft()
                    found[number] = await self._one(request, call, first_call + number)
            except BaseException:
                left.clear()  # one failure fails them all: no further call is paid for
                raise

        work = [asyncio.ensure_future(some()) for _ in range(min(len(left), PARALLEL_CALLS_MAX))]
        try:
            await asyncio.gather(*work)
        except BaseException:
            await asyncio.wait(work)  # each ends by its own time-outs; its outcome must be noted
            raise
        return [vector for vectors in found for vector in vectors]

    async def _one(self, request: AdmittedRequest, call: PlannedChat, number: int) -> list[Vector]:
        await request.begin(call.planned, number, 1)
        reply = await self._calls.plain(request, number, call)
        return _vectors(reply.document, call)

    async def _embed(
        self,
        ctx: RequestContext,
        model: str,
        texts: Sequence[str],
        dimensions: int | None,
        purpose: Purpose,
        counts_as_request: bool,
        paced_by_minute: bool,
    ) -> Embedded:
        catalogue = await self._planning.catalogue()
        planned: list[PlannedChat] = []

        def planner(principal: Principal, most: int | None) -> list[Any]:
            planned[:] = self.plan(principal, catalogue, model, texts, dimensions, purpose)
            return [call.planned for call in planned]

        request = await self._gate.open(
            ctx, planner, counts_as_request=counts_as_request, paced_by_minute=paced_by_minute
        )
        async with request:
            try:
                vectors = await self.run(request, planned)
            except UpstreamRefused:
                if purpose == "document":
                    # Its other passages were not asked for by themselves, and are embedded again.
                    request.waste()
                raise
        return Embedded(
            request_id=ctx.request_id,
            vectors=vectors,
            model=planned[0].planned.resolved.model.id,
            usage=request.usage,
            charge=request.told_charge,
            currency=request.principal.tenant.currency,
        )


def _space(model: Model, wanted: int) -> Space:
    return Space(model.id, length_near(model.id, wanted))


def _batches(
    model: Model, name: str, texts: Sequence[str], dimensions: int | None, purpose: Purpose
) -> list[_Batch]:
    length = length_to_ask_for(model.id, dimensions)
    if purpose != "client":
        texts = [beginning_of(text, model) for text in texts]
    if model.family == "titan_embed":
        wish = _titan_wish(model, length)
        return [_Batch(_call(name, {"inputText": text, **wish}), 1) for text in texts]
    if model.family == "cohere_embed":
        step = COHERE_TEXTS_MAX
        slices = [texts[start : start + step] for start in range(0, len(texts), step)]
        wish = _cohere_wish(model, length, purpose)
        return [_Batch(_call(name, {"texts": list(part), **wish}), len(part)) for part in slices]
    if model.family == "nova_embed" and purpose == "client":  # no plan has it for documents
        bodies = [_nova_body(text, length) for text in texts]
        return [_Batch(_call(name, body), 1) for body in bodies]
    raise BadRequest(f"model {model.id} cannot be used to embed texts here", of="model")


def _call(model: str, body: Mapping[str, Any]) -> ChatCall:
    return ChatCall("InvokeModel", model, body, {"accept": "application/json"})


def _titan_wish(model: Model, length: int | None) -> dict[str, Any]:
    # The second generation makes vectors of length 1 unless told otherwise; the first knows no such
    # member and refuses it.
    if length is None:
        return {}
    if model.id.startswith(_OF_PICTURES):
        return {"embeddingConfig": {"outputEmbeddingLength": length}}
    return {"dimensions": length}


def _nova_body(text: str, length: int | None) -> dict[str, Any]:
    params: dict[str, Any] = {
        "embeddingPurpose": "GENERIC_INDEX",
        "text": {"value": text, "truncationMode": "NONE"},
    }
    if length is not None:
        params["embeddingDimension"] = length
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}


def _cohere_wish(model: Model, dimensions: int | None, purpose: Purpose) -> dict[str, Any]:
    cuts = purpose != "client" and drops_the_end(model)
    wish: dict[str, Any] = {
        "input_type": "search_query" if purpose == "query" else "search_document",
        "truncate": "END" if cuts else "NONE",
        "embedding_types": ["float"],
    }
    if dimensions is not None:
        wish["output_dimension"] = dimensions
    return wish


def _vectors(document: Any, call: PlannedChat) -> list[Vector]:
    """The vectors of one call, in order. UpstreamRubbish for what is none of the wanted length."""
    found: object
    if "embedding" in document:
        found = [document["embedding"]]
    else:
        embeddings = document.get("embeddings")
        found = embeddings.get("float") if isinstance(embeddings, Mapping) else embeddings
        if "singleEmbeddingParams" in call.body and isinstance(found, list):
            vectors = [of for of in found if isinstance(of, Mapping) and "embedding" in of]
            found = [of["embedding"] for of in vectors]  # Nova says what each is of
    wanted = len(call.body["texts"]) if "texts" in call.body else 1
    if not isinstance(found, list) or len(found) != wanted:
        raise UpstreamRubbish("the model's answer holds no embedding for each text")
    length = _length(call)
    if not all(_is_vector(one, length) for one in found):
        said = "the model's answer holds an embedding that is no vector of the length asked for"
        raise UpstreamRubbish(said)
    return found


def _length(call: PlannedChat) -> int | None:
    """How long the vectors of a call are; None where only the model knows."""
    lengths = vector_lengths(call.planned.resolved.model.id)
    if len(lengths) == 1:  # and takes no wish
        return lengths[0]
    held = [call.body, *(call.body.get(name, {}) for name in _HOLDING_THE_WISH)]
    return next((place[name] for place in held for name in _WISHES if name in place), None)


def _is_vector(found: object, length: int | None) -> bool:
    """Whether it is a list of so many numbers, each finite in the 32 bits that callers keep."""
    if not isinstance(found, list) or not set(map(type, found)) <= {int, float}:
        return False
    with suppress(OverflowError):
        return len(found) == (length or len(found) or 1) and all(
            map(math.isfinite, array("f", found))
        )
    return False
