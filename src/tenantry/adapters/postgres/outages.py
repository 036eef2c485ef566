"""What counts as the database being out of reach, named once for every caller."""

import contextlib
from collections.abc import Iterator

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched

from tenantry.adapters.postgres.errors import ClusterNotRunning
from tenantry.domain.errors import TenantryError, TenantSuspended, Unavailable

_OUTAGES = (
    OSError,  # refused, reset, no such socket
    TimeoutError,  # no connection in time, no answer in time
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, cancelled by a time-out
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.PostgresSystemError,  # its disk refuses
    asyncpg.LockNotAvailableError,
    # The connection was lost between two steps of one statement; no host of the URL takes writes.
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,  # a server that has been demoted
    ClusterNotRunning,  # the embedded server, between a death and its next start
)

_SHREDDED = "the tenant is shredded"  # as its triggers say
# asyncpg has no class of its own for a connection that was lost, in use or back in its pool.
_LOST = ("connection is closed", "released back to the pool")

# What asyncpg says of a connection that was cut at work is of its own states.
CUT = "the connection was cut"
LATE = "no answer in time"


def is_cut(failure: BaseException) -> bool:
    """Whether a connection was lost, in use or in its pool, and nobody said why."""
    if isinstance(failure, asyncpg.InternalClientError):
        return not isinstance(failure, TargetServerAttributeNotMatched)
    return isinstance(failure, asyncpg.InterfaceError) and any(
        word in str(failure) for word in _LOST
    )


@contextlib.contextmanager
def outages_are_unavailable() -> Iterator[None]:
    """Turn every sign of an outage into `Unavailable`; what is our bug passes as it is.

    After a failed commit it is unknown whether it holds: callers repeat it idempotently. What a
    shred forbids is refused as for a suspended tenant.
    """
    try:
        yield
    except asyncpg.DiskFullError as reason:
        raise Unavailable("The database's disk is full.") from reason
    except asyncpg.TooManyConnectionsError as reason:
        raise Unavailable("The database has no connection left for us.") from reason
    except _OUTAGES as reason:
        raise Unavailable("The database is out of reach.") from reason
    except asyncpg.ObjectNotInPrerequisiteStateError as refused:
        if _SHREDDED in str(refused):
            raise TenantSuspended("The tenant is shredded.") from None
        raise
    except asyncpg.InterfaceError as reason:
        if is_cut(reason):
            raise Unavailable("The connection to the database was lost.") from reason
        raise


def cause_of(failure: BaseException) -> BaseException:
    """What lies under a refusal; itself where there is nothing."""
    while isinstance(failure, TenantryError) and failure.__cause__ is not None:
        failure = failure.__cause__
    return failure


def why(failure: BaseException) -> str:
    """What lies under a refusal, in words: what the driver or the system said, never nothing."""
    failure = cause_of(failure)
    if is_cut(failure):
        return CUT
    if said := "; ".join(line.strip() for line in str(failure).splitlines() if line.strip()):
        return said
    return LATE if isinstance(failure, TimeoutError) else type(failure).__name__
