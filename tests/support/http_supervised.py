"""`python -m tests.support.http_supervised HOME`: a supervisor as a process of its own.

Prints the admin URL once it serves, and ends like any program that was asked to.
"""

import sys
from pathlib import Path

from tests.support.http_make import make_fixed

from tenantry.entrypoints.http.supervisor import Addresses, ServeSettings, run


def announce(addresses: Addresses) -> None:
    sys.stdout.write(f"{addresses.admin_url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    settings = ServeSettings(
        Path(sys.argv[1]), http_port=0, https_port=0, admin_port=0, workers=1, drain_s=2.0
    )
    run(settings, make_fixed, on_ready=announce)
