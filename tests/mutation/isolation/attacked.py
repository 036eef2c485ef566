"""Some attacks of the audit on a stack of this environment's code: ends with 1 where one is found.

`python -m tests.mutation.isolation.attacked <beginning of attacks' ids>`
"""

from __future__ import annotations

import sys

from tests.support.settings import load_settings
from tests.support.stack import running_stack

from tenantry.bootstrap.audit import local_stores
from tenantry.entrypoints.audit.running import Target, run_audit


def main(only: str) -> int:
    with running_stack() as stack:
        config = load_settings({"TENANTRY_HOME": str(stack.home)})
        report = run_audit(
            Target(stack.url, stack.admin_url, stack.operator_token, only=(only,)),
            lambda tenant: local_stores(config, tenant),
            lambda *_: None,
        )
    for result in report.findings:
        sys.stdout.write(f"{result.outcome}: {result.id}: {result.detail}\n")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
