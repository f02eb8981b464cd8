"""The options of every command that reads images or a store: ``--tagged``, ``--without`` and ``--tags``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict

import typer

from mswin_viz.cli.checks import existing, read_path
from mswin_viz.cli.shared_options import Command

TAG_OPTIONS = ("tagged", "without", "tags")
"""Their names as parameters."""
_KEY = "mswin_viz.tag_options"  # in a context's meta
_PANEL = "Only some images"


class TagChoice(TypedDict, total=False):
    """What ``mswin_viz.samples`` takes of these options; empty where none was given."""

    tagged: tuple[str, ...]
    without: tuple[str, ...]
    tags: Path


class _Given(NamedTuple):
    tagged: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    tags: Path | None = None


_NOW: ContextVar[_Given] = ContextVar("tag_options")


def tag_choice() -> TagChoice:
    """What was asked for on the command line, the file of tags checked to exist."""
    given = _NOW.get(_Given())
    choice: TagChoice = {}
    if given.tagged:
        choice["tagged"] = given.tagged
    if given.without:
        choice["without"] = given.without
    if given.tags is not None:
        choice["tags"] = existing(given.tags, "--tags")
    return choice


def _remember(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    if value:
        kept = value if isinstance(value, Path) else tuple(value)
        context.meta.setdefault(_KEY, {})[parameter.name] = kept
    return value


def _option(name: str, words: str, **about: Any) -> Any:
    return typer.Option(
        name, help=words, callback=_remember, expose_value=False, rich_help_panel=_PANEL, **about
    )


def _options(
    tagged: Annotated[list[str] | None, _option("--tagged", "Only samples with this tag; give it again for more, of which they must have all.", metavar="TAG")] = None,
    without: Annotated[list[str] | None, _option("--without", "No samples with this tag; give it again for more, of which they must have none.", metavar="TAG")] = None,
    tags: Annotated[Path | None, _option("--tags", "The file of tags, where it is not tags.jsonl beside the images.", parser=read_path, metavar="FILE")] = None,
) -> None:  # fmt: skip
    """Declares the options; a command's own function does not see them."""


class ImageCommand(Command):
    """A command that reads images or a store, and can be told to take only some of them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        declaring = typer.Typer(add_completion=False)
        declaring.command()(_options)
        self.params += [one for one in typer.main.get_command(declaring).params if one.name in TAG_OPTIONS]

    def invoke(self, ctx: Any) -> Any:
        """Run the command under these options."""
        with _in_force(_Given(**ctx.meta.get(_KEY, {}))):
            return super().invoke(ctx)


@contextlib.contextmanager
def _in_force(given: _Given) -> Iterator[None]:
    token = _NOW.set(given)
    try:
        yield
    finally:
        _NOW.reset(token)
