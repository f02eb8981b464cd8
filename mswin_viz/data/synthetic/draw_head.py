"""Heads: face, hair, glasses and hat, from every side."""

from __future__ import annotations

import math

from mswin_viz.data.synthetic.identity import Identity
from mswin_viz.data.synthetic.part_canvas import (
    PartCanvas,
    draw_limb,
    draw_line,
    draw_oval,
    draw_shape,
    mirrored,
)


def draw_hat(canvas: PartCanvas, who: Identity, view: str) -> None:
    """A cap or a beanie, if the person wears one."""
    if who.hat == "none":
        return
    side = view in ("left", "right")
    rx = 0.056 if side else 0.049
    angles = [math.pi * i / 12 for i in range(13)]
    dome = [(rx * math.cos(a) - (0.004 if side else 0), 0.05 - 0.058 * math.sin(a)) for a in angles]
    draw_shape(canvas, "hat", dome, 215)
    if who.hat == "beanie":
        draw_shape(canvas, "hat_trim", [(-rx - 0.003, 0.036), (rx + 0.001, 0.036), (rx, 0.06),
            (-rx - 0.003, 0.06)], 220)  # fmt: skip
        draw_oval(canvas, "hat_trim", (0, -0.012), (0.014, 0.014), 220)
    elif side:
        draw_shape(canvas, "hat_trim", [(0.02, 0.04), (0.06, 0.042), (0.1, 0.056), (0.1, 0.063),
            (0.02, 0.056)], 220)  # fmt: skip
    elif view == "front":
        draw_shape(canvas, "hat_trim", mirrored([(0.046, 0.045), (0.056, 0.062), (0, 0.054)]), 220)
    else:
        draw_line(canvas, "hat_trim", [(-0.02, 0.047), (0.02, 0.047)], 0.01)


def draw_head_front(canvas: PartCanvas, who: Identity) -> None:
    """The face, with hair and glasses."""
    if who.hair == "long":  # two locks beside the neck, so that the chin stays free
        for s in (-1, 1):
            draw_shape(canvas, "hair", [(s * 0.02, 0.02), (s * 0.054, 0.03), (s * 0.066, 0.1),
                (s * 0.07, 0.2), (s * 0.05, 0.225), (s * 0.03, 0.2), (s * 0.034, 0.1)], 140)  # fmt: skip
    draw_shape(canvas, "skin", mirrored([(0.025, 0.1), (0.03, 0.15), (0, 0.162)]), 130)
    if who.hair != "bald":
        draw_oval(canvas, "hair", (0, 0.055), (0.05, 0.056), 190)
    for s in (-1, 1):
        draw_oval(canvas, "skin", (s * 0.044, 0.072), (0.008, 0.013), 170)
    draw_oval(canvas, "skin", (0, 0.068), (0.042, 0.06), 200)
    if who.hair != "bald":
        draw_shape(canvas, "hair", [(-0.043, 0.062), (-0.047, 0.035), (-0.03, 0.008), (0, 0.0), (0.03, 0.008),
            (0.047, 0.035), (0.043, 0.062), (0.036, 0.04), (0.012, 0.032), (-0.014, 0.03), (-0.034, 0.042)],
            205)  # fmt: skip
    for s in (-1, 1):
        if who.glasses == "dark":
            draw_oval(canvas, "glasses", (s * 0.018, 0.066), (0.0145, 0.0115), 215)
        else:
            draw_oval(canvas, "feature", (s * 0.017, 0.066), (0.0055, 0.0045), 200)
        draw_line(canvas, "hair" if who.hair != "bald" else "skin_far", [(s * 0.009, 0.056),
            (s * 0.026, 0.055)], 0.006)  # fmt: skip
    draw_line(canvas, "skin_far", [(0.001, 0.07), (0.004, 0.084), (-0.002, 0.086)], 0.005)
    draw_line(canvas, "feature", [(-0.012, 0.104), (0.012, 0.104)], 0.006)


def draw_head_back(canvas: PartCanvas, who: Identity) -> None:
    """The head from behind."""
    draw_shape(canvas, "skin", mirrored([(0.025, 0.1), (0.03, 0.15)]), 150)
    for s in (-1, 1):
        draw_oval(canvas, "skin", (s * 0.045, 0.072), (0.008, 0.013), 170)
    draw_oval(canvas, "skin", (0, 0.066), (0.043, 0.058), 200)
    if who.hair == "bald":
        return
    draw_oval(canvas, "hair", (0, 0.055), (0.048, 0.057), 205)
    draw_shape(canvas, "hair", mirrored([(0.045, 0.06), (0.03, 0.115)]), 200)
    if who.hair == "long":
        long_hair = mirrored([(0.05, 0.05), (0.062, 0.12), (0.062, 0.23), (0.03, 0.255), (0, 0.248)])
        draw_shape(canvas, "hair", long_hair, 215)
    elif who.hair == "ponytail":
        draw_limb(canvas, "hair", [(0, 0.05), (0.004, 0.13), (-0.004, 0.215)], (0.018, 0.022, 0.008), 230)
        draw_line(canvas, "hat_trim", [(-0.018, 0.062), (0.018, 0.062)], 0.012)


def draw_head_side(canvas: PartCanvas, who: Identity, sway: float) -> None:
    """The head in profile, looking to the right; ``sway`` is how far long hair swings back."""
    draw_shape(canvas, "skin", [(-0.03, 0.09), (0.022, 0.1), (0.028, 0.15), (-0.032, 0.15)], 140)
    if who.hair == "ponytail":
        draw_limb(canvas, "hair", [(-0.045, 0.045), (-0.078, 0.09), (-0.082 - sway, 0.18)],
            (0.016, 0.022, 0.008), 170)  # fmt: skip
    if who.hair != "bald":
        draw_oval(canvas, "hair", (-0.006, 0.055), (0.054, 0.057), 190)
    face = [(-0.03, 0.025), (0.02, 0.012), (0.043, 0.04), (0.046, 0.06), (0.06, 0.08), (0.046, 0.087),
        (0.047, 0.1), (0.042, 0.112), (0.036, 0.126), (0.012, 0.122), (-0.02, 0.1), (-0.034, 0.07)]  # fmt: skip
    if who.hair == "bald":
        draw_oval(canvas, "skin", (-0.006, 0.058), (0.052, 0.056), 195)
    draw_shape(canvas, "skin", face, 200)
    if who.hair != "bald":
        draw_shape(canvas, "hair", [(0.043, 0.036), (0.028, 0.008), (-0.006, -0.002), (-0.04, 0.016),
            (-0.058, 0.055), (-0.046, 0.1), (-0.02, 0.105), (-0.012, 0.07), (0.004, 0.075), (0.012, 0.045),
            (0.03, 0.03)], 210)  # fmt: skip
    if who.hair == "long":
        draw_shape(canvas, "hair", [(0.004, 0.03), (0.006, 0.075), (-0.002, 0.13), (-0.01, 0.21),
            (-0.05 - sway, 0.235), (-0.075 - sway, 0.2), (-0.066, 0.1), (-0.056, 0.04)], 215)  # fmt: skip
    else:
        draw_oval(canvas, "skin", (-0.008, 0.074), (0.009, 0.014), 215)
    if who.glasses == "dark":
        draw_line(canvas, "glasses", [(-0.004, 0.06), (0.03, 0.062)], 0.007)
        draw_oval(canvas, "glasses", (0.037, 0.065), (0.0125, 0.0115), 215)
    else:
        draw_oval(canvas, "feature", (0.035, 0.064), (0.005, 0.0045), 200)
    draw_line(canvas, "feature", [(0.03, 0.104), (0.046, 0.103)], 0.006)
