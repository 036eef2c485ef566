"""What a refusal holds once it was told: nothing of the request.

A traceback holds the frames that an exception went through, and they the request with its body. The
refusal is often held in turn by something in these frames: the future by which a stream's caller is
told, a variable of whoever raised it. Such a circle waits for the collector, which looks for few;
bodies of many refused requests would rest in memory until then, long after they were counted.
"""

from __future__ import annotations


def let_go(error: BaseException) -> None:
    """Of the exception and of all that led to it. What a traceback tells has to be told before."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        each = chain.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            chain += (each.__cause__, each.__context__)
