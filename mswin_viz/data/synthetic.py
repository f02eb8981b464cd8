"""A world of synthetic pedestrians in three aligned modalities: visible (RGB), near and thermal infrared.

Everything follows from numbers: world seed, person, camera and shot give the same bytes at every call.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageFilter

from mswin_viz.data.drawing import PARTS, Pose, draw_person
from mswin_viz.data.scenery import CAMERAS, MARGIN, draw_obstacle, place, smooth_noise
from mswin_viz.data.wardrobe import (
    ATTRIBUTES,
    COLOURS,
    Identity,
    attributes,
    caption_of,
    lookalike_difference,
    sample_identity,
    sample_lookalike,
)
from mswin_viz.errors import OptionError

__all__ = [
    "ATTRIBUTES",
    "CAMERAS",
    "COLOURS",
    "MODALITIES",
    "SHAPE",
    "SHIPPED",
    "Identity",
    "attributes",
    "caption_of",
    "lookalike_difference",
    "part_masks",
    "render",
    "sample_identity",
    "sample_lookalike",
    "view_of",
    "write_samples",
]

SHAPE = (256, 128)
MODALITIES = ("RGB", "NI", "TI")
SHIPPED = {"identities": 24, "cameras": 2, "shots": 2, "seed": 7}
"""Arguments of ``write_samples`` that make the shipped samples; training drew from other worlds."""
_CAPTIONED = ("upper_colour", "pattern", "upper_type", "lower_colour", "lower_type", "bag", "bag_colour")
_VIEWS = ("front", "back", "left", "right")
_SKINS = {"light": (232, 190, 164), "tan": (206, 156, 120), "brown": (150, 100, 70), "dark": (92, 62, 48)}
_HAIRS = {"black": (30, 27, 28), "brown": (92, 58, 36), "blond": (214, 176, 104), "grey": (158, 156, 154),
          "red": (164, 74, 32), "none": (0, 0, 0)}  # fmt: skip
_PERIODS = {"narrow": 0.03, "medium": 0.041, "wide": 0.056, "broad": 0.076}  # of a pattern, by stripe width
# parts that one mask name covers
_MASKS = {
    "skin": ("skin", "skin_far", "feature"),
    "hair": ("hair",),
    "glasses": ("glasses",),
    "hat": ("hat", "hat_trim"),
    "upper": ("upper", "upper_far", "upper_trim", "seam", "hood", "logo"),
    "logo": ("logo",),
    "lower": ("lower", "lower_far", "lower_trim"),
    "shoes": ("shoes", "shoes_far"),
    "bag": ("bag", "bag_trim", "strap"),
}


@dataclass(frozen=True)
class _Shot:
    """Everything about one shot that does not depend on who is in it."""

    pose: Pose
    shift: tuple[int, int]  # of the place, in pixels
    flip: bool
    obstacle: str
    gain: float
    cast: tuple[float, float, float]
    ambient: float  # warmth of the surroundings, relative
    grain: tuple[int, int]


def _checked(camera: int, shot: int) -> None:
    if not 0 <= camera < len(CAMERAS):
        last = len(CAMERAS) - 1
        raise OptionError(f"cameras are counted from 0 to {last}: got camera {camera}; give one of these")
    if shot < 0:
        raise OptionError(f"shots count from 0: got {shot}; give a number of at least 0")


def _stream(identity: Identity, camera: int, shot: int, seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, identity.pid, camera, shot, purpose])


def _shot_of(identity: Identity, camera: int, shot: int, seed: int) -> _Shot:
    rng = _stream(identity, camera, shot, seed, 21)
    size = 256 * identity.height * rng.uniform(0.93, 1.05)
    top = float(np.clip(rng.normal(0.5, 0.12), 0.15, 0.85)) * max(256 - size - 10, 2) + 6
    pose = Pose(
        view=_VIEWS[int(rng.integers(4))],
        x=64 + float(np.clip(rng.normal(0, 4), -9, 9)),
        top=top,
        size=min(size, 244.0),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )
    draw = rng.random()
    obstacle = "none" if draw > 0.2 else ("post", "bin", "hedge", "person")[int(draw / 0.05) % 4]
    return _Shot(
        pose=pose,
        shift=(int(rng.integers(0, 2 * MARGIN + 1)), int(rng.integers(0, 2 * MARGIN + 1))),
        flip=bool(rng.random() < 0.5),
        obstacle=obstacle,
        gain=float(rng.uniform(0.88, 1.1)),
        cast=tuple(rng.normal(1, 0.015, 3)),
        ambient=float(rng.uniform(0.75, 1.3)),
        grain=tuple(int(value) for value in rng.integers(0, 380, 2)),
    )


def view_of(identity: Identity, *, camera: int, shot: int, seed: int = 0) -> str:
    """From which side the shot sees the person: front, back, left or right."""
    _checked(camera, shot)
    return _shot_of(identity, camera, shot, seed).pose.view


def _dyed(word: str, tint: Sequence[float], spread: float = 9.0) -> np.ndarray:
    """A colour word as this person's dye: near the chart's colour, never across to the next word."""
    base = np.array(COLOURS.get(word, (0, 0, 0)), np.float32)
    if word in ("black", "white", "grey"):  # a cast would make these another colour
        spread *= 0.2
    cast = spread * np.array([tint[1], tint[2], -tint[1]], np.float32) * 0.6
    return np.clip(base * (1 + 0.07 * tint[0]) + cast, 12, 248)


def _palette(who: Identity) -> Float[np.ndarray, "parts 5"]:
    """Red, green, blue, near infrared and warmth (all 0..255) of every part."""
    skin, hair = np.array(_SKINS[who.skin], np.float32), np.array(_HAIRS[who.hair_colour], np.float32)
    upper, lower = _dyed(who.upper_colour, who.tint), _dyed(who.lower_colour, who.tint[::-1])
    hat, bag, shoes = (
        _dyed(word, who.tint, 5) for word in (who.hat_colour, who.bag_colour, who.shoes_colour)
    )
    used = (who.upper_colour, who.pattern_colour)
    logo = _dyed(next(word for word in ("white", "red", "black") if word not in used), who.tint, 4)
    mark = 0.25 if who.upper_nir > 0.5 else 0.9
    look = {
        "background": ((0, 0, 0), 0, 0),
        "skin": (skin, 0.70, 0.93),
        "skin_far": (skin * 0.78, 0.56, 0.88),
        "feature": (skin * 0.3, 0.25, 0.86),
        "hair": (hair, who.hair_nir, 0.52),
        "glasses": (np.array((24, 24, 28)), 0.1, 0.4),  # glass keeps the warmth of the face back
        "hat": (hat, who.hat_nir, who.hat_warmth),
        "hat_trim": (hat * 0.78, who.hat_nir * 0.85, who.hat_warmth * 0.92),
        "upper": (upper, who.upper_nir, who.upper_warmth),
        "upper_far": (upper * 0.72, who.upper_nir * 0.76, who.upper_warmth * 0.92),
        "upper_trim": (upper * 0.72, who.upper_nir * 0.8, who.upper_warmth * 0.88),
        "seam": (upper * 0.8, who.upper_nir * 0.82, min(who.upper_warmth * 1.3 + 0.06, 0.95)),  # padding is thin there
        "hood": (upper * 0.86, who.upper_nir * 0.9, who.upper_warmth * 0.84),
        "logo": (logo, mark, who.upper_warmth * 0.82),
        "lower": (lower, who.lower_nir, who.lower_warmth),
        "lower_far": (lower * 0.7, who.lower_nir * 0.76, who.lower_warmth * 0.92),
        "lower_trim": (lower * 0.78, who.lower_nir * 0.86, who.lower_warmth * 0.93),
        "shoes": (shoes, who.shoes_nir, who.shoes_warmth),
        "shoes_far": (shoes * 0.72, who.shoes_nir * 0.76, who.shoes_warmth * 0.95),
        "sole": (np.array((226, 224, 216)), 0.62, who.shoes_warmth * 0.85),
        "bag": (bag, who.bag_nir, 0.14),
        "bag_trim": (bag * 0.8, who.bag_nir * 0.82, 0.12),
        "strap": (_dyed(who.strap_colour, who.tint, 4), who.bag_nir * 0.7 + 0.1, 0.2),
    }
    return np.array(
        [(*look[part][0], 255 * look[part][1], 255 * look[part][2]) for part in PARTS], np.float32
    )


def _pattern_mask(
    who: Identity, pose: Pose, labels: UInt8[np.ndarray, "rows cols"]
) -> Bool[np.ndarray, "rows cols"]:
    """Where the second colour of the upper garment's pattern lies, on the enlarged sheet."""
    scale = labels.shape[0] / SHAPE[0]
    period = _PERIODS[who.stripe_width] * pose.size * scale
    y = ((np.arange(labels.shape[0], dtype=np.float32) - pose.top * scale) / period)[:, None]
    x = ((np.arange(labels.shape[1], dtype=np.float32) - pose.x * scale) / period)[None, :]
    if who.pattern == "striped":
        mask = np.broadcast_to((y % 1) < 0.42, labels.shape)
    elif who.pattern == "checked":
        mask = ((y % 1) < 0.26) | ((x % 1) < 0.26)
    else:
        odd = np.floor(y) % 2 * 0.5
        mask = ((y % 1) - 0.5) ** 2 + ((x + odd) % 1 - 0.5) ** 2 < 0.085
    cloth = np.isin(np.arange(len(PARTS)), [PARTS.index("upper"), PARTS.index("upper_far")])
    return mask & cloth[labels]


def _halved(layer: UInt8[np.ndarray, "rows cols"]) -> Float[np.ndarray, "half_rows half_cols"]:
    return np.asarray(Image.fromarray(layer).reduce(2), np.float32)


def _edges(labels: UInt8[np.ndarray, "rows cols"]) -> UInt8[np.ndarray, "rows cols"]:
    """255 where two parts meet: seams and outlines."""
    edge = np.zeros(labels.shape, np.uint8)
    edge[1:] |= (labels[1:] != labels[:-1]).view(np.uint8)
    edge[:, 1:] |= (labels[:, 1:] != labels[:, :-1]).view(np.uint8)
    return edge * 255


def _figure(
    who: Identity, shot: _Shot, pose: Pose, light_from: float
) -> tuple[Float[np.ndarray, "rows cols"], Float[np.ndarray, "rows cols 5"]]:
    """Coverage (0..1) and shaded look of a person."""
    drawn, relief = draw_person(who, pose, SHAPE)
    labels = np.asarray(drawn)
    table = _palette(who)
    layers = [np.clip(table[:, c], 0, 255).astype(np.uint8)[labels] for c in range(5)]
    if who.pattern != "plain":
        mask = _pattern_mask(who, pose, labels)
        second = (*_dyed(who.pattern_colour, who.tint, 4), 255 * who.pattern_nir)
        for layer, value in zip(layers, second, strict=False):
            layer[mask] = int(np.clip(value, 0, 255))
    cover = _halved((labels > 0).view(np.uint8) * 255) / 255
    weight = 1 / np.maximum(cover, 1 / 255)
    look = np.stack([_halved(layer) * weight for layer in layers], axis=2)
    height = np.asarray(relief.reduce(2).filter(ImageFilter.GaussianBlur(3.2)), np.float32) / 255
    slope_x, slope_y = np.gradient(height, axis=1), np.gradient(height, axis=0)
    y, x = shot.grain
    folds = smooth_noise()[y : y + SHAPE[0], x : x + SHAPE[1]]
    shade = 0.93 + 3.0 * (slope_y * 0.5 - light_from * slope_x) + 0.16 * height + 0.075 * folds
    shade = np.clip(shade - _halved(_edges(labels)) * (0.26 / 255), 0.4, 1.35)
    flat = np.clip(0.96 + 1.4 * (slope_y * 0.4 + 0.2 * slope_x) + 0.1 * height + 0.09 * folds, 0.5, 1.25)
    flat -= _halved(_edges(labels)) * (0.18 / 255)
    warm = np.clip(0.74 + 0.34 * height + 0.1 * folds[::-1], 0.5, 1.15)
    look[..., :3] *= shade[..., None]
    look[..., 3] *= flat
    look[..., 4] *= warm
    return cover, look


def _passer_by(identity: Identity, shot: _Shot, seed: int) -> tuple[Identity, Pose]:
    """Somebody else who walks in front of the person, mostly outside the picture."""
    other = sample_identity(identity.pid + 1_000_003, seed=seed)
    side = -1 if shot.grain[0] % 2 else 1
    view = _VIEWS[shot.grain[1] % 4]
    pose = Pose(view, shot.pose.x + side * (42 + shot.grain[1] % 14), 26.0, 238.0, shot.pose.phase + 1)
    return other, pose


def _in_front(
    identity: Identity, shot: _Shot, camera: int, shot_number: int, seed: int
) -> tuple[Float[np.ndarray, "rows cols"], Float[np.ndarray, "rows cols 5"]] | None:
    """Coverage and look of what hides part of the person, if anything does."""
    if shot.obstacle == "none":
        return None
    if shot.obstacle == "person":
        other, pose = _passer_by(identity, shot, seed)
        return _figure(other, shot, pose, CAMERAS[camera].light_from)
    return draw_obstacle(shot.obstacle, _stream(identity, camera, shot_number, seed, 22), SHAPE)


def _shadow(pose: Pose) -> Float[np.ndarray, "rows cols"]:
    """How much light the person's shadow leaves on the ground."""
    y = (np.arange(SHAPE[0], dtype=np.float32) - pose.top - 0.968 * pose.size)[:, None] / 7
    x = (np.arange(SHAPE[1], dtype=np.float32) - pose.x)[None] / 26
    return 1 - 0.42 * np.exp(-(y**2)) * np.exp(-(x**2))


def _scene(
    identity: Identity, camera: int, shot_number: int, seed: int
) -> tuple[_Shot, Float[np.ndarray, "rows cols 5"]]:
    """The shot as it lies before the camera: five layers, 0..255."""
    shot = _shot_of(identity, camera, shot_number, seed)
    y, x = shot.shift
    scene = place(camera)[y : y + SHAPE[0], x : x + SHAPE[1]]
    scene = np.array(scene[:, ::-1] if shot.flip else scene)
    scene[..., :4] *= _shadow(shot.pose)[..., None]
    scene[..., 4] *= shot.ambient
    figures = [_figure(identity, shot, shot.pose, CAMERAS[camera].light_from)]
    hiding = _in_front(identity, shot, camera, shot_number, seed)
    for cover, look in [*figures, *([hiding] if hiding else [])]:
        scene += (look - scene) * cover[..., None]
    return shot, scene


def _blurred(
    layer: Float[np.ndarray, "rows cols *channels"], radius: float
) -> Float[np.ndarray, "rows cols *channels"]:
    image = Image.fromarray(np.clip(layer, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)


def _grey(layer: Float[np.ndarray, "rows cols"]) -> UInt8[np.ndarray, "rows cols 3"]:
    return np.repeat(np.clip(layer, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def render(
    identity: Identity, *, camera: int, shot: int, seed: int = 0
) -> dict[str, UInt8[np.ndarray, "256 128 3"]]:
    """One shot of a person in all modalities, aligned pixel by pixel.

    Parameters
    ----------
    identity
        Who is seen. The pose, the place and the noise depend on ``identity.pid`` only, so two people who
        share a pid and differ in a garment differ there and nowhere else.
    camera
        0 to 3: park, hall, street, car park at night.
    shot
        Shot number, at least 0.
    seed
        World number.

    Returns
    -------
    pictures
        By modality: ``RGB``, ``NI`` (reflectance of materials, blind to dye) and ``TI`` (warmth);
        the infrared ones hold three equal channels.

    Raises
    ------
    OptionError
        If there is no such camera or the shot is negative.
    """
    _checked(camera, shot)
    made, scene = _scene(identity, camera, shot, seed)
    rng, view = _stream(identity, camera, shot, seed, 23), CAMERAS[camera]
    noise = rng.standard_normal((*SHAPE, 5), dtype=np.float32)
    rgb = _blurred(scene[..., :3], view.blur) * (
        np.array(view.cast, np.float32) * made.cast * made.gain * view.gain
    )
    rgb = (rgb - 128) * view.contrast + 128 * (0.5 + 0.5 * view.gain)
    rgb += noise[..., :3] * (view.noise * 0.6) + noise[..., 3:4] * (view.noise * 0.5)
    near = _blurred(scene[..., 3], view.blur + 0.2) * (0.9 + 0.1 * made.gain) + noise[..., 3] * (
        2.5 + view.noise * 0.6
    )
    warm = 14 + 0.92 * _blurred(scene[..., 4], 1.1) + noise[..., 4] * 3.2
    return {"RGB": np.clip(rgb, 0, 255).astype(np.uint8), "NI": _grey(near), "TI": _grey(warm)}


def part_masks(
    identity: Identity, *, camera: int, shot: int, seed: int = 0
) -> dict[str, Bool[np.ndarray, "256 128"]]:
    """Where each part of the person is visible in `render`'s pictures of the same shot.

    Returns
    -------
    masks
        By part: skin, hair, hat, upper, logo (a part of upper), lower, shoes, bag; all false where there is
        none. What an obstacle covers is left out. A part's shading reaches a few pixels beyond its mask.
    """
    _checked(camera, shot)
    made = _shot_of(identity, camera, shot, seed)
    labels = np.asarray(draw_person(identity, made.pose, SHAPE)[0])
    hiding = _in_front(identity, made, camera, shot, seed)
    seen = np.ones(SHAPE, bool) if hiding is None else hiding[0] < 0.5
    masks = {}
    for name, parts in _MASKS.items():
        chosen = np.isin(np.arange(len(PARTS)), [PARTS.index(part) for part in parts])
        masks[name] = (_halved(chosen[labels].view(np.uint8) * 255) >= 127) & seen
    return masks


def _counts_checked(counts: dict[str, int], cameras: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise OptionError(f"{name} must be at least 1: got {count}; ask for one or more")
    if cameras > len(CAMERAS):
        raise OptionError(
            f"there are {len(CAMERAS)} cameras: got cameras={cameras}; ask for 1 to {len(CAMERAS)}"
        )


def _file_name(person: Identity, camera: int, shot: int) -> str:
    return f"{person.pid:06d}_cam{camera + 1}_0_{shot:02d}.jpg"


def _jpeg(picture: UInt8[np.ndarray, "rows cols 3"]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _caption(person: Identity) -> str:
    return caption_of(person, _CAPTIONED, rng=np.random.default_rng(person.pid))


def _table(people: Sequence[Identity]) -> bytes:
    text = StringIO()
    writer = csv.DictWriter(text, ["pid", *ATTRIBUTES, "caption"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        attributes(person) | {"pid": f"{person.pid:06d}", "caption": _caption(person)} for person in people
    )
    return text.getvalue().encode()


def write_samples(
    out: Path, *, identities: int = 24, cameras: int = 4, shots: int = 2, seed: int = 0, first_pid: int = 1
) -> Path:
    """Write a sample data set in the layout of RGBNT201, with a table of the true attributes.

    Parameters
    ----------
    out
        Folder that is to hold ``RGBNT201/``; made where needed.
    identities, cameras, shots
        How many people, cameras (at most 4) and shots of each person in each camera and modality.
    seed
        World number.
    first_pid
        Number of the first person; the others follow.

    Returns
    -------
    root
        ``OUT/RGBNT201``, with ``test/{RGB,NI,TI}/PPPPPP_camC_0_SS.jpg`` and ``attributes.csv``.

    Raises
    ------
    OptionError
        If a count is not positive, more than 4 cameras are asked for, or the folder holds other files.
    """
    _counts_checked(
        {"identities": identities, "cameras": cameras, "shots": shots, "first_pid": first_pid}, cameras
    )
    people = [sample_identity(pid, seed=seed) for pid in range(first_pid, first_pid + identities)]
    names = [
        (person, camera, shot) for person in people for camera in range(cameras) for shot in range(shots)
    ]
    root = Path(out) / "RGBNT201"
    table = _table(people)
    pictures = {f"test/{m}/{_file_name(*which)}" for which in names for m in MODALITIES}
    _refuse_other_files(root, pictures | {"attributes.csv"}, table)
    for modality in MODALITIES:
        (root / "test" / modality).mkdir(parents=True, exist_ok=True)
    (root / "attributes.csv").write_bytes(table)
    for person, camera, shot in names:
        for modality, picture in render(person, camera=camera, shot=shot, seed=seed).items():
            path = root / "test" / modality / _file_name(person, camera, shot)
            _write_unless_different(path, _jpeg(picture))
    return root


def _write_unless_different(path: Path, content: bytes) -> None:
    """Write a file; one that is there already must hold these very bytes."""
    if path.exists() and path.read_bytes() != content:
        raise OptionError(
            f"samples never replace a different picture: {path} is one; choose or empty a folder"
        )
    path.write_bytes(content)


def _refuse_other_files(root: Path, wanted: set[str], table: bytes) -> None:
    """Only an empty folder, or one that holds this very sample set, may be written to."""
    if root.exists() and not root.is_dir():
        raise OptionError(
            f"samples are written to a folder: {root} is a file; choose another folder or move it away"
        )
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    other = sorted(found - wanted)
    same_people = "attributes.csv" in found and (root / "attributes.csv").read_bytes() == table
    if found and not other and not same_people:
        other = sorted(found)[:1]
    if other:
        raise OptionError(
            f"samples go to an empty folder or over the same samples: {root} holds {len(other)} other "
            f"file(s), such as {other[0]}; choose another folder or empty this one"
        )
