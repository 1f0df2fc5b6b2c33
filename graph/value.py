"""What accuracy is worth in this run."""

from __future__ import annotations

from ..tools.money import show, to_nano
from ..tools.plateau import Value, value_of_accuracy
from .context import RunContext
from .directives import VALUE, taken


def value(ctx: RunContext) -> Value:
    """Worth of accuracy going from 0 to 1, and where the figure comes from.

    What the operator has said on the way wins over the configuration.
    """
    if said := taken(ctx, VALUE):
        point = to_nano(said[-1]["payload"]["point_usd"])
        order = said[-1]["seq"]
        text = f"one point of accuracy is worth {show(point)}, as the operator said (order {order})"
        return Value(point * 100, text)
    return value_of_accuracy(ctx.config.stopping, rows_to_label(ctx), ctx.config.human.label_usd)


def error_cost(ctx: RunContext) -> int:
    """What one wrong label of the pool costs, in nanodollars."""
    stopping = ctx.config.stopping
    return value(ctx).nano // (stopping.items or rows_to_label(ctx))


def rows_to_label(ctx: RunContext) -> int:
    """Texts of the pool that people brought, synthetic ones left out."""
    return int((~ctx.pool.origins()).sum())
