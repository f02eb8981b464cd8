"""Shots in three modalities, and retrieval among them by a plain loop over pairs of images."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

import mswin_viz as mv


def planted(n_shots: int = 26, *, coarse: bool = False, metric: str = "cosine") -> mv.EmbeddingTable:
    """Shots in three modalities; unknown identities and cameras, an identity with one shot, shots without TI."""
    rng = np.random.default_rng(2)
    pid, camid = rng.integers(0, 5, n_shots), rng.integers(1, 4, n_shots)
    pid[[3, 9]], pid[5], camid[[1, 9, 11]] = -1, 77, -1
    rows = [
        (shot, name) for name in ("RGB", "NI", "TI") for shot in range(n_shots) if name != "TI" or shot % 7
    ]
    shots = np.array([shot for shot, _ in rows])
    people, gap = rng.normal(size=(78, 6)), {name: 0.7 * rng.normal(size=6) for name in ("RGB", "NI", "TI")}
    plain = (
        people[pid[shots]] + np.array([gap[name] for _, name in rows]) + 0.8 * rng.normal(size=(len(rows), 6))
    )
    if coarse:  # many exact ties
        plain = np.sign(plain) + np.array([0, 0, 0, 0, 0, 3.0])
    return mv.EmbeddingTable(
        sample=shots,
        modality=np.array([name for _, name in rows]),
        pid=pid[shots],
        camid=camid[shots],
        scene=(camid[shots] + 1) // 2,
        split=np.array([""] * len(rows)),
        files=tuple({name: Path(f"{shot}.png")} for shot, name in rows),
        plain=plain.astype(np.float32),
        enhanced=(np.round(plain * 1.5) if coarse else plain + 0.5 * rng.normal(size=plain.shape)).astype(
            np.float32
        ),
        metric=metric,
    )


def members(table, name, features):
    """(shot, part, feature) of the images of a set."""
    found = []
    for part in name.split("|"):
        each = [
            {int(table.sample[r]): features[r] for r in range(len(table)) if table.modality[r] == one}
            for one in part.split("+")
        ]
        found += [
            (shot, part, np.concatenate([rows[shot] for rows in each]).astype(float))
            for shot in each[0]
            if all(shot in rows for rows in each)
        ]
    return found


def loop(table, query, gallery, features, *, rule, metric):
    """Average precision and inverse negative penalty of each query; NaN without a match."""
    about = {
        int(table.sample[r]): (table.pid[r], table.camid[r] if rule == "camera" else table.scene[r])
        for r in range(len(table))
    }
    found = []
    for shot, _, feature in members(table, query, features):
        pid, place = about[shot]
        scored = []
        for at, (other, _, theirs) in enumerate(members(table, gallery, features)):
            pid2, place2 = about[other]
            same = pid2 == pid and pid >= 0
            if other == shot or (same and rule != "none" and place == place2 and place >= 0):
                continue
            if metric == "cosine":
                unit = [row / math.sqrt(sum(row**2)) for row in (feature, theirs)]
                distance = 2 - 2 * sum(unit[0] * unit[1])
            else:
                distance = sum((feature - theirs) ** 2)
            scored.append((round(float(distance), 10), at, same))
        ranks = [place for place, (_, _, same) in enumerate(sorted(scored), start=1) if same]
        ap = sum((n + 1) / place for n, place in enumerate(ranks)) / len(ranks) if ranks else float("nan")
        found.append((ap, len(ranks) / ranks[-1] if ranks else float("nan")))
    return np.array(found)
