"""The worker's rounds as the settings make them: each sink gets what it hears of."""

import asyncio
from datetime import timedelta
from pathlib import Path

from standardwebhooks import Webhook
from tests.support.ledger import World, in_world
from tests.support.mail_server import Box, mail_server
from tests.support.outbox import OTHER_SECRET, SECRET, enqueue, receiving, states, until_seen
from tests.support.postgres import Database
from tests.support.stripe_shop import invoice
from tests.support.stripe_stand_in import API_KEY, stripe_stand_in

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.application.delivery import delivery_rounds
from tenantry.bootstrap.outside import outside_of
from tenantry.config import Settings
from tenantry.entrypoints.rounds import run_rounds


def test_the_worker_delivers_by_its_settings(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        box, clock, stop = Box(), SystemClock(), asyncio.Event()
        control_plane.make(tmp_path, DurableFiles())
        key = control_plane.load(tmp_path)
        deliveries = PostgresDeliveries(world.databases.control)
        await deliveries.link_stripe(world.anna.tenant_id, "cus_anna")
        async with (
            receiving() as receiver,
            mail_server(box) as port,
            stripe_stand_in("cus_anna") as stand_in,
        ):
            config = Settings(
                webhook_url=receiver.url,
                webhook_secret=SECRET,
                webhook_secret_previous=OTHER_SECRET,
                smtp_url=f"smtp://127.0.0.1:{port}",
                alert_email_from="alerts@example.com",
                alert_email_to="a@example.org, b@example.org",
                stripe_api_key=API_KEY,
                stripe_api_url=stand_in.url,
                stripe_collection="charge_automatically",
            )
            await enqueue(world, "usage.spike", tenant_id=world.anna.tenant_id)
            await enqueue(world, "invoice.finalised", invoice(), tenant_id=world.anna.tenant_id)
            async with (
                outside_of(config, world.databases, key, clock) as outside,
                delivery_rounds(deliveries, outside, clock, keep=timedelta(days=400)) as rounds,
            ):
                running = asyncio.create_task(run_rounds(rounds, stop))
                await until_seen(
                    lambda: world.databases.control.fetchval(
                        "SELECT count(*) = 4 FROM delivery WHERE state = 'delivered'"
                    )
                )
                stop.set()
                await running
            for secret in (SECRET, OTHER_SECRET):
                for post in receiver.posts:
                    Webhook(secret).verify(post.body, post.headers)
            assert len(receiver.posts) == 2
            assert [mail["to"] for mail in box.mails] == ["a@example.org, b@example.org"]
            assert [amount for _, _, amount in stand_in.collected] == [14_238]
            [made] = stand_in.invoices.values()
            assert made["collection_method"] == "charge_automatically"
            assert {sink for sink, _, _, _ in await states(world)} == {"mail", "stripe", "webhook"}

    in_world(database, body)
