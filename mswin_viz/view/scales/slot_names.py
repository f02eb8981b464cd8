"""What stands in a slot of the fusion, in a word or two."""

from __future__ import annotations

from mswin_viz.analysis.shares.slots import Slot


def slot_name(slot: Slot) -> str:
    """Its scale, its tiles, or that it is off."""
    if slot.kernel == "off":
        return "off"
    return f"{slot.tile[0]}x{slot.tile[1]} tiles" if slot.tile else f"scale {slot.scale}"
