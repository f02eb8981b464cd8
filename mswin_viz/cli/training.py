"""Commands that train: ``train-embedded``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train_embedded"]


def train_embedded(
    work: Annotated[
        Path, typer.Argument(help="Folder for pictures, resumable state and the finished model.")
    ],
    steps: Annotated[
        int, typer.Option(help="Training steps of the CLIP; the schedules stretch with them.")
    ] = 3000,
    precision: Annotated[
        str, typer.Option(help="bfloat16 as shipped, or float32: faster where there are no bfloat16 units.")
    ] = "bfloat16",
    device: Annotated[str, typer.Option(help="A torch device.")] = "cpu",
) -> None:
    """Train the embedded CLIP and its add-on from scratch (over an hour on a laptop); run again to resume."""
    from mswin_viz.model.embedding import train_embedded_model
    from mswin_viz.model.recipe import Recipe

    folder = train_embedded_model(Recipe(steps=steps, precision=precision), work, device=device)
    typer.echo(f"finished model: {folder}")
