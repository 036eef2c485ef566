"""Who asks: API keys, their cache, and what the control plane does to them."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from tests.support.ledger import MODEL, POOL, World, in_world, synthetic_prices
from tests.support.postgres import Database

from tenantry.domain.catalogue import Model
from tenantry.domain.errors import (
    BadRequest,
    Conflict,
    KeyExpired,
    KeyRevoked,
    KeyWrong,
    NotFound,
    TenantSuspended,
)
from tenantry.domain.plan_values import PlanError
from tenantry.domain.price import PriceError
from tenantry.domain.tenant import Principal, Scope
from tenantry.domain.usage import TokenClass
from tenantry.ports.control import NewKey
from tenantry.ports.directory import Signer

CHAT = Model("a.chat-v1:0", "nova", "chat", 9, 9, "a.chat", alias="chat")
PROFILE = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abc123"
VECTORS = Model("a.vectors-v1:0", "titan_embed", "embedding", 9, 0, "a.vectors", alias="vectors")


def test_a_key_is_its_tenants(database: Database) -> None:
    async def body(world: World) -> None:
        for name, principal in (("anna", world.anna), ("bert", world.bert)):
            key = world.keys[name]
            assert key.bearer.startswith("tk_")
            assert len(key.access_key_id) == 20
            assert len(key.secret_access_key) == 40
            for fresh in (True, False, False):
                assert await world.directory.by_bearer(key.bearer, fresh=fresh) == principal
                signer = await world.directory.by_access_key_id(key.access_key_id, fresh=fresh)
                assert signer == Signer(key.secret_access_key.encode(), principal)
        assert world.anna.tenant.placement == POOL

    in_world(database, body)


@pytest.mark.parametrize("presented", ["", "tk_", "tk_" + "A" * 43, "\x00", "\udcff", "x" * 5_000])
def test_a_wrong_key_is_wrong(database: Database, presented: str) -> None:
    async def body(world: World) -> None:
        with pytest.raises(KeyWrong):
            await world.directory.by_bearer(presented, fresh=False)
        with pytest.raises(KeyWrong):
            await world.directory.by_access_key_id(presented, fresh=False)

    in_world(database, body)


def test_no_secret_lies_in_the_database(database: Database) -> None:
    async def body(world: World) -> None:
        rows = await world.databases.control.fetch("SELECT * FROM api_key")
        stored = b" ".join(
            value if isinstance(value, bytes) else str(value).encode()
            for row in rows
            for column, value in row.items()
            if column != "secret_sealed"  # sealed by who made the world
        )
        for key in world.keys.values():
            assert key.bearer.encode() not in stored
            assert key.secret_access_key.encode() not in stored
            assert key.bearer not in repr(rows)

    in_world(database, body)


def test_what_is_wrong_with_a_key_is_told(database: Database) -> None:
    async def body(world: World) -> None:
        tenant_id = world.anna.tenant_id
        old = datetime.now(UTC) - timedelta(seconds=1)
        expired = await world.control.create_key(tenant_id, expires_at=old)
        with pytest.raises(KeyExpired):
            await world.directory.by_bearer(expired.bearer, fresh=False)
        await world.control.apply_models([Model("m.v1", "nova", "chat", 9, 9, "m", alias="m")])
        key = await world.control.create_key(
            tenant_id, name="spare", scopes=frozenset({Scope.INFER}), models_allowed=frozenset("m")
        )
        principal = await world.directory.by_bearer(key.bearer, fresh=False)
        assert principal.scopes == {Scope.INFER}
        assert principal.models_allowed == {"m"}
        with pytest.raises(NotFound):
            await world.control.revoke_key(world.bert.tenant_id, key.id)
        await world.control.revoke_key(tenant_id, key.id)
        with pytest.raises(KeyRevoked):
            await world.directory.by_bearer(key.bearer, fresh=True)
        shown = {row.id: row for row in await world.control.list_keys(tenant_id)}
        assert shown[key.id].revoked_at is not None
        assert shown[key.id].hint == key.bearer[-4:]
        await world.control.set_suspended(tenant_id, True)
        with pytest.raises(TenantSuspended):
            await world.directory.by_bearer(world.keys["anna"].bearer, fresh=True)
        await world.directory.by_bearer(world.keys["bert"].bearer, fresh=True)
        await world.control.set_suspended(tenant_id, False)
        await world.directory.by_bearer(world.keys["anna"].bearer, fresh=True)

    in_world(database, body)


def test_what_is_wrong_with_a_key_waits_for_its_signature(database: Database) -> None:
    async def body(world: World) -> None:
        async def who(key: NewKey, fresh: bool) -> object:
            signer = await world.directory.by_access_key_id(key.access_key_id, fresh=fresh)
            assert signer.secret == key.secret_access_key.encode()
            return type(signer.who)

        anna, bert = world.keys["anna"], world.keys["bert"]
        old = datetime.now(UTC) - timedelta(seconds=1)
        expired = await world.control.create_key(world.anna.tenant_id, expires_at=old)
        revoked = await world.control.create_key(world.bert.tenant_id)
        await world.control.revoke_key(world.bert.tenant_id, revoked.id)
        await world.control.set_suspended(world.anna.tenant_id, True)
        for fresh in (True, False, False):  # none of them is kept
            assert await who(anna, fresh) is TenantSuspended
            assert await who(expired, fresh) is KeyExpired
            assert await who(revoked, fresh) is KeyRevoked
            assert await who(bert, fresh) is Principal
        await world.control.set_suspended(world.anna.tenant_id, False)
        assert await who(anna, False) is Principal

    in_world(database, body)


def test_tenants_by_id_and_name_in_pages(database: Database) -> None:
    async def body(world: World) -> None:
        anna, bert = world.anna.tenant, world.bert.tenant
        assert await world.control.get_tenant("anna") == anna
        assert await world.control.get_tenant(bert.id) == bert
        assert await world.control.list_tenants(limit=1) == [anna]
        assert await world.control.list_tenants(after=anna.id) == [bert]
        for after in ("zzz", "", "anna", world.keys["anna"].id):
            with pytest.raises(BadRequest, match="`cursor`"):
                await world.control.list_tenants(after=after)
        with pytest.raises(NotFound):
            await world.control.get_tenant("carla")
        with pytest.raises(Conflict):
            await world.control.create_tenant("anna", plan="standard")
        for wrong in (
            {"plan": "none"},
            {"plan": "a\0b"},
            {"plan": "\udcff"},
            {"zone": "Mars/Base"},
            {"zone": "localtime"},
            {"zone": "Factory"},
            {"anchor_day": 0},
            {"currency": "x"},
            {"name": bert.id},
            {"regions_allowed": []},
            {"regions_allowed": ["us-east-1", "Frankfurt"]},
            {"regions_allowed": ["moon-1"]},
        ):
            with pytest.raises(BadRequest):
                await world.control.create_tenant(**{"name": "carla", "plan": "standard", **wrong})  # type: ignore[arg-type]

    in_world(database, body)


BAD_NAMES = ["x\ny", "x" * 201, "a\0b", "a\x1b[2J", "\u202eacme", " ", "\u200c", "\udcff"]
PERSIAN = "\u0645\u06cc\u200c\u0634\u0648\u062f"  # its joiner has no picture and belongs to it


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_tenant_has_a_name_that_can_stand_on_its_invoices(database: Database, name: str) -> None:
    async def body(world: World) -> None:
        for currency in ("USD", "EUR"):
            with pytest.raises(BadRequest, match="name"):
                await world.control.create_tenant(name, plan="standard", currency=currency)
        for right in ("x" * 200, PERSIAN):
            assert (await world.control.create_tenant(right, plan="standard")).name == right

    in_world(database, body)


def test_no_two_tenants_have_names_that_read_alike_for_blanks_or_forms(database: Database) -> None:
    async def body(world: World) -> None:
        control = world.control
        made = await control.create_tenant(" Jose\u0301 ", plan="standard")
        assert made.name == "Jos\u00e9"
        other = await control.create_tenant("Jose", plan="standard")
        for name in ("Jos\u00e9", "Jose\u0301", "Jos\u00e9 "):
            with pytest.raises(Conflict, match="There is a tenant named Jos\u00e9"):
                await control.create_tenant(name, plan="standard")
            assert (await control.get_tenant(name)).id == made.id
        assert (await control.get_tenant("Jose")).id == other.id
        # A tenant of before is found by the name that it has.
        await world.as_superuser(
            "UPDATE tenantry.tenant SET name = $1 WHERE tenant_id = $2", "e\u0301 ", other.id
        )
        assert (await control.get_tenant("e\u0301 ")).id == other.id
        with pytest.raises(NotFound):
            await control.get_tenant("\u00e9")

    in_world(database, body)


def test_an_api_key_has_a_name_that_can_stand_in_a_list(database: Database) -> None:
    async def body(world: World) -> None:
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        for name in [*BAD_NAMES, "x" * 129]:
            with pytest.raises(BadRequest, match="`name` must be 1 to 128 printable"):
                await world.control.create_key(anna, name=name)
        for right in ("", "x" * 128, PERSIAN):
            await world.control.create_key(anna, name=right)
        assert len(await world.control.list_keys(anna)) == 4
        assert len(await world.control.list_keys(bert)) == 1

    in_world(database, body)


def test_a_key_allows_models_of_the_catalogue(database: Database) -> None:
    async def body(world: World) -> None:
        anna = world.anna.tenant_id
        gone = Model("a.gone-v1:0", "nova", "chat", 9, 9, "g", retires_on=date(2020, 1, 1))
        await world.control.apply_models([CHAT, gone])
        for wrong in ("nope", gone.id):
            with pytest.raises(BadRequest, match=f"`models_allowed`: .*{wrong}"):
                await world.control.create_key(anna, models_allowed=frozenset({CHAT.id, wrong}))
        for name in (CHAT.id, "chat", f"us.{CHAT.id}"):
            await world.control.create_key(anna, models_allowed=frozenset({name}))
        assert len(await world.control.list_keys(anna)) == 4

    in_world(database, body)


def test_no_name_is_that_of_two_models(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.apply_models([CHAT, VECTORS])
        other = Model("a.other-v1:0", "nova", "chat", 9, 9, "o")
        fine = dataclasses.replace(other, id="a.fine-v1:0")
        for name in ("chat", CHAT.id):
            taken = dataclasses.replace(other, alias=name)
            words = f"{name} would name two models: {CHAT.id} and {other.id}"
            with pytest.raises(Conflict, match=words):
                await world.control.apply_models([fine, taken])
            assert set(await world.control.list_models()) == {CHAT, VECTORS}
        with pytest.raises(Conflict, match=f"{other.id} is given twice"):
            await world.control.apply_models([other, fine, other])
        assert set(await world.control.list_models()) == {CHAT, VECTORS}
        # Names may move within one file, and a model may have its own id for an alias.
        swapped = [dataclasses.replace(CHAT, alias="vectors"),
                   dataclasses.replace(VECTORS, alias=VECTORS.id)]  # fmt: skip
        await world.control.apply_models(swapped)
        assert set(await world.control.list_models()) == set(swapped)

    in_world(database, body)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"default_model": "a.chta-v1:0"}, "default_model: there is no model 'a.chta-v1:0'"),
        ({"embedding_model": "nope"}, "embedding_model: there is no model 'nope'"),
        ({"embedding_model": "a.chat-v1:0"}, "a.chat-v1:0 is no embedding model"),
        ({"default_model": "vectors"}, "default_model: vectors is no chat model"),
        (
            {"default_model": f"arn:aws:bedrock:us-east-1::foundation-model/{VECTORS.id}"},
            "default_model: .* is no chat model",
        ),
        (
            {"default_model": "chat", "models_allowed": ["vectors"]},
            "default_model: chat is not one of models_allowed",
        ),
        ({"default_model": "arn:aws:bedrock:us-east-1:x"}, "default_model: .* is no ARN"),
        (
            {"models_allowed": ["arn:aws:bedrok:us-east-1::foundation-model/a.chat-v1:0"]},
            "models_allowed: .* is no ARN",
        ),
        (
            {"models_allowed": ["arn:aws:bedrock:us-east-1::foundation-model/a.chta-v1:0"]},
            "models_allowed: there is no model 'arn",
        ),
        ({"models_allowed": ["chat", "chta"]}, "models_allowed: there is no model 'chta'"),
        ({"regions_allowed": ["us-east1"]}, "regions_allowed: 'us-east1' is no AWS region"),
        ({"regions_allowed": ["us-east-1", ""]}, "regions_allowed"),
    ],
)
def test_a_plan_names_models_and_regions_that_there_are(
    database: Database, table: dict[str, object], message: str
) -> None:
    async def body(world: World) -> None:
        await world.control.apply_models([CHAT, VECTORS])
        before = await world.control.list_plans()
        with pytest.raises(PlanError, match=message):
            await world.control.apply_plans({"fine": {}, "standard": table})
        assert await world.control.list_plans() == before
        right = {
            "default_model": "chat",
            "embedding_model": "vectors",
            "models_allowed": [CHAT.id, f"eu.{CHAT.id}", PROFILE],
            "regions_allowed": ["us-east-1", "us-gov-west-1", "eusc-de-east-1", "eu", "global"],
        }
        await world.control.apply_plans({"standard": right})

    in_world(database, body)


def test_an_edition_with_a_tier_of_long_ago_is_still_read(database: Database) -> None:
    async def body(world: World) -> None:
        await world.as_superuser(
            "SET session_replication_role = replica;"
            "UPDATE tenantry.price SET tier = 'gold' WHERE tier = 'priority'"
        )
        prices = await world.directory.prices(reload=True)
        assert any("gold" in price.tiers for price in prices.models.values())

    in_world(database, body)


def test_a_plan_is_read_by_its_name_however_many_there_are(database: Database) -> None:
    async def body(world: World) -> None:
        # Of a later version, say: whoever reads all of them cannot read this one.
        await world.as_superuser(
            "INSERT INTO tenantry.plan (name, version, definition)"
            """ VALUES ('other', 1, '{"of a later version": true}')"""
        )
        with pytest.raises(PlanError):
            await world.control.list_plans()
        await world.control.create_tenant("carl", plan="standard")
        [plan] = await world.control.apply_plans({"standard": {"markup": "2"}})
        assert plan.version == 2

    in_world(database, body)


def test_plans_are_versions(database: Database) -> None:
    async def body(world: World) -> None:
        [plan] = await world.control.list_plans()
        [same] = await world.control.apply_plans({"standard": {"markup": "3.00"}})
        assert same.version == plan.version
        changed, new = await world.control.apply_plans(
            {"standard": {"markup": "4"}, "other": {"models_allowed": ["b", "a"]}}
        )
        assert (changed.version, new.version) == (plan.version + 1, 1)
        assert {p.name: p for p in await world.control.list_plans()} == {
            "standard": changed,
            "other": new,
        }

    in_world(database, body)


def test_a_markup_by_model_is_of_one_in_the_catalogue(database: Database) -> None:
    async def body(world: World) -> None:
        table = {"markup_by_model": {MODEL: "2"}, "markup_by_class": {"out": "1.50"}}
        with pytest.raises(PlanError, match=f"there is no model '{MODEL}'"):
            await world.control.apply_plans({"standard": table})
        await world.control.apply_models([Model(MODEL, "nova", "chat", 300_000, 5_000, MODEL)])
        [stored] = await world.control.apply_plans({"standard": table})
        assert stored in await world.control.list_plans()
        assert stored.markup_of(MODEL).of(TokenClass.OUT) == 2

    in_world(database, body)


def test_prices_that_could_not_be_read_again_are_not_stored(database: Database) -> None:
    async def body(world: World) -> None:
        endless = Decimal("1.1") ** 20  # more digits than a price book's row may have
        with pytest.raises(PriceError):
            await world.control.import_prices(synthetic_prices(endless))
        assert await world.directory.prices(reload=True) == world.prices

    in_world(database, body)


def test_prices_and_models_come_back_as_they_went_in(database: Database) -> None:
    async def body(world: World) -> None:
        edition = synthetic_prices(Decimal("1.5"))
        stored = await world.control.import_prices(edition)
        assert stored == dataclasses.replace(edition, version=world.prices.version + 1)
        assert await world.control.import_prices(edition) == stored, "twice is once"
        assert await world.directory.prices(reload=True) == stored
        assert await world.directory.edition(world.prices.version) == world.prices
        with pytest.raises(NotFound):
            await world.directory.edition(99)

        model = Model(
            "m.v1", "nova", "chat", 300_000, 5_000, "m", alias="m", retires_on=date(2099, 1, 1)
        )
        await world.control.apply_models([model])
        catalogue = await world.directory.catalogue()
        assert catalogue.resolve("m", {}, today=date(2026, 1, 1)).model == model
        assert await world.control.list_models() == [model]

    in_world(database, body)
