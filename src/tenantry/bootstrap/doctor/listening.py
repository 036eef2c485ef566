"""What `doctor` finds of placements that answer from this machine, as the demo's do: whether
anything listens there. Nothing is sent, and no other machine is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from tenantry.config import Settings
from tenantry.domain.placement import Placement, is_on_this_machine

ENDPOINTS_MAX: Final = 32  # more are not tried; few machines have two
LISTENS_S: Final = 2.0
NOTHING_LISTENS: Final = "nothing listens at"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


async def unheard(config: Settings, placements: Iterable[Placement]) -> list[str]:
    """A problem for each placement whose endpoint on this machine nothing listens at."""
    urls = {each.id: each.endpoint_url or config.bedrock_endpoint_url for each in placements}
    here = {
        place: url for place, url in urls.items() if url is not None and is_on_this_machine(url)
    }
    tried = sorted(set(here.values()))[:ENDPOINTS_MAX]
    dead = set(await _silent(tried))
    return [
        f"placement {place}: {NOTHING_LISTENS} {url}, so nobody in it is answered"
        for place, url in here.items()
        if url in dead
    ]


async def _silent(urls: Sequence[str]) -> list[str]:
    answers = await asyncio.gather(*map(_listens, urls))
    return [url for url, listens in zip(urls, answers, strict=True) if not listens]


async def _listens(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 443)
    try:
        async with asyncio.timeout(LISTENS_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except OSError:  # a time-out is one
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
