"""The command that writes attribution maps: ``attribute``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mswin_viz.cli.checks import Images, at_least, existing, one_of, to_write
from mswin_viz.cli.measuring import ModelName
from mswin_viz.cli.own_addons import AddonWeights, AnyAddon, chosen_addon
from mswin_viz.cli.shared_options import answer, note, say_left_out
from mswin_viz.cli.tag_options import tag_choice
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.output_checks import output_folder

_FEATURES = ("plain", "enhanced")


def attribute(
    source: Images = None,
    out: Annotated[
        Path | None, to_write("FOLDER", "Folder for the maps of each image; attributions if left out.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="As in mswin_viz.attribute(), such as gradcam; give it again for more methods."),
    ] = None,
    prompt: Annotated[
        str, typer.Option(help="What the cosine is taken with.")
    ] = "a person wearing a red top",
    feature: Annotated[
        str | None,
        typer.Option(
            help="Of which CLS: plain, enhanced or both; enhanced if left out and there is an add-on."
        ),
    ] = None,
    modality: Annotated[
        str, typer.Option(help="Which image of each sample: RGB, NI or TI; its first where it lacks that.")
    ] = "RGB",
    kind: Annotated[str, typer.Option("--format", help="Of the figures: png, pdf or svg.")] = "png",
    numbers: Annotated[str, typer.Option(help="Also write the numbers: npz or json.")] = "none",
    steps: Annotated[
        int, typer.Option(help="Steps of integrated gradients; half as many samples elsewhere.")
    ] = 16,
    images: Annotated[int | None, typer.Option(help="How many images at most; all if left out.")] = None,
    model: ModelName = "embedded",
    addon: AnyAddon = None,
    addon_weights: AddonWeights = None,
) -> None:
    """Write attribution maps of some images as figures, with the exact shares of windows where there is an add-on."""
    at_least(1, steps=steps, **{} if images is None else {"images": images})
    one_of(MODALITIES, modality=modality)
    one_of((*_FEATURES, "both"), feature=feature)
    source = source and existing(source, "IMAGES")
    out = output_folder(out or Path("attributions"), "--out", inputs=[source])
    from mswin_viz.analysis.attribution.attribute import ATTRIBUTION_METHODS
    from mswin_viz.view.attributions.saved_maps import NUMBERS, MapPlan, save_attributions
    from mswin_viz.view.parts.figure_file import FORMATS

    one_of(FORMATS, format=kind)
    one_of(NUMBERS, numbers=numbers)
    methods = tuple(dict.fromkeys(method or ("integrated_gradients", "gradcam")))
    for name in methods:
        one_of(ATTRIBUTION_METHODS, method=name)
    chosen = chosen_addon(addon, addon_weights and existing(addon_weights, "--addon-weights"))
    from mswin_viz.data.sets.layouts import samples
    from mswin_viz.model.loading import load_model

    read = samples(source, **tag_choice())[:images]
    encoder = load_model(model, addon=chosen)
    feature = feature or _FEATURES[encoder.addon is not None]
    features = _FEATURES if feature == "both" else (feature,)
    plan = MapPlan(methods, features, prompt, modality, steps, kind, numbers)
    saved = save_attributions(encoder, read, plan, folder=out)
    say_left_out(saved.left_out.items())
    note(f"maps of {counted(len(saved.images), 'images')} in {shown_text(out)}")
    answer({"folder": shown_text(out), "images": saved.images, "left_out": saved.left_out})
