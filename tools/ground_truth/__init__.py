"""Makes questions with known answers out of Debian's documentation packages.

`python -m tools.ground_truth UNPACKED` reads the packages named in `pages.toml`, each unpacked with
`dpkg -x` into the folder UNPACKED, and writes `benchmarks/ground_truth/`. A heading that asks
something is the question; what stands under it is the answer; the heading itself is taken out of
the text, so that nothing is found by its own words. A name that the text defines (a function, a
setting, a result code) is a look-up, answered by the passage its definition begins in. The result
is frozen in the repository; `tools.ground_truth.embed` adds the vectors.
"""
