"""Whose the sealed objects of this home are."""

from __future__ import annotations

from tenantry.adapters.objects.mark_file import DiskMark
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.object_mark import PostgresMark
from tenantry.application.belonging import Belonging
from tenantry.bootstrap.deployment import accounts_of
from tenantry.config import Settings


def belonging_of(config: Settings, databases: Databases) -> Belonging:
    """The mark in the folder of accounts, and the database's."""
    return Belonging(PostgresMark(databases.control), DiskMark(*accounts_of(config)))
