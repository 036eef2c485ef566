"""PostgreSQL as a part of Tenantry: started, watched and ended with it.

Owns: the binaries' place, the data folder, the system user, the guardian process.
Does not own: roles and schema (`..roles`, `..migrate`), which are the same on every server.

Invariants
- One home has one cluster, named by its uuid; one process at a time runs it.
- PostgreSQL never outlives its Tenantry, however that ends, and is shut down cleanly.
- Every login is by scram-sha-256; every socket is loopback or in a folder of mode 0700.
"""

from tenantry.adapters.postgres.embedded.cluster import EmbeddedCluster
from tenantry.adapters.postgres.guardian.status import ClusterStatus

__all__ = ["ClusterStatus", "EmbeddedCluster"]
