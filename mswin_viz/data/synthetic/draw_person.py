"""Draw a synthetic pedestrian as a map of body parts, from which every modality is shaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from mswin_viz.data.synthetic.draw_bags import Trunk, draw_bag_body, draw_bag_frontal, draw_handbag
from mswin_viz.data.synthetic.draw_garments import (
    draw_arm,
    draw_back_details,
    draw_front_details,
    draw_leg,
    draw_skirt,
    draw_torso,
    hem_of,
)
from mswin_viz.data.synthetic.draw_head import draw_hat, draw_head_back, draw_head_front, draw_head_side
from mswin_viz.data.synthetic.identity import Identity
from mswin_viz.data.synthetic.part_canvas import PartCanvas, Point, draw_line, draw_shape, mirrored

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Pose:
    """How a person stands before one camera, in pixels of the finished picture."""

    view: str
    x: float
    top: float  # crown of the head
    size: float  # height of the body
    phase: float  # of walking, radians


def _frontal(canvas: PartCanvas, who: Identity, pose: Pose) -> None:
    """A person seen from the front or from behind."""
    front, build, step = pose.view == "front", who.width, math.sin(pose.phase) * who.stride
    shoulder, hip = 0.108 * build**0.8 * who.shoulders, 0.086 * build
    right = -1 if front else 1  # where this person's right hand is in the picture
    bag_at = right if who.bag_side == "right" else -right
    if who.bag == "backpack" and front:
        bag = mirrored([(shoulder * 0.8, 0.15), (shoulder * 1.1, 0.3), (shoulder * 1.02, 0.43)])
        draw_shape(canvas, "bag", bag, 110)
    arms = {s: ((s * (shoulder - 0.018), 0.198), (s * (shoulder + 0.014 + 0.008 * abs(step)), 0.325),
        (s * (shoulder + 0.018), 0.455 - 0.022 * s * step)) for s in (-1, 1)}  # fmt: skip
    legs = {s: ((s * hip * 0.52, 0.5), (s * (hip * 0.6 + 0.004), 0.715 + 0.008 * s * step),
        (s * hip * 0.62, 0.935 + 0.022 * (s * step - abs(step)))) for s in (-1, 1)}  # fmt: skip
    behind = 1 if step < 0 else -1
    for s in (behind, -behind):
        draw_leg(canvas, who, legs[s], 0.0, far=s == behind and abs(step) > 0.5)
    if who.lower_type == "skirt":
        draw_skirt(canvas, hip * 0.95, [legs[-1][1], legs[1][1]], 0.016 * step, who.skirt_hem)
    else:
        draw_shape(canvas, "lower", mirrored([(hip * 0.95, 0.44), (hip, 0.54), (0, 0.56)]), 170)
        draw_line(canvas, "lower_trim", [(0, 0.5), (0, 0.56)], 0.007)
    draw_torso(canvas, who, shoulder, hip, 0.01 * step)
    if front:
        draw_front_details(canvas, who, hip)
    else:
        draw_back_details(canvas, who)
    for s in (-1, 1):
        draw_arm(canvas, who, arms[s], far=False)
    draw_bag_frontal(canvas, who, Trunk(shoulder, hip, front), arms[bag_at][2], side=bag_at)
    (draw_head_front if front else draw_head_back)(canvas, who)
    draw_hat(canvas, who, pose.view)


def _swing(hip: Point, angle: float, bend: float, lengths: tuple[float, float]) -> tuple[Point, Point, Point]:
    """Joints of a limb that hangs from ``hip`` at ``angle`` (forward positive), its lower half turned by ``bend``."""
    knee = (hip[0] + lengths[0] * math.sin(angle), hip[1] + lengths[0] * math.cos(angle))
    low = angle + bend
    return hip, knee, (knee[0] + lengths[1] * math.sin(low), knee[1] + lengths[1] * math.cos(low))


def _profile(canvas: PartCanvas, who: Identity, pose: Pose) -> None:
    """A person walking to the right of the canvas (mirrored for the other side)."""
    build, step = who.width, math.sin(pose.phase)
    swing = 0.42 * who.stride * step
    near_lift, far_lift = max(0.0, math.cos(pose.phase)), max(0.0, -math.cos(pose.phase))
    depth = 0.072 * build
    leg, arm = (0.222, 0.215), (0.145, 0.13)  # lengths of the upper and lower half
    near_leg = _swing((0, 0.5), swing, -0.12 - 0.5 * near_lift * (step < 0.3), leg)
    far_leg = _swing((0, 0.5), -swing, -0.12 - 0.5 * far_lift * (step > -0.3), leg)
    near_arm = _swing((-0.004, 0.19), -swing * 0.9, 0.22, arm)
    far_arm = _swing((0.004, 0.19), swing * 0.9, 0.22, arm)
    near_bag = (pose.view == "right") == (who.bag_side == "right")
    draw_arm(canvas, who, far_arm, far=True)
    if who.bag == "handbag" and not near_bag:
        draw_handbag(canvas, (far_arm[2][0], far_arm[2][1] + 0.02))
    if who.bag == "shoulder bag" and not near_bag:
        draw_bag_body(canvas, (0.075, 0.485), (0.05, 0.05), 130)
    draw_leg(canvas, who, far_leg, 0.075, far=True)
    draw_leg(canvas, who, near_leg, 0.08, far=False)
    if who.lower_type == "skirt":
        draw_skirt(canvas, depth * 1.05, [near_leg[1], far_leg[1]], -0.02 * step, who.skirt_hem)
    else:
        draw_shape(
            canvas, "lower", [(-depth, 0.44), (depth, 0.44), (depth * 0.95, 0.55), (-depth, 0.55)], 170
        )
    if who.bag == "backpack":
        b = -depth * 0.8
        draw_shape(canvas, "bag", [(b, 0.165), (b - 0.06, 0.18), (b - 0.092, 0.24), (b - 0.095, 0.42),
            (b - 0.06, 0.445), (b, 0.44)], 200)  # fmt: skip
        draw_shape(canvas, "bag_trim", [(b - 0.06, 0.33), (b - 0.112, 0.34), (b - 0.112, 0.42),
            (b - 0.06, 0.43)], 215)  # fmt: skip
    draw_torso(canvas, who, depth * 0.95, depth * 1.05, -0.02 * step)
    if who.upper_type == "hoodie":
        draw_shape(canvas, "hood", [(0.035, 0.135), (-0.04, 0.13), (-0.088, 0.165), (-0.075, 0.215),
            (-0.03, 0.19)], 205)  # fmt: skip
    elif who.upper_type in ("jacket", "coat", "sweater"):
        draw_shape(canvas, "upper_trim", [(-0.045, 0.128), (0.034, 0.135), (0.045, 0.165), (-0.05, 0.16)],
            195)  # fmt: skip
    if who.upper_type in ("jacket", "coat"):
        draw_line(canvas, "upper_trim", [(depth * 0.8, 0.19), (depth * 0.98, hem_of(who))], 0.011)
    if who.bag == "shoulder bag":
        draw_line(canvas, "strap", [(-0.01, 0.148), (0.03 if near_bag else 0.065, 0.44)], 0.016)
    draw_head_side(canvas, who, 0.012 * step)
    draw_hat(canvas, who, pose.view)
    draw_arm(canvas, who, near_arm, far=False)
    if who.bag == "backpack":
        draw_line(canvas, "strap", [(-0.03, 0.15), (0.03, 0.2), (0.02, 0.3), (-depth * 0.9, 0.37)], 0.018)
    if who.bag == "handbag" and near_bag:
        draw_handbag(canvas, (near_arm[2][0], near_arm[2][1] + 0.02))
    if who.bag == "shoulder bag" and near_bag:
        draw_bag_body(canvas, (0.025, 0.485), (0.058, 0.052))


def draw_person(who: Identity, pose: Pose, shape: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Part labels (indices into `PARTS`) and relief, ``SUPERSAMPLING`` times as large as a picture of (rows, cols)."""
    size = (shape[1] * SUPERSAMPLING, shape[0] * SUPERSAMPLING)
    labels, relief = Image.new("L", size), Image.new("L", size)
    x, top, height = (value * SUPERSAMPLING for value in (pose.x, pose.top, pose.size))
    flip = -1 if pose.view == "left" else 1
    canvas = PartCanvas(ImageDraw.Draw(labels), ImageDraw.Draw(relief), x=x, top=top, size=height, flip=flip)
    (_frontal if pose.view in ("front", "back") else _profile)(canvas, who, pose)
    return labels, relief
