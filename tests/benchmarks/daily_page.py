"""The page of what a day's questions cost: what ``daily_work.py`` measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PAGE = """# A day's questions with {gallery:,} gallery images

How long do re-ranking, a list of probably wrong identities, or a text search take? `python tests/benchmarks/daily_work.py` measures each, in a separate
process, with {queries:,} queries and {gallery:,} gallery images of {identities:,} drawn identities, in three modalities with features of width {dim}. "Joined" features have
width {wide:,}. It writes [daily_work.json](daily_work.json) and this page. Measured on {machine}. {measured}.

| what | seconds | peak MiB above the program |
|---|---|---|
{rows}

The seconds are those of one run on a machine that others may use too. Where pictures are opened, they are made from the samples that come with the package: small files,
so photographs take longer. What needs the model's tower grows with the tower: extraction is measured in [many images](scale.md).
"""


def daily_page(daily: Mapping[str, Any]) -> str:
    """The page, from what is in ``daily_work.json``."""
    on = daily["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    rows = [
        f"| {what} | {_digits(row['seconds'])} | {row['MiB']:,.0f} |" for what, row in daily["rows"].items()
    ]
    return _PAGE.format(
        **{name: daily[name] for name in ("gallery", "queries", "identities", "dim")},
        wide=3 * daily["dim"],
        machine=f"{on['cores']} cores, {on['system']}, Python {on['python']}; {versions}",
        measured=daily["measured"],
        rows="\n".join(rows),
    )


def _digits(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"
