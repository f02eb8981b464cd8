"""Which of the known layouts a folder has, what its reader finds, and an account of everything else in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mswin_viz.data import manifest, market, msmt17, msvr310, plain_folder, rgbnt100, rgbnt201, wmveid863
from mswin_viz.data import visible_infrared as both
from mswin_viz.data.caption_table import NAME as CAPTIONS
from mswin_viz.data.caption_table import add_captions
from mswin_viz.data.files import Picture, image_suffixes, read_tree
from mswin_viz.data.images import MODALITIES, Crop
from mswin_viz.data.modalities import AMBIGUOUS, Contents, contents, modality_word
from mswin_viz.data.picture_files import opened_file
from mswin_viz.data.plain_folder import like_an_identity
from mswin_viz.data.reading import Found
from mswin_viz.data.report import DataReport
from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.splits import split_level
from mswin_viz.data.taken_as_rgb import like_modalities, same_names
from mswin_viz.errors import DataError, ImageFileError

__all__ = ["SETS", "Layout", "read_folder", "read_picture"]


def _always(below: Contents) -> bool:
    return True


@dataclass(frozen=True)
class Layout:
    """A layout that is known.

    Attributes
    ----------
    read
        Finds samples; None where the folder is laid out otherwise.
    shape
        What it looks like, for messages.
    published
        Split -> identities and samples as the authors count them; empty where that is not known.
    general
        Whether it is tried only where no other layout fits.
    paired
        Whether pictures of several modalities belong together; if not, it is no problem that none do.
    surely
        Whether a folder that can be read is recognised as this layout without being asked for.
    """

    read: Callable[[Contents], Found | None]
    shape: str
    published: Callable[[], Mapping[str, tuple[int, int]]] = dict
    general: bool = False
    paired: bool = True
    surely: Callable[[Contents], bool] = _always


def _styled(style: market.Style, *, general: bool = False) -> Layout:
    return Layout(style.read, style.shape, lambda: style.published, general)


SETS = {
    "wmveid863": Layout(wmveid863.read, wmveid863.SHAPE),  # before RGBNT201, which reads its names too
    "rgbnt201": Layout(rgbnt201.read, rgbnt201.SHAPE, lambda: rgbnt201.PUBLISHED),
    "rgbnt100": Layout(rgbnt100.read, rgbnt100.SHAPE, lambda: rgbnt100.PUBLISHED),
    "msvr310": Layout(msvr310.read, msvr310.SHAPE, lambda: msvr310.PUBLISHED),
    "market1501_rgbnt": _styled(market.MARKET1501_RGBNT),
    "market1501": _styled(market.MARKET1501),
    "dukemtmc": _styled(market.DUKEMTMC),
    "msmt17": Layout(msmt17.read, msmt17.SHAPE, lambda: msmt17.PUBLISHED),
    "veri776": _styled(market.VERI776),
    "sysu_mm01": Layout(
        both.read_sysu, both.SYSU_SHAPE, lambda: both.SYSU_PUBLISHED, paired=False, surely=both.is_surely_sysu
    ),
    "regdb": Layout(both.read_regdb, both.REGDB_SHAPE, paired=False),
    "market_style": _styled(market.MARKET_STYLE, general=True),
}
"""Name -> layout of a published set, or of a family of sets."""
_UNCLEAR = "may be near or thermal infrared: rename the folder to NI or TI, or list the pictures in a table manifest.csv"


def read_folder(root: Path, layout: str) -> DataReport:
    """Samples of a folder, or of a table, with an account of everything that lies below it.

    Raises
    ------
    DataError
        If nothing can be used, the layout asked for is not there, or more than one data set is.
    """
    if root.is_file() and layout not in ("auto", "manifest"):
        raise DataError(f"the {layout} layout is one of folders: got the table {root}; point to a folder")
    if root.is_file():
        return _report(root, "manifest", manifest.read(root), Counter())
    below = contents(read_tree(root, _names(root)))
    table = manifest.table_in(root, below.tree.others, deeper=layout == "manifest")
    if table is not None and layout in ("auto", "manifest"):
        name, found = "manifest", manifest.read(table)
    elif layout == "manifest":
        raise DataError(
            f"the manifest layout has a table {manifest.NAME}, or is one: found none in {root}; point to the table"
        )
    else:
        name, found = _recognised(below, layout)
    _account(below, found, name)
    return _report(root, name, found, below.tree.left_out + _left_out(below, found))


def _names(folder: Path) -> tuple[str, ...]:
    """The folder's name, after those above it where these are a split, a modality or an identity of one data set."""
    above = folder.resolve().parts[-4:]
    first = len(above) - 1
    for at in range(len(above) - 1, -1, -1):
        if modality_word(above[at])[0] or split_level((above[at],))[1]:
            first = at
        elif both.is_camera_of_sysu(above[: at + 1]):
            return above[at - 1 :]
        elif not like_an_identity(above[at]):
            break
    return above[first:]


def read_picture(path: Path) -> DataReport:
    """One sample of one picture, in the modality that its folder is named for.

    Raises
    ------
    DataError
        If it is no picture.
    """
    if path.suffix.lower() not in image_suffixes() and not _opens(path):
        raise DataError(f"a sample is a picture: Pillow cannot open {path}; check the path")
    names = _names(path.parent)
    words = {name: word for name in names if (word := modality_word(name)[0])}
    if both.is_infrared_of_sysu(names):
        words = {names[-1]: "NI"}
    folder, word = next(reversed(words.items()), (names[-1], None))
    found = Found([Sample(-1, -1, {word if word in MODALITIES else "RGB": path})])
    if word == AMBIGUOUS:
        found.problems.append(Problem("modality not known", path, f"loaded as RGB; {folder} {_UNCLEAR}"))
    return _report(path, "one image", found, Counter())


def _opens(path: Path) -> bool:
    try:
        with opened_file(path, str(path)):
            return True
    except ImageFileError:
        return False


def _recognised(below: Contents, layout: str) -> tuple[str, Found]:
    if layout == "folder":
        return layout, plain_folder.read(below, unclear=True)
    if layout != "auto":
        found = SETS[layout].read(below)
        if found is None:
            raise DataError(
                f"the {layout} layout has {SETS[layout].shape}: found none below {below.tree.root}; point to the data "
                'set\'s folder, or use layout="folder"'
            )
        return layout, _captioned(below, found)
    for general in (False, True):
        known = {
            name: kind.read(below)
            for name, kind in SETS.items()
            if kind.general == general and kind.surely(below)
        }
        known = _apart({name: found for name, found in known.items() if found is not None})
        if len(known) > 1:
            raise DataError(
                f"{below.tree.root} must hold one data set: got {' and '.join(known)}; point to one, or choose with "
                "layout="
            )
        for name, found in known.items():
            return name, _captioned(below, found)
    table = manifest.table_in(below.tree.root, below.tree.others, deeper=True)
    return ("folder", plain_folder.read(below)) if table is None else ("manifest", manifest.read(table))


def _apart(known: dict[str, Found]) -> dict[str, Found]:
    """Of layouts that claim the same pictures, the one that understands more of them."""
    if len(known) < 2:
        return known
    kept: dict[str, Found] = {}
    taken: set[Path] = set()
    for name, found in sorted(known.items(), key=lambda item: -len(item[1].samples)):
        files = _files(found)
        if not files & taken:
            kept[name] = found
            taken |= files
    return {name: kept[name] for name in known if name in kept}


def _captioned(below: Contents, found: Found) -> Found:
    tables = [path for path in below.tree.others if path.name.lower() == CAPTIONS]
    if not found.base:  # the search began inside the data set
        above = below.tree.root.resolve().parents[:2]
        tables += [table for folder in above if os.path.isfile(table := folder / CAPTIONS)][:1]
    add_captions(found, tables)
    return found


def _files(found: Found) -> set[Path]:
    return {
        source.path if isinstance(source, Crop) else source
        for sample in found.samples
        for source in sample.images.values()
    }


def _account(below: Contents, found: Found, name: str) -> None:
    """Every picture below is a sample, in a problem, or left out for a reason that is counted."""
    used = _files(found)
    found.problems[:0] = below.tree.problems
    if name not in SETS or SETS[name].paired:
        found.problems += [problem for problem in below.problems if problem.path in used]
        found.problems += [] if name == "manifest" else _without_modality(found, below.tree.root)
    done = used | {problem.path for problem in found.problems}
    done |= {path for paths in found.passed.values() for path in paths}
    if name == "manifest":
        done = {os.path.normpath(path) for path in done}
        rest = [one.path for one in below.tree.pictures if os.path.normpath(one.path) not in done]
        found.passed["picture that the table does not name"] += rest
        return
    as_rgb = _read_as_rgb(below, found)
    signs = like_modalities(as_rgb)
    if not signs and name in SETS and SETS[name].paired:
        signs = same_names(as_rgb)
    found.problems += signs
    unclear = {one.path for one in below.unclear}
    holding = {folder for path in used for folder in path.parents}
    by_folder: dict[tuple[str, Path], int] = Counter()
    for picture in below.tree.pictures:
        if picture.path in done:
            continue
        if picture.path in unclear:
            by_folder["modality not known", _undecided(picture)] += 1
        elif picture.parts[: len(found.base)] == found.base:
            by_folder["outside the layout", _top(picture, found.base, holding)] += 1
        else:
            found.passed["picture outside the data set's folder"].append(picture.path)
    for (kind, folder), count in by_folder.items():
        why = f"{folder.resolve().name} {_UNCLEAR}" if kind == "modality not known" else f"not read as {name}"
        found.problems.append(Problem(kind, folder, f"{count:,} left out; {why}"))


def _without_modality(found: Found, root: Path) -> list[Problem]:
    """One problem for each modality that no shot of a set of several has, rather than one for each shot."""
    there = {name for sample in found.samples for name in sample.images}
    if all(len(sample.images) == 1 for sample in found.samples):
        return []
    have = ", ".join(name for name in MODALITIES if name in there)
    return [
        Problem("missing modality", root, f"no {name} image in the whole set; loaded with {have}")
        for name in MODALITIES
        if name not in there
    ]


def _read_as_rgb(below: Contents, found: Found) -> list[Picture]:
    """Pictures in folders that name no modality, each of which became a sample of visible light."""
    paths = {source for sample in found.samples for name, source in sample.images.items() if name == "RGB"}
    return [picture for picture in below.plain if picture.path in paths]


def _undecided(picture: Picture) -> Path:
    """The folder around a picture whose name may mean near or thermal infrared."""
    at = max(n for n, name in enumerate(picture.parts) if modality_word(name)[0] == AMBIGUOUS)
    above = picture.path.parents
    return above[min(len(picture.parts) - 1 - at, len(above) - 1)]


def _top(picture: Picture, base: tuple[str, ...], holding: set[Path]) -> Path:
    """The outermost folder around a picture, below the data set's own, in which nothing was read."""
    below = len(picture.parts) - len(base)
    folders = picture.path.parents[: max(below, 1)]
    return next((folder for folder in reversed(folders) if folder not in holding), folders[0])


def _left_out(below: Contents, found: Found) -> Counter[str]:
    """Why files are left out that are no fault -> how many."""
    counts = Counter({reason: len(paths) for reason, paths in found.passed.items() if paths})
    read = set(found.tables)
    for path in below.tree.others:
        if path not in read:
            counts[f"{path.suffix.lower()} file" if path.suffix else "file without an ending"] += 1
    return counts


def _report(root: Path, name: str, found: Found, left_out: Counter[str]) -> DataReport:
    if not found.samples:
        raise DataError(
            "samples need at least one image (.jpg, .png, .tif or another format that Pillow opens) that can be used: "
            f"found none below {root}{_why(found, left_out)}; check the path, or generate some with "
            "`mswin-viz samples`"
        )
    return DataReport(
        root,
        name,
        tuple(found.samples),
        tuple(found.problems),
        left_out=dict(left_out.most_common()),
        notes=tuple(found.notes),
    )


def _why(found: Found, left_out: Counter[str]) -> str:
    """The first problem, and what was left out, in brackets."""
    words = ""
    if found.problems:
        first = found.problems[0]
        words = f" ({len(found.problems)} cannot be used: {first.kind}, {first.path}: {first.detail})"
    passed = ", ".join(f"{count} x {reason}" for reason, count in left_out.items())
    return f"{words} (left out: {passed})" if passed else words
