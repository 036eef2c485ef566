"""Makes the demo's documents out of Debian's documentation packages.

`python -m tools.corpus UNPACKED` reads the packages named in `sets.toml`, each unpacked with
`dpkg -x` into the folder UNPACKED, and writes `src/tenantry/data/corpus/`. The result is frozen in
the repository; nothing of this runs when Tenantry does.
"""
