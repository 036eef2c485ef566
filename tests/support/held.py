"""What is still held though it has ended, where no collector looks for circles."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_of(*kinds: type) -> Iterator[Callable[[], list[object]]]:
    """Tells which objects of these kinds came to be within and are still there."""

    def there() -> list[object]:
        return [each for each in gc.get_objects() if type(each) in kinds]

    gc.collect()
    before = there()  # held here, so that no later object has the id of one of them
    known = {id(each) for each in before}
    gc.disable()
    try:
        yield lambda: [each for each in there() if id(each) not in known]
    finally:
        gc.enable()
