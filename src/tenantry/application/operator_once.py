"""One run for one idempotency key of the control plane.

    1. key and body become HMACs under the server's pepper
    2. the key is claimed in the store, which decides for all processes
    3. the claimant runs; what was refused frees the key again
    4. the answer is sealed and kept

Invariants: no key runs twice after its run may have written something; an answer that holds a
secret lies in the store as ciphertext alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Final, assert_never
from uuid import UUID

import msgspec

from tenantry.application.idempotency import Whole
from tenantry.domain.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    ResultNotKept,
    TenantryError,
    Unavailable,
)
from tenantry.ports.operator_keys import OperatorKeys

_AAD: Final = b"tenantry/control/operator-key/v1/"
_KEY, _BODY = b"operator-key/v1/", b"operator-body/v1/"
Crypt = Callable[[bytes, bytes], bytes]  # (bytes, AAD) → bytes


class OperatorOnce:
    """`seal` and `open_sealed` are those of the control plane's own key."""

    def __init__(
        self, keys: OperatorKeys, *, pepper: bytes, seal: Crypt, open_sealed: Crypt
    ) -> None:
        self._keys = keys
        self._pepper = pepper
        self._seal = seal
        self._open = open_sealed

    async def run(
        self, key: str, digest: bytes, run_id: UUID, make: Callable[[], Awaitable[Whole]]
    ) -> tuple[Whole, bool]:
        """The answer, and whether it is that of an earlier run. `digest` is the request's.

        Raises `IdempotencyMismatch`, `IdempotencyInFlight`, `ResultNotKept`, and what `make`
        raises.
        """
        key_hmac = self._hmac(_KEY + key.encode())
        claim = await self._keys.claim(key_hmac, self._hmac(_BODY + digest), run_id)
        match claim.outcome:
            case "claimed":
                return await self._claimed(key_hmac, run_id, make), False
            case "kept":
                assert claim.sealed is not None
                kept = self._open(claim.sealed, _AAD + key_hmac)
                return msgspec.msgpack.decode(kept, type=Whole), True
            case "other_body":
                raise IdempotencyMismatch()
            case "running":
                raise IdempotencyInFlight()
            case "lost":
                raise ResultNotKept()
        assert_never(claim.outcome)

    async def _claimed(
        self, key_hmac: bytes, run_id: UUID, make: Callable[[], Awaitable[Whole]]
    ) -> Whole:
        try:
            answer = await make()
        except Unavailable:
            raise  # a commit may hold: the key stays taken, and is lost with its lease
        except TenantryError:
            await self._keys.free(key_hmac, run_id)
            raise
        sealed = self._seal(msgspec.msgpack.encode(answer), _AAD + key_hmac)
        # The work is done: its caller hears of it, and only a repetition is told "not kept".
        with contextlib.suppress(Unavailable):
            await self._keys.keep(key_hmac, run_id, sealed)
        return answer

    def _hmac(self, value: bytes) -> bytes:
        return hmac.digest(self._pepper, value, hashlib.sha256)
