"""Words in figures. Names are drawn as they are: a ``$`` or a backslash starts no formula, whatever matplotlib is set to.

``draw_plainly`` runs each time a figure is drawn; the rest puts names of any length where they fit.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import lru_cache
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import Formatter, LogFormatter, LogitFormatter, NullFormatter, ScalarFormatter

from mswin_viz.data.shown_text import short_text, shown_text

MOST_OF_A_NAME = 60
"""Characters of a name in a figure; of a longer one the middle is left out."""
LEAST_SIZE = 6
"""Points of the smallest letters in a figure, at its own size: less does not print."""
_MOST_OF_A_WORD = 200  # characters, in a caption
_LINES_PER_INCH = 4  # of a caption, so that it leaves the picture the greater part of a figure
_NUMBERS = (ScalarFormatter, LogFormatter, LogitFormatter)
"""What writes numbers beside an axis, as formulas if matplotlib is set so; no name is written by these."""


def truetype() -> AbstractContextManager[object]:
    """A context in which PDF files hold their fonts as TrueType, as journals ask for, and text that can be searched."""
    return rc_context({"pdf.fonttype": 42})


def draw_plainly(figure: Figure) -> None:
    """Make every text of a figure plain, names beside axes too; what the font lacks is escaped, as in ``caf\\udce9``."""
    numbers: set[int] = set()
    for axis in figure.findobj(Axis):
        numbers |= {id(text) for text in _texts_of_numbers(axis)}
    for text in figure.findobj(Text):
        text.set_usetex(False)
        if id(text) not in numbers:
            text.set_parse_math(False)
            text.set_text(_drawable(text.get_text(), text.get_fontproperties()))


def folded_name(name: object, width: int, *, most: int = MOST_OF_A_NAME) -> str:
    """A name in lines of ``width`` characters, its middle left out where it is longer than ``most``."""
    return textwrap.fill(short_text(name, most), width)


def caption_lines(words: str, width: int, *, most: int = 24) -> list[str]:
    """A caption in ``most`` lines of ``width`` characters; of a long name in it, and of too many words, the middle is left out."""
    short = " ".join(short_text(word, _MOST_OF_A_WORD) for word in words.split(" "))
    lines = textwrap.wrap(short, width)
    return lines if len(lines) <= most else [*lines[: most // 2], "…", *lines[most // 2 + 1 - most :]]


def write_caption(figure: Figure, lines: Sequence[str], **place: Any) -> None:
    """Lines in small letters below a figure."""
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=LEAST_SIZE, **place)


def caption(figure: Figure, words: str) -> None:
    """Small words below a figure, in lines that fit its size."""
    width, height = figure.get_size_inches()
    write_caption(figure, caption_lines(words, int(width * 19), most=int(height * _LINES_PER_INCH)))


def named_legend(
    owner: Figure | SubFigure | Axes, handles: Sequence[Artist], names: Iterable[object], **options: Any
) -> Legend:
    """A legend of every handle: matplotlib leaves out those whose name begins with an underscore."""
    legend = owner.legend(handles, [str(number) for number in range(len(handles))], **options)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(short_text(name, MOST_OF_A_NAME))
    return legend


class _PlainNames(Formatter):
    """Another formatter's words, as they can be drawn."""

    def __init__(self, names: Formatter, font: FontProperties) -> None:
        self._names, self._font = names, font

    def __call__(self, value: float, pos: int | None = None) -> str:
        return self._drawn(self._names(value, pos))

    def format_ticks(self, values: list[float]) -> list[str]:
        return [self._drawn(words) for words in self._names.format_ticks(values)]

    def set_locs(self, locs: list[float]) -> None:
        self._names.set_locs(locs)

    def _drawn(self, words: str) -> str:
        return _drawable(short_text(words, MOST_OF_A_NAME, keep="\n"), self._font)


def _texts_of_numbers(axis: Axis) -> Iterator[Text]:
    """The texts that only numbers are written in; the formatters of all others become plain."""
    for is_minor in (False, True):
        formatter = axis.get_minor_formatter() if is_minor else axis.get_major_formatter()
        ticks = axis.get_minor_ticks() if is_minor else axis.get_major_ticks()
        if isinstance(formatter, _NUMBERS):
            yield from (label for tick in ticks for label in (tick.label1, tick.label2))
        elif ticks and not isinstance(formatter, NullFormatter | _PlainNames):
            plain = _PlainNames(formatter, ticks[0].label1.get_fontproperties())
            (axis.set_minor_formatter if is_minor else axis.set_major_formatter)(plain)
    if isinstance(axis.get_major_formatter(), _NUMBERS):
        yield axis.offsetText


def _drawable(words: str, font: FontProperties) -> str:
    text = shown_text(words, keep="\n")
    if text.isascii():
        return text
    files = _font_files(font)
    return "".join(sign if sign.isascii() or _has(files, sign) else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def _font_files(font: FontProperties) -> tuple[str, ...]:
    """The files of a font's families that are installed."""
    files = []
    for family in font.get_family():
        of_the_family = font.copy()
        of_the_family.set_family(family)
        with suppress(ValueError):
            files.append(str(findfont(of_the_family, fallback_to_default=False)))
    return tuple(files) or (str(findfont(FontProperties())),)


@lru_cache(maxsize=4096)
def _has(files: tuple[str, ...], sign: str) -> bool:
    return any(get_font(file).get_char_index(ord(sign)) for file in files)
