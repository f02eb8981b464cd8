"""The four places and cameras that see synthetic pedestrians, and the obstacles in front of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFilter

MARGIN = 24  # pixels of the place beyond each edge of the picture, so that shots can be shifted
_ROWS, _COLS = 256 + 2 * MARGIN, 128 + 2 * MARGIN


class Stuff(NamedTuple):
    """What something is made of: its colour (0..255), near-infrared reflectance and warmth (both 0..1)."""

    colour: tuple[int, int, int]
    reflectance: float
    warmth: float


@dataclass(frozen=True)
class Camera:
    """One camera: its place, light and optics; blur is in pixels, noise in grey levels."""

    place: str
    gain: float
    cast: tuple[float, float, float]
    light_from: float  # -1 left .. 1 right
    blur: float
    noise: float
    contrast: float


CAMERAS = (
    Camera(place="park", gain=1.02, cast=(1.0, 1.0, 0.97), light_from=-0.8, blur=0.35, noise=3.0, contrast=1.0),
    Camera(place="hall", gain=1.0, cast=(1.07, 1.0, 0.88), light_from=0.3, blur=0.6, noise=4.0, contrast=0.94),
    Camera(place="street", gain=0.94, cast=(0.95, 0.99, 1.07), light_from=0.9, blur=0.5, noise=5.0, contrast=0.96),
    Camera(place="car park", gain=0.74, cast=(1.04, 0.97, 0.96), light_from=-0.3, blur=0.75, noise=8.0, contrast=0.9),
)  # fmt: skip

_STUFF: dict[str, Stuff] = {
    "sky": Stuff((188, 212, 230), 0.22, 0.05),
    "cloud": Stuff((222, 230, 236), 0.32, 0.07),
    "leaves": Stuff((66, 112, 58), 0.82, 0.17),
    "leaves_dark": Stuff((46, 86, 44), 0.72, 0.15),
    "trunk": Stuff((88, 68, 50), 0.45, 0.18),
    "grass": Stuff((116, 150, 78), 0.78, 0.20),
    "path": Stuff((176, 168, 152), 0.52, 0.26),
    "path_edge": Stuff((146, 138, 122), 0.46, 0.24),
    "wall": Stuff((222, 204, 172), 0.66, 0.30),
    "panel": Stuff((206, 186, 152), 0.60, 0.29),
    "skirting": Stuff((128, 102, 78), 0.40, 0.29),
    "door": Stuff((138, 92, 56), 0.44, 0.33),
    "tiles": Stuff((186, 172, 150), 0.52, 0.26),
    "joint": Stuff((160, 146, 124), 0.46, 0.25),
    "brick": Stuff((150, 86, 70), 0.50, 0.24),
    "mortar": Stuff((172, 120, 104), 0.58, 0.22),
    "frame": Stuff((220, 220, 214), 0.70, 0.26),
    "glass": Stuff((92, 122, 156), 0.16, 0.36),
    "pavement": Stuff((132, 134, 140), 0.44, 0.20),
    "kerb": Stuff((162, 164, 166), 0.52, 0.18),
    "night": Stuff((30, 32, 46), 0.10, 0.06),
    "concrete": Stuff((92, 90, 92), 0.36, 0.14),
    "asphalt": Stuff((62, 60, 62), 0.24, 0.16),
    "paint": Stuff((170, 160, 120), 0.50, 0.15),
    "lamp": Stuff((255, 232, 176), 1.0, 0.40),
    "car": Stuff((70, 44, 92), 0.40, 0.34),
    "tyre": Stuff((26, 26, 28), 0.12, 0.30),
}
_INDEX = {name: index for index, name in enumerate(_STUFF)}


def _park(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    draw.rectangle((0, 0, _COLS, 120), fill=_INDEX["sky"])
    for x, y, r in ((30, 30, 16), (48, 36, 12), (140, 18, 18)):
        draw.ellipse((x - 2 * r, y - r // 2, x + 2 * r, y + r // 2), fill=_INDEX["cloud"])
    for x in (20, 150):
        draw.rectangle((x - 3, 96, x + 3, 140), fill=_INDEX["trunk"])
    for _ in range(34):
        x, y, r = rng.uniform(-5, _COLS + 5), rng.uniform(88, 126), rng.uniform(9, 20)
        draw.ellipse((x - r, y - r, x + r, y + r),
            fill=_INDEX["leaves" if rng.random() < 0.55 else "leaves_dark"])  # fmt: skip
    draw.rectangle((0, 136, _COLS, _ROWS), fill=_INDEX["grass"])
    draw.polygon([(78, 136), (100, 136), (190, _ROWS), (-14, _ROWS)], fill=_INDEX["path_edge"])
    draw.polygon([(80, 136), (98, 136), (180, _ROWS), (-4, _ROWS)], fill=_INDEX["path"])


def _hall(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    draw.rectangle((0, 0, _COLS, 170), fill=_INDEX["wall"])
    for x in range(12, _COLS, 44):
        draw.rectangle((x, 60, x + 32, 150), fill=_INDEX["panel"])
    draw.rectangle((20, 44, 66, 172), fill=_INDEX["skirting"])
    draw.rectangle((24, 48, 62, 172), fill=_INDEX["door"])
    draw.rectangle((0, 164, 19, 172), fill=_INDEX["skirting"])
    draw.rectangle((67, 164, _COLS, 172), fill=_INDEX["skirting"])
    draw.rectangle((0, 173, _COLS, _ROWS), fill=_INDEX["tiles"])
    for y in (180, 192, 210, 234, 264, 300):
        draw.line((0, y, _COLS, y), fill=_INDEX["joint"])
    for x in range(-200, _COLS + 220, 26):
        draw.line((_COLS / 2 + (x - _COLS / 2) * 0.6, 173, _COLS / 2 + (x - _COLS / 2) * 1.7, _ROWS),
            fill=_INDEX["joint"])  # fmt: skip


def _street(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    draw.rectangle((0, 0, _COLS, 176), fill=_INDEX["brick"])
    for row, y in enumerate(range(0, 176, 8)):
        draw.line((0, y, _COLS, y), fill=_INDEX["mortar"])
        for x in range((row % 2) * 8, _COLS, 16):
            draw.line((x, y, x, y + 8), fill=_INDEX["mortar"])
    draw.rectangle((102, 40, 150, 120), fill=_INDEX["frame"])
    draw.rectangle((107, 45, 124, 115), fill=_INDEX["glass"])
    draw.rectangle((128, 45, 145, 115), fill=_INDEX["glass"])
    draw.rectangle((0, 177, _COLS, _ROWS), fill=_INDEX["pavement"])
    draw.rectangle((0, 174, _COLS, 180), fill=_INDEX["kerb"])
    for y in (206, 246):
        draw.line((0, y, _COLS, y), fill=_INDEX["kerb"])


def _car_park(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    draw.rectangle((0, 0, _COLS, 90), fill=_INDEX["night"])
    draw.rectangle((0, 90, _COLS, 150), fill=_INDEX["concrete"])
    for x in (34, 96, 150):
        draw.ellipse((x - 4, 40, x + 4, 48), fill=_INDEX["lamp"])
    draw.rectangle((0, 150, _COLS, _ROWS), fill=_INDEX["asphalt"])
    draw.rounded_rectangle((128, 118, 200, 164), 10, fill=_INDEX["car"])
    draw.polygon([(138, 120), (148, 104), (200, 104), (200, 120)], fill=_INDEX["tyre"])
    draw.ellipse((136, 152, 158, 174), fill=_INDEX["tyre"])
    for x in (10, 70):
        draw.line((x + 20, 152, x - 24, _ROWS), fill=_INDEX["paint"], width=3)


@lru_cache(maxsize=1)
def smooth_noise() -> Float[np.ndarray, "side side"]:
    """A sheet of soft, cloth-like noise around 0, about -1 to 1, of which callers use a part."""
    rng, side, total = np.random.default_rng(20251), 640, 0.0
    for cell, weight in ((4, 0.3), (8, 0.4), (20, 0.6)):
        coarse = Image.fromarray(rng.normal(0, 1, (side // cell, side // cell)).astype(np.float32))
        total = total + weight * np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
    return np.clip(total / 1.6, -1, 1).astype(np.float32)


@lru_cache(maxsize=len(CAMERAS))
def place(camera: int) -> Float[np.ndarray, "rows cols 5"]:
    """The empty place of one camera with its margin: red, green, blue, near infrared, warmth (all 0..255)."""
    rng = np.random.default_rng([41, camera])
    plan = Image.new("L", (_COLS, _ROWS))
    (_park, _hall, _street, _car_park)[camera](ImageDraw.Draw(plan), rng)
    table = np.array([(*rgb, 255 * nir, 255 * warm) for rgb, nir, warm in _STUFF.values()], np.float32)
    scene = table[np.asarray(plan)]
    grain = smooth_noise()[:_ROWS, :_COLS, None] * np.array([0.09, 0.09, 0.09, 0.1, 0.06], np.float32)
    depth = np.linspace(1.06, 0.92, _ROWS, dtype=np.float32)[:, None, None]
    soft = [
        Image.fromarray(layer).filter(ImageFilter.GaussianBlur(radius))
        for layer, radius in zip(
            np.moveaxis(np.clip(scene, 0, 255).astype(np.uint8), 2, 0), (1.1, 1.1, 1.1, 1.3, 2.2), strict=True
        )
    ]
    scene = np.stack([np.asarray(layer, np.float32) for layer in soft], axis=2)
    result = np.clip(scene * (1 + grain) * depth, 0, 255)
    result.setflags(write=False)
    return result


_OBSTACLES: dict[str, Stuff] = {
    "post": Stuff((96, 98, 100), 0.34, 0.17),
    "bin": Stuff((48, 92, 66), 0.42, 0.19),
    "hedge": Stuff((62, 108, 54), 0.84, 0.16),
}


def draw_obstacle(
    kind: str, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[Float[np.ndarray, "rows cols"], Float[np.ndarray, "rows cols 5"]]:
    """Coverage (0..1) and look of a post, a bin or a hedge somewhere in front of the person."""
    rows, cols = shape
    mask = Image.new("L", (cols, rows))
    draw, side = ImageDraw.Draw(mask), rng.choice((-1, 1))
    if kind == "post":
        x, half = cols / 2 + side * rng.uniform(12, 34), rng.uniform(4, 8)
        draw.rectangle((x - half, 0, x + half, rows), fill=255)
    elif kind == "bin":
        x, top, half = cols / 2 + side * rng.uniform(16, 36), rng.uniform(150, 190), rng.uniform(15, 24)
        draw.rounded_rectangle((x - half, top, x + half, rows - 4), 4, fill=255)
        draw.rounded_rectangle((x - half - 3, top - 5, x + half + 3, top + 6), 3, fill=255)
    else:
        top = rng.uniform(176, 212)
        draw.rectangle((0, top, cols, rows), fill=255)
        for x in range(0, cols + 8, 9):
            r = rng.uniform(6, 12)
            draw.ellipse((x - r, top - r, x + r, top + r), fill=255)
    rgb, nir, warm = _OBSTACLES[kind]
    y, x = rng.integers(0, 300, 2)
    grain = smooth_noise()[y : y + rows, x : x + cols, None]
    depth = np.array([0.3, 0.3, 0.3, 0.25, 0.06], np.float32) * (1.0 if kind == "hedge" else 0.35)
    look = np.array([*rgb, 255 * nir, 255 * warm], np.float32) * (1 + grain * depth)
    cover = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.7)), np.float32) / 255
    return cover, np.clip(look, 0, 255)
