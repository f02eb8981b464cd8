"""Draws synthetic pedestrians in three aligned modalities: visible (RGB), near and thermal infrared.

The same world seed, person, camera and shot give the same bytes at every call.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageFilter

from mswin_viz.data.synthetic.draw_person import Pose, draw_person
from mswin_viz.data.synthetic.identity import Identity, sample_identity
from mswin_viz.data.synthetic.part_canvas import PARTS
from mswin_viz.data.synthetic.scenery import CAMERAS, draw_obstacle, place
from mswin_viz.data.synthetic.shading import SHAPE, figure, halved
from mswin_viz.data.synthetic.shots import VIEWS, ShotConditions, check_shot, shot_conditions, shot_rng

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
"""Name of a mask -> the parts that it covers."""


def _passer_by(identity: Identity, shot: ShotConditions, seed: int) -> tuple[Identity, Pose]:
    """Another person who walks in front, mostly outside the picture."""
    other = sample_identity(identity.pid + 1_000_003, seed=seed)
    side, view = -1 if shot.grain[0] % 2 else 1, VIEWS[shot.grain[1] % 4]
    x = shot.pose.x + side * (42 + shot.grain[1] % 14)
    return other, Pose(view, x, top=26.0, size=238.0, phase=shot.pose.phase + 1)


def _in_front(
    identity: Identity, shot: ShotConditions, camera: int, shot_number: int, seed: int
) -> tuple[Float[np.ndarray, "rows cols"], Float[np.ndarray, "rows cols 5"]] | None:
    """Coverage and look of what hides part of the person, if anything."""
    if shot.obstacle == "none":
        return None
    if shot.obstacle == "person":
        other, pose = _passer_by(identity, shot, seed)
        return figure(other, shot, pose, CAMERAS[camera].light_from)
    return draw_obstacle(shot.obstacle, shot_rng(identity, camera, shot_number, seed, 22), SHAPE)


def _shadow(pose: Pose) -> Float[np.ndarray, "rows cols"]:
    """How much light the person's shadow leaves on the ground."""
    y = (np.arange(SHAPE[0], dtype=np.float32) - pose.top - 0.968 * pose.size)[:, None] / 7
    x = (np.arange(SHAPE[1], dtype=np.float32) - pose.x)[None] / 26
    return 1 - 0.42 * np.exp(-(y**2)) * np.exp(-(x**2))


def _scene(
    identity: Identity, camera: int, shot_number: int, seed: int
) -> tuple[ShotConditions, Float[np.ndarray, "rows cols 5"]]:
    """The shot as the camera sees it: five layers, 0..255."""
    shot = shot_conditions(identity, camera, shot_number, seed)
    y, x = shot.shift
    scene = place(camera)[y : y + SHAPE[0], x : x + SHAPE[1]]
    scene = np.array(scene[:, ::-1] if shot.flip else scene)
    scene[..., :4] *= _shadow(shot.pose)[..., None]
    scene[..., 4] *= shot.ambient
    figures = [figure(identity, shot, shot.pose, CAMERAS[camera].light_from)]
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
        Who is seen. The pose, the place and the noise depend on ``identity.pid`` only, so the pictures of two people
        with the same pid differ only where they do.
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
    check_shot(camera, shot)
    made, scene = _scene(identity, camera, shot, seed)
    rng, view = shot_rng(identity, camera, shot, seed, 23), CAMERAS[camera]
    noise = rng.standard_normal((*SHAPE, 5), dtype=np.float32)
    light = np.array(view.cast, np.float32) * made.cast * made.gain * view.gain
    rgb = (_blurred(scene[..., :3], view.blur) * light - 128) * view.contrast + 128 * (0.5 + 0.5 * view.gain)
    rgb += noise[..., :3] * (view.noise * 0.6) + noise[..., 3:4] * (view.noise * 0.5)
    near = _blurred(scene[..., 3], view.blur + 0.2) * (0.9 + 0.1 * made.gain)
    near = near + noise[..., 3] * (2.5 + view.noise * 0.6)
    warm = 14 + 0.92 * _blurred(scene[..., 4], 1.1) + noise[..., 4] * 3.2
    return {"RGB": np.clip(rgb, 0, 255).astype(np.uint8), "NI": _grey(near), "TI": _grey(warm)}


def part_masks(
    identity: Identity, *, camera: int, shot: int, seed: int = 0
) -> dict[str, Bool[np.ndarray, "256 128"]]:
    """Where each part in `_MASKS` is visible in `render`'s pictures of the same shot; all false without such a part.

    What an obstacle covers is left out. A part's shading reaches a few pixels beyond its mask.
    """
    check_shot(camera, shot)
    made = shot_conditions(identity, camera, shot, seed)
    labels = np.asarray(draw_person(identity, made.pose, SHAPE)[0])
    hiding = _in_front(identity, made, camera, shot, seed)
    seen = np.ones(SHAPE, bool) if hiding is None else hiding[0] < 0.5
    masks = {}
    for name, parts in _MASKS.items():
        chosen = np.isin(np.arange(len(PARTS)), [PARTS.index(part) for part in parts])
        masks[name] = (halved(chosen[labels].view(np.uint8) * 255) >= 127) & seen
    return masks
