"""One parse in one process: `python -m tenantry.adapters.extraction.worker pdf|docx|html TYPE`.

Reads the file from stdin; writes one line of JSON, `{"pages"}` or `{"code", "message"}`, and after
a `{"pages"}` line the text in UTF-8. Pages are two numbers: all, and those without text. It has
no environment, writes no files, starts no process and leaves no core.
"""

from __future__ import annotations

import json
import resource
import sys

from tenantry.adapters.extraction.worker_limits import CPU_S_MAX, FILES_MAX, MEMORY_BYTES_MAX
from tenantry.domain.errors import TenantryError, Unreadable


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    text, pages = "", None
    try:
        text, pages = _parse(sys.argv[1], sys.stdin.buffer.read(), sys.argv[2])
        line: dict[str, object] = {"pages": pages}
    except TenantryError as error:
        line = {"code": error.code, "message": error.message}
    except MemoryError:
        line = {"code": Unreadable.code, "message": "The document needs too much memory to read."}
    out = sys.stdout.buffer
    out.write(json.dumps(line).encode() + b"\n" + text.encode("utf-8", "ignore"))
    out.flush()


def _parse(kind: str, data: bytes, declared: str) -> tuple[str, tuple[int, int] | None]:
    if kind == "pdf":
        from tenantry.adapters.extraction import pdf

        return pdf.to_text(data)
    if kind == "html":
        from tenantry.adapters.extraction import html

        return html.to_text(data, declared), None
    from tenantry.adapters.extraction import docx

    return docx.to_text(data), None


if __name__ == "__main__":
    main()
