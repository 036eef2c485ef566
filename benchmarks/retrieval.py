"""Sealed retrieval: latency beside other engines', exactness, writing, opening; `SCALE=full`: 10M.

`make bench-retrieval` searches one tenant's 10,000 x 1,024 through `SealedPartitions`, warm: from a
query's numbers to five passages, with the manifest in PostgreSQL asked, the key checked, frames
opened and texts read, all awaited one after the other. pgvector (in the same PostgreSQL) and
qdrant-edge (in this process) search the same vectors in clear, by turns with it, in one thread.

1. 10,000 clustered vectors, loaded as 1,000 uploads with their merges; then real embeddings.
2. Writing: documents of 256 vectors, each one fsynced and committed, merges running beside.
3. The first search of 10,000 rows of which neither Tenantry nor the kernel holds anything.
4. A tenant of 1,000,000 x 384.

`SCALE=full` does instead what `retrieval_full.py` says. The last line printed is JSON; a bar that
is missed is told, and the exit status is 0. 1: not measured.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
SCALES = ("default", "full")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default=os.environ.get("SCALE", "default"))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--real", type=int, default=10_000, help="rows of real embeddings; 0: none")
    parser.add_argument("--whale", type=int, default=1_000_000, help="rows; 0: none")
    chosen = parser.parse_args(arguments)
    if chosen.scale not in SCALES:
        parser.error(f"SCALE is one of {', '.join(SCALES)}")
    if any(os.environ.get(name) != "1" for name in THREADS):
        # Read when the libraries are loaded, so this process has to begin anew.
        environment = os.environ | dict.fromkeys(THREADS, "1")
        given = list(sys.argv[1:] if arguments is None else arguments)
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.retrieval", *given], environment
        )
    if chosen.scale == "full":
        from benchmarks.retrieval_full import main_full

        return main_full()
    from benchmarks.retrieval_parts import measured

    return measured(chosen.rounds, chosen.real, chosen.whale)


if __name__ == "__main__":
    sys.exit(main())
