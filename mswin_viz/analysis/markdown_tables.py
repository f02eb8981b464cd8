"""Markdown tables and the numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NO_NUMBER = "\N{EN DASH}"
"""What stands in a cell that was not measured."""


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, padded: bool = False) -> list[str]:
    """Lines of a table; the first column names the rows. ``padded`` cells are as wide as their column."""
    if padded:
        table = [heads, *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        table.insert(1, ["-" * width for width in widths])
        return [_line([cell.ljust(width) for cell, width in zip(row, widths, strict=True)]) for row in table]
    return [_line(heads), "|---" * len(heads) + "|", *map(_line, rows)]


def percent(fraction: float) -> str:
    """With one digit."""
    return f"{100 * fraction:.1f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
