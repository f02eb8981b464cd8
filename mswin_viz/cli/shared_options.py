"""What every command takes, before its name or behind it: ``--json``, ``--quiet``, ``--verbose`` and ``--debug``."""

from __future__ import annotations

import contextlib
import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mswin_viz.cli.terminal import echo
from mswin_viz.data.progress import hidden_bars
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import MswinVizError, OptionError

_KEY = "mswin_viz.shared_options"  # in a context's meta, which a command shares with the group it stands in
_PANEL = "Every command"
_MOST_LEFT_OUT = 10


@dataclass(frozen=True)
class SharedOptions:
    """Which of the options that every command takes were given."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False


_NOW: ContextVar[SharedOptions] = ContextVar("shared_options")


def shared() -> SharedOptions:
    """The options of the command that is running."""
    return _NOW.get(SharedOptions())


def note(words: str) -> None:
    """Say what goes on: nothing with ``--quiet``; on standard error with ``--json``, which has standard output."""
    if not shared().quiet:
        echo(words, err=shared().json)


def say_left_out(left_out: Iterable[tuple[object, str]], *, is_in_json: bool = True) -> None:
    """Name what could not be used, such as a file, and why: the first ten, and how many more, on standard error."""
    reasons = list(left_out)
    for what, why in reasons[:_MOST_LEFT_OUT]:
        echo(f"left out: {shown_text(what)}: {why}", err=True)
    if len(reasons) > _MOST_LEFT_OUT:
        where = ", which --json lists" if is_in_json else ""
        echo(f"left out: {len(reasons) - _MOST_LEFT_OUT:,} more{where}", err=True)


def answer(record: Any, words: Callable[[], str] | None = None) -> None:
    """Print what a command found out: in ``words``, if it has any, or the record as JSON with ``--json``."""
    if shared().json:
        echo(json.dumps(record, indent=1))
    elif words is not None:
        echo(words())


def _remember(context: typer.Context, parameter: typer.CallbackParam, value: bool) -> bool:
    if value:
        context.meta.setdefault(_KEY, set()).add(parameter.name)
    return value


def _flag(names: tuple[str, ...], words: str) -> Any:
    return typer.Option(
        *names, help=words, callback=_remember, expose_value=False, rich_help_panel=_PANEL, is_eager=True
    )


def _every_command(
    json: Annotated[bool, _flag(("--json",), "Print the results as one JSON document, and nothing else.")] = False,
    quiet: Annotated[bool, _flag(("--quiet", "-q"), "Show no progress; print results and warnings only.")] = False,
    verbose: Annotated[bool, _flag(("--verbose", "-v"), "Also say the settings and the time taken, on standard error.")] = False,
    debug: Annotated[bool, _flag(("--debug",), "Show the traceback of an error in place of its one line.")] = False,
) -> None:  # fmt: skip
    """Declares the options; a command's own function does not see them."""


def _parameters() -> list[Any]:
    declaring = typer.Typer(add_completion=False)
    declaring.command()(_every_command)
    names = {field.name for field in fields(SharedOptions)}
    return [one for one in typer.main.get_command(declaring).params if one.name in names]


class Command(TyperCommand):
    """A command that takes the shared options."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params += _parameters()

    def invoke(self, ctx: Any) -> Any:
        """Run the command under the options given before its name and behind it."""
        given = SharedOptions(**dict.fromkeys(ctx.meta.get(_KEY, ()), True))
        if given.quiet and given.verbose:
            raise OptionError("--quiet and --verbose contradict each other: got both; leave one out")
        with _in_force(given), hidden_bars() if given.quiet else contextlib.nullcontext():
            if given.verbose:
                for name, value in ctx.params.items():
                    echo(f"{name}: {shown_text(value)}", err=True)
            started = time.perf_counter()
            try:
                return super().invoke(ctx)
            finally:
                if given.verbose:
                    echo(f"{ctx.command.name} took {time.perf_counter() - started:.1f} s", err=True)


class Commands(TyperGroup):
    """All commands; the shared options may stand before their names, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.params += _parameters()

    def invoke(self, ctx: Any) -> Any:
        """Run a command; one that is interrupted says so in a line, and how to go on where it knows."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            echo(str(interrupt) or "interrupted", err=True)
            raise typer.Exit(130) from None
        except (MswinVizError, OSError) as problem:
            if "debug" not in ctx.meta.get(_KEY, ()):
                raise
            echo("".join(traceback.format_exception(problem)).rstrip(), err=True)
            raise typer.Exit(1) from None


@contextlib.contextmanager
def _in_force(given: SharedOptions) -> Iterator[None]:
    token = _NOW.set(given)
    try:
        yield
    finally:
        _NOW.reset(token)
