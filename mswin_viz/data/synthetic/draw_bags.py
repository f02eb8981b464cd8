"""Bags, and the straps they hang from."""

from __future__ import annotations

from dataclasses import dataclass

from mswin_viz.data.synthetic.identity import Identity
from mswin_viz.data.synthetic.part_canvas import PartCanvas, Point, draw_line, draw_oval, draw_shape, mirrored


def draw_bag_body(canvas: PartCanvas, centre: Point, half: Point, relief: int = 225) -> None:
    """The body of a bag with its flap and buckle; ``half`` is half its width and height."""
    (x, y), (w, h) = centre, half
    draw_shape(canvas, "bag", [(x - w * 0.9, y - h), (x + w * 0.9, y - h), (x + w, y + h * 0.8),
        (x + w * 0.85, y + h), (x - w * 0.85, y + h), (x - w, y + h * 0.8)], relief)  # fmt: skip
    draw_shape(canvas, "bag_trim", [(x - w * 0.9, y - h), (x + w * 0.9, y - h), (x + w * 0.5, y - h * 0.1),
        (x - w * 0.5, y - h * 0.1)], relief)  # fmt: skip
    draw_oval(canvas, "strap", (x, y - h * 0.1), (0.008, 0.008), relief)


def draw_handbag(canvas: PartCanvas, hand: Point) -> None:
    """A bag that hangs from a hand by its handle."""
    x, y = hand[0], hand[1] + 0.015
    draw_line(canvas, "strap", [(x - 0.035, y + 0.055), (x - 0.012, y), (x + 0.012, y),
        (x + 0.035, y + 0.055)], 0.011)  # fmt: skip
    draw_bag_body(canvas, (x, y + 0.095), (0.06, 0.045))


@dataclass(frozen=True)
class Trunk:
    """Half widths of a person's trunk, and whether it is seen from the front."""

    shoulder: float
    hip: float
    is_front: bool


def draw_bag_frontal(canvas: PartCanvas, who: Identity, trunk: Trunk, wrist: Point, *, side: int) -> None:
    """The person's bag, if any, seen from the front or from behind; ``side`` is -1 for left in the picture."""
    shoulder = trunk.shoulder
    if who.bag == "backpack" and trunk.is_front:
        for s in (-1, 1):
            draw_line(canvas, "strap", [(s * shoulder * 0.5, 0.148), (s * shoulder * 0.62, 0.25),
                (s * shoulder * 0.9, 0.34)], 0.022)  # fmt: skip
    elif who.bag == "backpack":
        w = shoulder * 0.78
        body = mirrored([(w * 0.75, 0.165), (w, 0.22), (w * 1.04, 0.42), (w * 0.85, 0.445)])
        draw_shape(canvas, "bag", body, 235)
        draw_shape(canvas, "bag_trim", mirrored([(w * 0.7, 0.32), (w * 0.72, 0.42)]), 245)
        draw_line(canvas, "strap", [(-w * 0.8, 0.235), (w * 0.8, 0.235)], 0.01)
        for s in (-1, 1):
            draw_line(canvas, "strap", [(s * w * 0.8, 0.15), (s * w * 0.75, 0.2)], 0.02)
    elif who.bag == "handbag":
        draw_handbag(canvas, (wrist[0] + side * 0.012, wrist[1] + 0.02))
    elif who.bag == "shoulder bag":
        draw_line(canvas, "strap", [(-side * shoulder * 0.55, 0.15), (side * (trunk.hip + 0.012), 0.44)],
            0.017)  # fmt: skip
        draw_bag_body(canvas, (side * (trunk.hip + 0.022), 0.485), (0.056, 0.052))
