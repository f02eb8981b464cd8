"""Drawings of training people: drawn once, kept, and drawn again where the file does not hold just these."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.killing import attempts, needs_fork

from mswin_viz.errors import OutputError
from mswin_viz.model.pretraining import drawing_cache
from mswin_viz.model.pretraining.drawing_cache import drawn_once
from mswin_viz.model.pretraining.recipe import Recipe

RECIPE = Recipe(seed=3, first_pid=5, identities=4, shots=2)


def draw(job: tuple[int, int, int]) -> np.ndarray:
    seed, pid, shots = job
    return np.full((shots, 3, 2), 10 * seed + pid, np.uint8)


def drawn(recipe: Recipe = RECIPE) -> np.ndarray:
    return np.stack(
        [draw((recipe.seed, recipe.first_pid + i, recipe.shots)) for i in range(recipe.identities)]
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of drawings; other processes would take seconds to start."""
    monkeypatch.setattr(
        drawing_cache, "by_processes", lambda draw, jobs, workers: (draw(job) for job in jobs)
    )
    np.testing.assert_array_equal(drawn_once(RECIPE, draw, tmp_path / "pictures.npy", "people"), drawn())
    return tmp_path / "pictures.npy"


def refused(job: tuple[int, int, int]) -> np.ndarray:
    raise AssertionError("nothing is to be drawn")


def test_drawings_are_read_the_second_time_and_by_numpy_too(cache: Path) -> None:
    np.testing.assert_array_equal(drawn_once(RECIPE, refused, cache, "people"), drawn())
    np.testing.assert_array_equal(np.load(cache), drawn())


def test_changes_to_what_was_read_never_reach_the_file(cache: Path) -> None:
    drawn_once(RECIPE, refused, cache, "people")[:] = 0
    np.testing.assert_array_equal(np.load(cache), drawn())


def test_without_a_file_drawings_are_in_memory(cache: Path) -> None:
    np.testing.assert_array_equal(drawn_once(RECIPE, draw, None, "people"), drawn())


@pytest.mark.parametrize(("field", "value"), [("seed", 4), ("first_pid", 6), ("identities", 3), ("shots", 1)])
def test_drawings_of_another_recipe_are_drawn_anew(cache: Path, field: str, value: int) -> None:
    other = replace(RECIPE, **{field: value})
    with pytest.warns(UserWarning, match=rf"drawn again: they are of {field} \d+, not {value}") as said:
        found = drawn_once(other, draw, cache, "people")
    np.testing.assert_array_equal(found, drawn(other))
    assert len(said) == 1
    np.testing.assert_array_equal(drawn_once(other, refused, cache, "people"), drawn(other))


def test_drawings_of_something_else_are_drawn_anew(cache: Path) -> None:
    with pytest.warns(UserWarning, match="they are of what 'people', not 'parts'"):
        drawn_once(RECIPE, draw, cache, "parts")


def saved(array: np.ndarray) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    np.save(stream, array)
    return stream.getvalue()


DAMAGED = {
    "cut": lambda content: content[:-5],
    "cut and padded": lambda content: content[:-5] + bytes(5),
    "longer": lambda content: content + b"x",
    "empty": lambda content: b"",
    "another type": lambda content: saved(drawn().astype(np.int8)),
    "another shape": lambda content: saved(drawn()[:3]),
    "zeros": lambda content: saved(np.zeros_like(drawn())),
    "columns first": lambda content: saved(np.asfortranarray(drawn())),
    "no array": lambda content: b"x" * len(content),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_drawings_are_drawn_anew_and_said_once(cache: Path, damage: str) -> None:
    cache.write_bytes(DAMAGED[damage](cache.read_bytes()))
    with pytest.warns(UserWarning, match=r"cannot be used and are drawn again: pictures\.npy ") as said:
        found = drawn_once(RECIPE, draw, cache, "people")
    np.testing.assert_array_equal(found, drawn())
    assert len(said) == 1
    np.testing.assert_array_equal(drawn_once(RECIPE, refused, cache, "people"), drawn())


@pytest.mark.parametrize(
    "index", [None, "", "[]", "{", '{"format": 1}', '{"format": NaN}', "[" * 100_000, "\0"]
)
def test_drawings_without_a_good_index_are_drawn_anew(cache: Path, index: str | None) -> None:
    file = cache.with_name("pictures.npy.json")
    file.unlink() if index is None else file.write_text(index)
    with pytest.warns(UserWarning, match="drawn again: the index"):
        np.testing.assert_array_equal(drawn_once(RECIPE, draw, cache, "people"), drawn())


def changed_index(cache: Path, part: str, name: str, value: object) -> None:
    file = cache.with_name("pictures.npy.json")
    index = json.loads(file.read_text())
    index[part][name] = value
    file.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [("array", "shape", [3, 2, 3, 2]), ("drawn", "seed", 4), ("array", "dtype", "|i1")],
)
def test_an_index_that_was_changed_is_not_believed(cache: Path, part: str, name: str, value: object) -> None:
    changed_index(cache, part, name, value)
    with pytest.warns(UserWarning, match="the index pictures.npy.json does not hold what was written to it"):
        drawn_once(RECIPE, draw, cache, "people")


def test_a_disk_without_room_is_refused_before_more_than_one_person_is_drawn(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, start: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    people = []

    def counted(job: tuple[int, int, int]) -> np.ndarray:
        people.append(job)
        return draw(job)

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OutputError, match="No space left on device: 48 bytes are needed"):
        drawn_once(RECIPE, counted, cache.with_name("other.npy"), "people")
    assert len(people) == 1
    assert sorted(path.name for path in cache.parent.iterdir() if not path.name.startswith(".")) == [
        *("pictures.npy", "pictures.npy.json")
    ]


def test_a_folder_where_the_file_should_be_is_refused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "other.npy").mkdir()
    with pytest.warns(UserWarning, match="drawn again"), pytest.raises(OutputError, match="is a folder"):
        drawn_once(RECIPE, draw, tmp_path / "other.npy", "people")


@needs_fork
def test_drawings_that_are_killed_at_any_moment_are_right_the_next_time(tmp_path: Path) -> None:
    setup = (
        "import sys, warnings\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from mswin_viz.model.pretraining import drawing_cache\n"
        "from mswin_viz.model.pretraining.recipe import Recipe\n"
        "warnings.simplefilter('ignore')\n"
        "drawing_cache._drawn = lambda jobs, draw, what: map(draw, jobs)\n"
        "def draw(job):\n"
        "    seed, pid, shots = job\n"
        "    return np.full((shots, 3, 2), 10 * seed + pid, np.uint8)\n"
        "def run(seed):\n"
        "    recipe = Recipe(seed=seed, first_pid=5, identities=4, shots=2)\n"
        "    found = drawing_cache.drawn_once(recipe, draw, Path('pictures.npy'), 'people')\n"
        "    assert found[:, 0, 0, 0].tolist() == [10 * seed + 5 + i for i in range(4)]\n"
    )
    killed = 0
    with attempts(setup, cwd=tmp_path) as program:
        for events in range(0, 120, 3):
            assert not program.run("run(3)")
            was_killed = program.run("run(4)", events=events)
            killed += was_killed
            assert not program.run("run(3)"), "its values are checked in the program"
            if not was_killed:
                break
    assert killed >= 4
    assert not was_killed
