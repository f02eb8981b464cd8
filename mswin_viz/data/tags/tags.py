"""Tags of the images of a data set: given, taken away, looked up, and used as a filter."""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.appended_lines import append_lines
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.data.tags.image_keys import ImageKeys, Key, folded
from mswin_viz.data.tags.tag_events import TagEvent, checked_words, line_of, tag_name
from mswin_viz.data.tags.tag_file import ReadTags, read_more
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

_MOST_LISTED = 12  # tags in a message
Images = Sample | str | os.PathLike | Crop | Iterable[Sample | str | os.PathLike | Crop]
"""A sample, an image, or several of them."""


class Tags:
    """The tags of a data set's images, as a file beside them keeps them; :func:`mswin_viz.open_tags` opens it.

    Every tag that is given or taken away is a line at the end of the file, so nothing is ever lost; several programs
    may use it at once. Images are known by their paths relative to ``root``, so the data set may be moved. A sample has
    a tag if one of its images has it.

    Attributes
    ----------
    file
        The file; it is made when the first tag is given.
    root
        The folder that paths are relative to.
    author
        Stands in every line that is written from here; None for nobody.

    Examples
    --------
    >>> people = mv.samples(mv.write_samples("tagged", identities=4, cameras=1, shots=1))
    >>> tags = mv.open_tags("tagged")
    >>> events = tags.add(people[:2], "half hidden", note="by a car")
    >>> tags.of(people[0]), tags.counts  # a sample has three images
    (('half hidden',), {'half hidden': 6})
    >>> [sample.pid for sample in tags.filter(people, without="half hidden")]
    [3, 4]
    """

    def __init__(self, file: Path, root: Path, *, author: str | None = None) -> None:
        self.file, self.root, self.author = file, root, checked_words(author, "author")
        self._keys, self._lock = ImageKeys(root), threading.RLock()
        self._begin()
        self.refresh()

    def __repr__(self) -> str:
        words = ", ".join(f"{name} ({count:,})" for name, count in self.counts.items()) or "none yet"
        return f"Tags({shown_text(self.file)}: {words})"

    # ---- looking up -------------------------------------------------------------------------

    @property
    def history(self) -> tuple[TagEvent, ...]:
        """Every event, the oldest first."""
        return tuple(self._read.events)

    @property
    def names(self) -> tuple[str, ...]:
        """The tags that some image has, in alphabetical order."""
        return tuple(self.counts)

    @property
    def counts(self) -> dict[str, int]:
        """Tag -> the number of images that have it."""
        found: dict[str, int] = {}
        for given in self._given.values():
            for name in given:
                found[name] = found.get(name, 0) + 1
        return {name: found[name] for name in sorted(found, key=lambda name: (name.casefold(), name))}

    def of(self, images: Images) -> tuple[str, ...]:
        """The tags of a sample or an image, or of any of several, in alphabetical order; errors as in :meth:`add`."""
        keys = self._keys.of_sample(images) if isinstance(images, Sample) else self._keys.of_any(images)
        return self._names_of(keys)

    def of_source(self, source: Path | Crop) -> tuple[str, ...]:
        """The tags of one image, which need not exist."""
        return self._names_of([self._keys.of_source(source)])

    def filter(
        self,
        samples: Iterable[Sample],
        *,
        tagged: str | Sequence[str] = (),
        without: str | Sequence[str] = (),
    ) -> list[Sample]:
        """The samples that have all of some tags and none of others.

        Parameters
        ----------
        samples
            Samples of the data set.
        tagged, without
            Tags, one or several.

        Returns
        -------
        samples
            Those that fit, in their order; there may be none.

        Raises
        ------
        OptionError
            If no image has such a tag: the message lists those that there are.
        """
        wanted, unwanted = self.checked(tagged), self.checked(without)
        own = [(sample, set(self.of(sample))) for sample in listed_samples(samples)]
        return [sample for sample, names in own if wanted <= names and not unwanted & names]

    def checked(self, names: str | Sequence[str]) -> set[str]:
        """Tags, one or several; an `OptionError` for one that no image has lists those that there are."""
        is_list = isinstance(names, Iterable) and not isinstance(names, str | bytes)
        found = {tag_name(name) for name in (names if is_list else [names])}
        for name in sorted(found - set(self.names)):
            there = self.counts
            listed = ", ".join(f"{one} ({count:,})" for one, count in list(there.items())[:_MOST_LISTED])
            more = f" and {len(there) - _MOST_LISTED} more" if len(there) > _MOST_LISTED else ""
            close = difflib.get_close_matches(name.casefold(), [one.casefold() for one in there], n=1)
            alike = [one for one in there if one.casefold() in close]
            meant = max(alike, key=lambda one: difflib.SequenceMatcher(None, name, one).ratio(), default="")
            raise OptionError(
                f"a tag must be one that some image has: none in {shown_text(self.file)} has {name!r}; "
                + (f"did you mean {meant!r}? " if meant else "")
                + (f"there are {listed}{more}" if there else "it holds no tags yet")
            )
        return found

    def to_pandas(self) -> pd.DataFrame:
        """One line for each image and tag that it has: ``path``, ``box``, ``tag``, ``time``, ``note`` and ``author``."""
        import pandas as pd  # slow to import

        events = [event for given in self._given.values() for event in given.values()]
        columns = {"path": [shown_text(event.path) for event in events]}
        columns |= {
            name: [getattr(event, name) for event in events]
            for name in ("box", "tag", "time", "note", "author")
        }
        return pd.DataFrame(columns)

    # ---- changing ---------------------------------------------------------------------------

    def add(self, images: Images, tag: str, *, note: str | None = None) -> list[TagEvent]:
        """Give images a tag; those that have it already are left as they are, unless there is a note.

        Parameters
        ----------
        images
            A sample, of which every image gets the tag, an image, or several of them. Paths that are text begin at the
            current folder or at the data set's.
        tag
            1 to 60 printable characters without a comma; blanks around it do not count.
        note
            Words to keep with it.

        Returns
        -------
        events
            What was written, for :meth:`undo`.

        Raises
        ------
        OptionError
            If the tag or note cannot be one, or the images are something else.
        DataError
            If there is no such image.
        OutputError
            If the file cannot be written.
        """
        name, words = tag_name(tag), checked_words(note, "note")
        with self._lock:
            self.refresh()
            keys = [one for one in self._keys.of_any(images) if words or name not in self._names_of([one])]
            return self._append([self._event(key, name, True, words) for key in keys])

    def remove(self, images: Images, tag: str, *, note: str | None = None) -> list[TagEvent]:
        """Take a tag away from images that have it; parameters, returns and errors as in :meth:`add`.

        Raises OptionError for a tag that no image ever had: the message lists those that there are.
        """
        name, words = tag_name(tag), checked_words(note, "note")
        with self._lock:
            self.refresh()
            if not any(event.tag == name for event in self._read.events):
                self.checked(name)
            keys = [one for one in self._keys.of_any(images) if name in self._names_of([one])]
            return self._append([self._event(key, name, False, words) for key in keys])

    def undo(self, events: Sequence[TagEvent]) -> list[TagEvent]:
        """Append the opposite of some events, the last first; what was written, so that it can be undone in turn."""
        is_list = isinstance(events, Sequence) and all(isinstance(one, TagEvent) for one in events)
        if not is_list:
            raise OptionError(
                f"what is undone is a list of events: got {value_words(events)}; add, remove and history give them"
            )
        with self._lock:
            self.refresh()
            opposite = [self._event(one.key, one.tag, not one.is_set, None) for one in reversed(events)]
            return self._append(opposite)

    def refresh(self) -> None:
        """Read what other programs have written meanwhile; errors as in :func:`mswin_viz.open_tags`."""
        with self._lock:
            first = len(self._read.events)
            if read_more(self.file, self._read):
                self._begin()
                first = 0
                read_more(self.file, self._read)
            for event in self._read.events[first:]:
                self._apply(event)

    # ---- inside -----------------------------------------------------------------------------

    def _begin(self) -> None:
        self._read = ReadTags()
        self._given: dict[Key, dict[str, TagEvent]] = {}  # by folded keys

    def _apply(self, event: TagEvent) -> None:
        given = self._given.setdefault(folded(event.key), {})
        given.pop(event.tag, None)
        if event.is_set:
            given[event.tag] = event

    def _names_of(self, keys: Iterable[Key]) -> tuple[str, ...]:
        found: set[str] = set()
        for key in keys:
            found.update(self._given.get(folded(key), ()))
        return tuple(sorted(found, key=lambda name: (name.casefold(), name)))

    def _event(self, key: Key, tag: str, is_set: bool, note: str | None) -> TagEvent:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return TagEvent(key[0], tag, is_set, now, key[1], note, self.author)

    def _append(self, events: list[TagEvent]) -> list[TagEvent]:
        if events:
            append_lines(self.file, [line_of(event) for event in events])
            self.refresh()
        return events
