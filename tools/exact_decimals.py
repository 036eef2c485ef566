"""A plugin of mypy: nothing computes with a decimal but through `tenantry.domain.money`.

Python's operators on decimals, a mere sign too, `abs`, `sum` and `round` follow the thread's
context, which rounds to 28 digits without a word. A list charge in another currency has more.
Allowed are what is always exact (comparisons, texts, whole parts), a method with a context of its
own (`amount.quantize(step, context=…)`), and the functions of `money`. The plugin sees what is
typed as a decimal: a figure of a database's row, which is `Any`, goes through `money` too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy.plugin import FunctionContext, MethodContext, Plugin
from mypy.types import Type

EXACT: Final = frozenset(
    {
        "__bool__", "__ceil__", "__eq__", "__float__", "__floor__", "__format__", "__ge__",
        "__gt__", "__hash__", "__int__", "__le__", "__lt__", "__ne__", "__str__", "__trunc__",
        "adjusted", "as_integer_ratio", "as_tuple", "from_float", "is_finite", "is_infinite",
        "is_nan", "is_signed", "is_zero",
    }
)  # fmt: skip
ROUNDING: Final = frozenset({"abs", "divmod", "fsum", "mean", "pow", "round", "sum"})
SAYS: Final = "rounds a decimal to 28 digits; tenantry.domain.money has what does not"


class ExactDecimals(Plugin):
    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        owner, _, name = fullname.rpartition(".")
        if owner not in ("decimal.Decimal", "_decimal.Decimal") or name in EXACT:
            return None

        def hook(call: MethodContext) -> Type:
            with_context = "context" in call.callee_arg_names and bool(
                call.args[call.callee_arg_names.index("context")]
            )
            if not with_context:
                call.api.fail(f"{name} {SAYS}", call.context)
            return call.default_return_type

        return hook

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        module, _, name = fullname.rpartition(".")
        if module not in ("builtins", "math", "statistics") or name not in ROUNDING:
            return None

        def hook(call: FunctionContext) -> Type:
            given = [str(kind) for kinds in call.arg_types for kind in kinds]
            if any("decimal.Decimal" in kind for kind in given):
                call.api.fail(f"{name} {SAYS}", call.context)
            return call.default_return_type

        return hook


def plugin(version: str) -> type[Plugin]:
    return ExactDecimals
