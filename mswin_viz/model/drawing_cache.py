"""What is drawn for every training person once, by all processors, and read from a file afterwards."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from mswin_viz.model.recipe import Recipe

__all__ = ["drawn_once"]


def drawn_once(
    recipe: Recipe, draw: Callable[[tuple[int, int, int]], np.ndarray], cache: Path | None, what: str
) -> np.ndarray:
    """``draw((world seed, pid, shots))`` of every training person, stacked ``[person, ...]``.

    Parameters
    ----------
    draw
        A function of a module, so that other processes find it.
    cache
        The file that is read if it is there, and written if not; None for memory only.
    what
        Named beside the progress bar.
    """
    if cache is not None and cache.exists():
        return np.load(cache, mmap_mode="r")
    jobs = [(recipe.seed, recipe.first_pid + i, recipe.shots) for i in range(recipe.identities)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        people = list(tqdm(pool.imap(draw, jobs, chunksize=4), total=len(jobs), desc=f"drawing {what}"))
    drawn = np.stack(people)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".part.npy")
        np.save(partial, drawn)
        partial.replace(cache)
    return drawn
