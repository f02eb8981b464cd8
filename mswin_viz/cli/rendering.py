"""The command that saves an explorer as a page: ``render``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mswin_viz.cli.checks import at_least, existing, read_path, to_write
from mswin_viz.cli.measuring import ModelName
from mswin_viz.cli.own_addons import AddonWeights, AnyAddon, chosen_addon
from mswin_viz.cli.terminal import echo
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.output_checks import output_file
from mswin_viz.errors import OptionError


def render(
    source: Annotated[
        Path | None,
        typer.Argument(
            parser=read_path,
            metavar="[IMAGES]",
            help="An image, a folder of images or a data set; the drawn samples if left out.",
        ),
    ] = None,
    html: Annotated[Path | None, to_write("FILE", "The page to write, ending in .html.")] = None,
    model: ModelName = "embedded",
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="What the cosine is taken with; give it again for more, of which the first is shown."
        ),
    ] = None,
    images: Annotated[int, typer.Option(help="How many images the page holds at most.")] = 24,
    addon: AnyAddon = None,
    addon_weights: AddonWeights = None,
) -> None:
    """Save the scale explorer of some images as one HTML file that works without a kernel or a network."""
    if html is None:
        raise OptionError("render writes a page: name it with --html FILE, such as --html scales.html")
    at_least(1, images=images)
    source = source and existing(source, "IMAGES")
    html = output_file(html, "--html", endings=[".html", ".htm"], inputs=[source])
    chosen = chosen_addon(addon, addon_weights and existing(addon_weights, "--addon-weights"))
    from mswin_viz.data.sets.layouts import samples
    from mswin_viz.model.loading import load_model
    from mswin_viz.view.scales.explorer import ScaleExplorer

    prompts = {"prompt": "\n".join(prompt)} if prompt else {}
    explorer = ScaleExplorer(load_model(model, addon=chosen), samples(source), **prompts)
    explorer.to_html(
        html, images=images, progress=sys.stderr.isatty(), say=lambda words: echo(words, err=True)
    )
    echo(f"wrote {shown_text(html)}")
