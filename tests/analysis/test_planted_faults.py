"""Faults planted in a few drawn people are listed; tests/benchmarks/faults.py measures many more, in a world of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from support import planted_faults as planted

import mswin_viz as mv

LOOKS: Mapping[str, Callable[[mv.EmbeddingTable], mv.Findings]] = {
    "wrong identities": mv.wrong_identities,
    "near-duplicates": mv.near_duplicates,
    "copies": mv.split_leaks,
    "outliers": mv.outliers,
}
"""What was planted -> what lists it."""
Found = Mapping[str, Mapping[str, float | None]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """How well each kind of fault is found among 48 samples of 12 people, all modalities joined."""
    folder = tmp_path_factory.mktemp("faults")
    root = mv.write_samples(folder / "people", identities=12, cameras=2, shots=2, seed=41)
    samples = planted.two_sides(mv.samples(root), 6)
    worlds = {
        "wrong identities": planted.wrong_identities(samples, 3, seed=1),
        "near-duplicates": planted.copies(samples, 3, folder / "copies", seed=2),
        "copies": planted.leaked_copies(samples, 3, folder / "leaks", seed=3),
        "outliers": planted.strange_pictures(samples, 3, folder / "strange", seed=4),
    }
    tables = planted.embedded_once(mv.load_model(device="cpu"), worlds)
    return {
        kind: planted.score(planted.listed(look(tables[kind]), kind), worlds[kind].faults[kind])
        for kind, look in LOOKS.items()
    }


@pytest.mark.parametrize("kind", LOOKS)
def test_what_was_planted_is_listed_and_little_else(kind: str, found: Found) -> None:
    assert found[kind]["recall"] == 1
    assert found[kind]["precision"] == 1
