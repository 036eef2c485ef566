"""Parts of OpenAI requests."""

import base64
from typing import Any

PNG = base64.b64encode(b"\x89PNG").decode()


def image() -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
