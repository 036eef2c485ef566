"""Plans, models and prices as control writes them: versions that never change once written."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from tenantry.adapters.postgres import catalogues
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.embeddable import embeds_texts
from tenantry.domain.errors import Conflict, NotFound
from tenantry.domain.model_ids import parse_model_id
from tenantry.domain.plan import Plan, plan_from, plan_to_json
from tenantry.domain.plan_values import PlanError, check_name, check_regions
from tenantry.domain.price import PriceEdition, edition_to_rows
from tenantry.domain.vector_lengths import length_near, lengths_in_words, makes
from tenantry.ports.control import EditionRow

_UNSTORED = {"version": 0, "source": ""}
_KINDS: Final = {"default_model": "chat", "embedding_model": "embedding"}


class ControlCatalogues:
    """Each method runs inside the caller's transaction."""

    def __init__(self, sql: Mapping[str, str]) -> None:
        self._sql = sql

    async def plans(
        self,
        connection: Any,
        names: Sequence[str] | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[Plan]:
        """The current versions, of these names alone where they are given: there may be as many
        plans as tenants."""
        rows = await connection.fetch(self._sql["plans"], names, after, limit)
        return [
            plan_from(row["name"], json.loads(row["definition"]), version=row["version"])
            for row in rows
        ]

    async def apply_plans(
        self, connection: Any, tables: Mapping[str, Mapping[str, Any]]
    ) -> list[Plan]:
        for name in tables:
            check_name(name)
        given = [plan_from(name, table) for name, table in tables.items()]
        for plan in given:
            _check_regions(plan)
        await connection.execute(self._sql["lock_catalogues"])
        catalogue = Catalogue(await self.models(connection))
        _check_models(given, tables, catalogue)
        given = [_of_its_length(plan, tables[plan.name].keys(), catalogue) for plan in given]
        present = {plan.name: plan for plan in await self.plans(connection, list(tables))}
        applied = []
        for plan in given:
            old = present.get(plan.name)
            if old is not None and replace(plan, version=old.version) == old:
                applied.append(old)
                continue
            wrong = await connection.fetchrow(self._sql["misplaced"], plan.name, plan.placement)
            if wrong is not None:
                raise PlanError(
                    f"plan {plan.name}: placement: tenant {wrong['tenant_name']} is in a"
                    f" {wrong['kind']}"
                )
            new = replace(plan, version=old.version + 1 if old else 1)
            await connection.execute(self._sql["supersede_plan"], new.name)
            definition = orjson.dumps(plan_to_json(new)).decode()
            await connection.execute(self._sql["insert_plan"], new.name, new.version, definition)
            applied.append(new)
        return applied

    async def models(self, connection: Any) -> list[Model]:
        rows = await connection.fetch(self._sql["models"])
        return [catalogues.to_model(json.loads(row["definition"])) for row in rows]

    async def current_prices(self, connection: Any) -> PriceEdition:
        edition = await connection.fetchrow(self._sql["edition_in_force"])
        if edition is None:
            raise NotFound("There is no price book in force.")
        prices = await connection.fetch(self._sql["edition_prices"], edition["version"])
        return catalogues.to_edition(edition, prices)

    async def editions(self, connection: Any) -> list[EditionRow]:
        rows = await connection.fetch(self._sql["editions"])
        return [EditionRow(**row) for row in rows]

    async def price_edition(self, connection: Any, version: int) -> PriceEdition:
        edition = await connection.fetchrow(self._sql["edition"], version)
        if edition is None:
            raise NotFound(f"There is no price edition {version}.")
        prices = await connection.fetch(self._sql["edition_prices"], version)
        return catalogues.to_edition(edition, prices)

    async def apply_models(self, connection: Any, models: Sequence[Model]) -> None:
        """Raises `Conflict` before anything is written."""
        await connection.execute(self._sql["lock_catalogues"])
        given = {model.id for model in models}
        kept = [model for model in await self.models(connection) if model.id not in given]
        _check_names([*kept, *models])
        for model in models:
            definition = orjson.dumps(catalogues.from_model(model)).decode()
            await connection.execute(self._sql["upsert_model"], model.id, definition)

    async def import_prices(self, connection: Any, edition: PriceEdition) -> PriceEdition:
        """The same edition twice in a row is one edition. Raises `PriceError` for what could not
        be read again: every request reads the edition in force, and the next import this one."""
        rows = edition_to_rows(edition)
        catalogues.to_edition({**_UNSTORED, "effective_from": edition.effective_from}, rows)
        await connection.execute(self._sql["lock_catalogues"])
        latest = await connection.fetchrow(self._sql["latest_edition"])
        if latest is not None:
            prices = await connection.fetch(self._sql["edition_prices"], latest["version"])
            stored = catalogues.to_edition(latest, prices)
            if replace(edition, version=stored.version) == stored:
                return stored
        new = replace(edition, version=latest["version"] + 1 if latest else 1)
        await connection.execute(
            self._sql["insert_edition"], new.version, new.effective_from, new.source
        )
        columns = [[row[place] for row in rows] for place in range(5)]
        await connection.execute(self._sql["insert_prices"], new.version, *columns)
        return new


def _check_names(models: Sequence[Model]) -> None:
    """Conflict for an id or alias that two models share: a caller would reach either."""
    owners: dict[str, str] = {}
    for model in models:
        if owners.get(model.id) == model.id:
            raise Conflict(f"{model.id} is given twice.")
        for name in (model.id, model.alias):
            if name and owners.get(name, model.id) != model.id:
                raise Conflict(f"{name} would name two models: {owners[name]} and {model.id}.")
            if name:
                owners[name] = model.id


def _check_regions(plan: Plan) -> None:
    try:
        check_regions(plan.regions_allowed or ())
    except ValueError as wrong:
        raise PlanError(f"plan {plan.name}: regions_allowed: {wrong}") from None


def _check_models(
    plans: Sequence[Plan], tables: Mapping[str, Mapping[str, Any]], catalogue: Catalogue
) -> None:
    """PlanError for a model that is not in the catalogue: what the plan says of it would never
    hold. Defaults that a table leaves out are not its words."""
    known = {model.id for model in catalogue}
    for plan in plans:
        for model in plan.markup_by_model.keys() - known:
            raise PlanError(f"plan {plan.name}: markup_by_model: there is no model {model!r}")
        if known:
            _check_named(plan, tables[plan.name].keys(), catalogue)


def _of_its_length(plan: Plan, fields: Collection[str], catalogue: Catalogue) -> Plan:
    """The plan with vectors that its embedding model makes: where the table leaves their length
    out, the nearest to the default. PlanError for a length that the model does not make."""
    name = plan.embedding_model
    reference, model = parse_model_id(name), catalogue.named(name)
    model_id = model.id if model else reference.base_id if reference else None
    if model_id is None:
        return plan  # an ARN that may stand for any model: whoever asks it finds out
    if "embedding_dimensions" not in fields:
        return replace(plan, embedding_dimensions=length_near(model_id, plan.embedding_dimensions))
    if not makes(model_id, plan.embedding_dimensions):
        raise PlanError(
            f"plan {plan.name}: embedding_dimensions: {model_id} makes vectors of"
            f" {lengths_in_words(model_id)}"
        )
    return plan


def _check_named(plan: Plan, fields: Collection[str], catalogue: Catalogue) -> None:
    for field, kind in _KINDS.items():
        name = getattr(plan, field)
        model = _named(plan, field, name, catalogue) if field in fields else None
        if model is not None and model.kind != kind:
            raise PlanError(f"plan {plan.name}: {field}: {name[:200]} is no {kind} model")
        if field == "embedding_model" and model is not None and not embeds_texts(model):
            raise PlanError(
                f"plan {plan.name}: embedding_model: documents cannot be embedded with"
                f" {name[:200]} here"
            )
        if field == "default_model" and model is not None and "models_allowed" in fields:
            _check_allowed(plan, model)
    for name in sorted(plan.models_allowed or ()):
        _named(plan, "models_allowed", name, catalogue)


def _named(plan: Plan, field: str, name: str, catalogue: Catalogue) -> Model | None:
    """None: an ARN that is a placement's to know, and may stand for any model."""
    reference = parse_model_id(name)
    if reference is None and name.startswith("arn:"):
        raise PlanError(f"plan {plan.name}: {field}: {name[:200]!r} is no ARN of a model")
    model = catalogue.named(name)
    if model is None and (reference is None or reference.base_id is not None):
        raise PlanError(f"plan {plan.name}: {field}: there is no model {name[:200]!r}")
    return model


def _check_allowed(plan: Plan, model: Model) -> None:
    """What names no model would be refused with the plan's own default."""
    names = {plan.default_model, model.id, model.alias}
    if plan.models_allowed is not None and not names & plan.models_allowed:
        raise PlanError(
            f"plan {plan.name}: default_model: {plan.default_model[:200]} is not one of"
            " models_allowed"
        )
