"""What several modalities as one are called."""

from __future__ import annotations


def modality_words(name: str, *, is_equalised: bool = False) -> str:
    """What people read: a modality as it is, ``"NI+TI"`` as "NI and TI together", all three as "three together"."""
    joined = name.split("+")
    if len(joined) == 1 and name != "three_together":
        return name
    words = f"{' and '.join(joined)} together" if len(joined) == 2 else "three together"
    return f"{words}, equalised" if is_equalised else words
