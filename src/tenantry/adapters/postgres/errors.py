"""What can go wrong with the database cluster; each docstring is the default message.

DatabaseError
├── ClusterError            the embedded server
│   ├── ClusterUnsupported  ├── ClusterMismatch   ├── ClusterInUse
│   ├── ClusterNotRunning   ├── ClusterFailed     └── ClusterDiskFull
├── MigrationError
│   ├── MigrationEdited     ├── SchemaNewer       ├── MigrationBroken
│   ├── MigrationsMissing   ├── StillServing      └── MigrationFailed
├── NotDurable             ├── RolesTaken             ├── LoginRefused
├── ServerTooOld           ├── EncodingUnfit          ├── PoolerBetween
├── PgvectorMissing        ├── RoleTooStrong          ├── WrongServer
└── TenantMissing
"""


class DatabaseError(Exception):
    """The database is not usable."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ClusterError(DatabaseError):
    """The embedded PostgreSQL is not usable."""


class ClusterUnsupported(ClusterError):
    """The embedded PostgreSQL cannot run on this machine; set TENANTRY_DATABASE_URL instead."""


class ClusterMismatch(ClusterError):
    """The data folder does not belong to this home or to this PostgreSQL."""


class ClusterInUse(ClusterError):
    """Another Tenantry runs the database of this home."""


class ClusterNotRunning(ClusterError):
    """No Tenantry runs the database of this home."""


class ClusterFailed(ClusterError):
    """The embedded PostgreSQL did not start."""


class ClusterDiskFull(ClusterError):
    """The disk of the database is full."""


class MigrationError(DatabaseError):
    """The schema cannot be migrated."""


class MigrationEdited(MigrationError):
    """A migration that was applied has been edited since."""


class MigrationsMissing(MigrationError):
    """The schema lacks migrations; run `tenantry migrate`."""


class StillServing(MigrationError):
    """Processes of an older version still serve over the schema that is to be migrated."""


class MigrationFailed(MigrationError):
    """The server refused a migration."""


class SchemaNewer(MigrationError):
    """The schema was written by a newer Tenantry."""


class MigrationBroken(MigrationError):
    """The migration files are not numbered 0001, 0002, ... without a gap."""


class NotDurable(DatabaseError):
    """The server does not make commits durable (fsync, full_page_writes, synchronous_commit)."""


class ServerTooOld(DatabaseError):
    """The server is older than PostgreSQL 16."""


class LoginRefused(DatabaseError):
    """The server does not let our role in."""


class RolesTaken(DatabaseError):
    """The server's roles belong to another deployment."""


class EncodingUnfit(DatabaseError):
    """The database cannot hold every text: its encoding is not UTF8."""


class PoolerBetween(DatabaseError):
    """A connection pooler stands before the server; name the server itself in the URL."""


class WrongServer(DatabaseError):
    """The server that answers is not the one that is worked with, and no other host will do."""


class PgvectorMissing(DatabaseError):
    """The server has no extension `vector`; install pgvector, or have its owner create it."""


class RoleTooStrong(DatabaseError):
    """A database role is a superuser or bypasses row-level security."""


class TenantMissing(DatabaseError):
    """A unit of work needs a tenant."""
