"""The command that writes ranked lists: ``rank``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mswin_viz.cli.checks import Images, at_least, existing, has_no_effect, one_of, to_write
from mswin_viz.cli.measuring import ModelName
from mswin_viz.cli.own_addons import AddonWeights, AnyAddon, chosen_addon
from mswin_viz.cli.shared_options import answer, note, say_left_out
from mswin_viz.cli.tag_options import tag_choice
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.output_checks import output_folder
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mswin_viz.data.sample import Sample

_OF_A_MODEL = ("model", "addon", "addon_weights")


def rank(
    context: typer.Context,
    source: Images = None,
    out: Annotated[Path | None, to_write("FOLDER", "Folder for the lists; ranked_lists if left out.")] = None,
    worst: Annotated[int, typer.Option(help="Number of queries, those of lowest average precision.")] = 20,
    query: Annotated[
        list[str] | None,
        typer.Option(
            help="A query by its file name without ending, in place of the worst; give it again for more."
        ),
    ] = None,
    k: Annotated[int, typer.Option(help="Results in each list.")] = 10,
    modality: Annotated[
        str | None, typer.Option(help="Modality to rank by, such as NI or RGB+TI; all joined if left out.")
    ] = None,
    rule: Annotated[str, typer.Option(help="The matching rule: camera, scene or none.")] = "camera",
    kind: Annotated[str, typer.Option("--format", help="Of the pictures: png, svg or pdf.")] = "png",
    model: ModelName = "embedded",
    addon: AnyAddon = None,
    addon_weights: AddonWeights = None,
) -> None:
    """Write ranked lists of the worst queries, or of named ones: a picture of each, one page, and a CSV table."""
    if query:
        has_no_effect(context, ("worst",), "with --query")
    at_least(1, worst=worst, k=k)
    source = source and existing(source, "IMAGES")
    out = output_folder(out or Path("ranked_lists"), "--out", inputs=[source])
    from mswin_viz.analysis.measures.matching import RULES
    from mswin_viz.data.store.store_record import is_store
    from mswin_viz.view.parts.figure_file import FORMATS
    from mswin_viz.view.retrieval.saved_lists import save_ranked_lists

    one_of(RULES, rule=rule)
    one_of(FORMATS, format=kind)
    if source is not None and is_store(source):
        has_no_effect(context, _OF_A_MODEL, "with a store, whose features are ranked as they are")
        table, samples, words = _stored(source)
    else:
        table, samples, words = _embedded(
            source, model, chosen_addon(addon, addon_weights and existing(addon_weights, "--addon-weights"))
        )
    saved = save_ranked_lists(
        table, out, queries=_named(samples, query) if query else "worst", n=worst, k=k, rule=rule,
        modality=modality, kind=kind, provenance=words,
    )  # fmt: skip
    failed = {shown_text(failure.path): failure.reason for failure in table.failed}
    say_left_out((failed | saved.left_out).items())
    note(
        f"ranked lists of {counted(len(saved.queries), 'queries')} in {shown_text(out)}; open {saved.page.name}"
    )
    answer(
        {
            "page": shown_text(saved.page),
            "lines": shown_text(saved.lines),
            "pictures": [shown_text(file) for file in saved.pictures],
            "queries": [samples[position].name for position in saved.queries],
            "left_out": failed | saved.left_out,
        }
    )


def _stored(folder: Path) -> tuple[Any, Sequence[Sample], str]:
    """The table of a store, its samples, and which model made it."""
    from mswin_viz.analysis.embeddings.store import open_store
    from mswin_viz.data.tags.choice import chosen_rows

    store = chosen_rows(open_store(folder), **tag_choice())
    words = "; ".join(f"{name}: {value}" for name, value in store.record.model.items())
    return store.table(), store, words


def _embedded(source: Path | None, model: str, addon: Any) -> tuple[Any, Sequence[Sample], str]:
    from mswin_viz.analysis.embeddings.batch import embed
    from mswin_viz.data.sets.layouts import samples
    from mswin_viz.model.loading import load_model

    read, encoder = samples(source, **tag_choice()), load_model(model, addon=addon)
    return embed(encoder, read), read, encoder.provenance


def _named(samples: Sequence[Sample], names: Sequence[str]) -> list[int]:
    """Positions of the samples of these names, all of them where several have one."""
    found = []
    for name in names:
        positions = [at for at, sample in enumerate(samples) if sample.name == name]
        if not positions:
            raise OptionError(
                f"--query is the name of an image's file without its ending: got {name!r}, which none of {counted(len(samples), 'samples')} "
                f"has; the first is {samples[0].name!r}"
            )
        found += positions
    return found
