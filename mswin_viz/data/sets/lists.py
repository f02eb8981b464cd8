"""Text files that come with a data set and say which picture or identity belongs to which split."""

from __future__ import annotations

import re
from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """Lines that are not empty, without the blanks around them; bytes that are not UTF-8 are kept escaped."""
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    return [line.strip() for line in text.splitlines() if line.strip()]


def numbers(path: Path) -> set[int]:
    """All whole numbers in a file, whatever stands between them."""
    return {int(number) for number in re.findall(r"\d+", " ".join(read_lines(path)))}
