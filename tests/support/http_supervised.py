"""`python -m tests.support.http_supervised HOME [FILES]`: a supervisor as a process of its own.

Prints its three URLs once it serves, and ends like any program that was asked to. With the variable
`MAKE_S` its worker takes so long to start, with `GATE` streams wait for that file; with `FILES` a
worker may open so many.
"""

import dataclasses
import os
import resource
import sys
from pathlib import Path

from tests.support.http_make import make_fixed, make_held, make_late

from tenantry.entrypoints.http.open_files import shares_of, wanted
from tenantry.entrypoints.http.serving import ServeSettings
from tenantry.entrypoints.http.supervisor import Addresses, run


def announce(addresses: Addresses) -> None:
    sys.stdout.write(f"{addresses.admin_url} {addresses.http_url} {addresses.https_url}\n")
    sys.stdout.flush()


def settings_of(home: Path, files: int | None) -> ServeSettings:
    drain_s = 120.0 if "GATE" in os.environ else 2.0
    settings = ServeSettings(home, http_port=0, https_port=0, admin_port=0, drain_s=drain_s)
    if files is None:
        return settings
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    shares = shares_of(files, wanted(1))
    limits = dataclasses.replace(settings.limits, connections=shares.clients)
    return dataclasses.replace(settings, limits=limits, admin_connections=shares.admin)


if __name__ == "__main__":
    given = settings_of(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else None)
    makes = {"MAKE_S": make_late, "GATE": make_held}
    make = next((each for name, each in makes.items() if name in os.environ), make_fixed)
    run(given, make, on_ready=announce)
