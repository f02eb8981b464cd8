"""The command that gives tags to images, takes them away, and lists them: ``tag``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mswin_viz.cli.checks import existing, has_no_effect, read_path, to_write
from mswin_viz.cli.shared_options import answer
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.errors import OptionError


def tag(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(parser=read_path, metavar="FOLDER", help="A data set, or a store of its features."),
    ],
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Images, from the current folder or from FOLDER; FILE#xywh=X,Y,WIDTH,HEIGHT is a part of one.",
        ),
    ] = None,
    add: Annotated[
        str | None, typer.Option("--add", metavar="TAG", help="Give this tag to the images at PATH.")
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="TAG", help="Take this tag away from them.")
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the tags, and how many images have each.")
    ] = False,
    note: Annotated[str | None, typer.Option(help="Words to keep with it.")] = None,
    author: Annotated[str | None, typer.Option(help="A name to keep with it.")] = None,
    tags: Annotated[
        Path | None,
        to_write("FILE", "The file of tags, ending in .jsonl, where it is not tags.jsonl in FOLDER."),
    ] = None,
) -> None:
    """Give images of a data set a tag, or take it away, or list the tags; other commands take --tagged TAG and --without TAG."""
    asked = [
        name
        for name, given in (("--add", add), ("--remove", remove), ("--list", listed or None))
        if given is not None
    ]
    if len(asked) != 1:
        raise OptionError(
            f"tag takes one of --add TAG, --remove TAG and --list: got {' and '.join(asked) or 'none'}; name one"
        )
    if listed:
        has_no_effect(context, ("images", "note", "author"), "with --list")
    elif not images:
        raise OptionError(f"{asked[0]} needs images: name at least one PATH behind FOLDER")
    folder = existing(folder, "FOLDER")
    from mswin_viz.data.tags.opening import open_tags

    opened = (
        open_tags(folder, author=author)
        if tags is None
        else open_tags(tags, root=_root(folder), author=author)
    )
    record: dict[str, Any] = {"file": shown_text(opened.file)}
    if listed:
        answer(record | {"tags": opened.counts}, lambda: _words(opened.counts))
        return
    change = opened.remove if add is None else opened.add
    written = change(images or [], add if add is not None else remove or "", note=note)
    record |= {"tag": written[0].tag if written else (add or remove), "images": len(written)}
    done = "tagged" if add is not None else "no longer tagged"
    n_images = counted(len(written), "images")
    answer(record, lambda: f"{n_images} {done} {record['tag']!r} in {record['file']}")


def _root(folder: Path) -> Path:
    """The folder of the images: of a store, where those of its data set lie."""
    from mswin_viz.data.store.store_record import is_store, read_record

    if not is_store(folder):
        return folder
    root = read_record(folder).root
    return folder if root is None else Path(root)


def _words(counts: dict[str, int]) -> str:
    width = max(map(len, counts), default=0)
    return "\n".join(f"{name:{width}}  {count:,}" for name, count in counts.items()) or "no tags yet"
