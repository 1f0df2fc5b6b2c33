"""What became of the rows that a run can not use as they are, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SHOWN = 3


def rejected_lines(rejected: int, reasons: Sequence[str], file: str | None = None) -> list[str]:
    """The first rows that were rejected, with the reason, and where the others are.

    Args:
        rejected: How many rows there are.
        reasons: The first of them, one a line.
        file: Where all of them are.
    """
    lines = [f"  {reason}" for reason in reasons]
    if file is not None:
        lines.append(f"  see {file}")
    elif rejected > len(reasons):
        lines.append(f"  and {rejected - len(reasons):,} more")
    return lines


def gold_warning(outside: Mapping[str, int]) -> str | None:
    """What to say of gold values that are no label of the set; they are left out."""
    if not outside:
        return None
    most = sorted(outside.items(), key=lambda entry: (-entry[1], entry[0]))
    shown = ", ".join(f"{value!r} x{n:,}" for value, n in most[:_SHOWN])
    more = f" and {len(most) - _SHOWN:,} others" if len(most) > _SHOWN else ""
    return f"{sum(outside.values()):,} gold values are not in the label set: {shown}{more}"
