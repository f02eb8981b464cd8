"""The canvas that a pedestrian is drawn on: part labels and relief, and the shapes that both are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageDraw

PARTS = (
    "background", "skin", "skin_far", "feature", "hair", "glasses", "hat", "hat_trim",
    "upper", "upper_far", "upper_trim", "seam", "hood", "logo", "lower", "lower_far", "lower_trim",
    "shoes", "shoes_far", "sole", "bag", "bag_trim", "strap",
)  # fmt: skip
_ID = {name: index for index, name in enumerate(PARTS)}
Point = tuple[float, float]


@dataclass(frozen=True)
class PartCanvas:
    """Two aligned drawings of one person: part labels, and how far each part stands out (for the light).

    Points are in body heights: x from the person's middle, y downwards from the crown.
    """

    labels: ImageDraw.ImageDraw
    relief: ImageDraw.ImageDraw
    x: float  # middle, crown and height of the body, pixels
    top: float
    size: float
    flip: int = 1  # -1 mirrors

    def at(self, point: Point) -> Point:
        """Where a point of the body lies, pixels."""
        return (self.x + self.flip * point[0] * self.size, self.top + point[1] * self.size)


def draw_shape(canvas: PartCanvas, part: str, points: Sequence[Point], relief: int = 150) -> None:
    """A filled polygon of one part."""
    placed = [canvas.at(point) for point in points]
    canvas.labels.polygon(placed, fill=_ID[part])
    canvas.relief.polygon(placed, fill=relief)


def mirrored(half: Sequence[Point]) -> list[Point]:
    """The symmetric outline that has this right half, given from top to bottom."""
    return [*half, *((-x, y) for x, y in reversed(half) if x)]


def draw_oval(canvas: PartCanvas, part: str, centre: Point, radii: Point, relief: int = 190) -> None:
    """A filled ellipse of one part."""
    x, y = canvas.at(centre)
    rx, ry = radii[0] * canvas.size, radii[1] * canvas.size
    canvas.labels.ellipse((x - rx, y - ry, x + rx, y + ry), fill=_ID[part])
    canvas.relief.ellipse((x - rx, y - ry, x + rx, y + ry), fill=relief)


def draw_line(canvas: PartCanvas, part: str, points: Sequence[Point], width: float) -> None:
    """A thin mark that does not stand out."""
    pixels = max(1, round(width * canvas.size))
    canvas.labels.line([canvas.at(point) for point in points], fill=_ID[part], width=pixels)


def draw_limb(
    canvas: PartCanvas, part: str, joints: Sequence[Point], widths: Sequence[float], relief: int = 190
) -> None:
    """A chain of tapering segments with round joints; ``widths`` are half widths."""
    for (x0, y0), (x1, y1), w0, w1 in zip(joints, joints[1:], widths, widths[1:], strict=False):
        length = math.hypot(x1 - x0, y1 - y0) or 1e-6
        nx, ny = (y0 - y1) / length, (x1 - x0) / length
        corners = [(x0 + nx * w0, y0 + ny * w0), (x1 + nx * w1, y1 + ny * w1),
                   (x1 - nx * w1, y1 - ny * w1), (x0 - nx * w0, y0 - ny * w0)]  # fmt: skip
        draw_shape(canvas, part, corners, relief)
    for joint, width in zip(joints, widths, strict=True):
        draw_oval(canvas, part, joint, (width, width), relief)


def between(a: Point, b: Point, t: float) -> Point:
    """The point at the fraction ``t`` of the way from one to the other."""
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
