"""Whether two answers are equal to the last digit."""

from datetime import date
from decimal import Decimal
from typing import Any

Row = dict[str, Any]


def difference(ours: list[Row], theirs: list[Row]) -> str | None:
    """The first value that differs, in words; None when every value of `theirs`
    is the same in `ours`, row by row. Amounts are compared as exact decimals."""
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, the peer has {len(theirs)}"
    for number, (our_row, their_row) in enumerate(zip(ours, theirs, strict=True), 1):
        for name, expected in their_row.items():
            if not _equal(our_row[name], expected):
                return f"row {number}, {name}: {our_row[name]!r}, the peer has {expected!r}"
    return None


def _equal(ours: Any, theirs: Any) -> bool:
    match theirs:
        case None | bool():
            return ours is theirs or ours == theirs
        case Decimal():
            # An amount is text on the wire; a number would be a float to most.
            return isinstance(ours, str) and Decimal(ours) == theirs
        case int():
            return isinstance(ours, int) and ours == theirs
        case date():
            return ours == theirs.isoformat()
        case str():
            return ours == theirs
    raise TypeError(f"no rule compares {theirs!r}, a {type(theirs).__name__}")
