"""How many planted faults are found, and how much of what is listed is one: ``python tests/benchmarks/faults.py``.

Draws people of a world that no threshold was chosen on, plants one kind of fault at a time, and writes ``faults.json`` and the page.
Less than a minute on two quiet cores. No test: nothing fails because of a number.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from measured_pages import write_faults  # noqa: E402
from support import planted_faults as planted  # noqa: E402  (the tests are no package)

import mswin_viz as mv  # noqa: E402

WORLD, PEOPLE, TRAINING = 77, 60, 30
N_WRONG, N_COPIES, N_LEAKED, N_PEOPLE, N_STRANGE = 24, 24, 12, 5, 12


def worlds(folder: Path) -> dict[str, planted.Planted]:
    """What is measured: name -> samples with faults."""
    root = mv.write_samples(folder, identities=PEOPLE, cameras=4, shots=2, seed=WORLD)
    samples = planted.two_sides(mv.samples(root), TRAINING)
    made = {"nothing": planted.Planted(samples, {})}
    made["wrong identities"] = planted.wrong_identities(samples, N_WRONG, seed=11)
    for number, how in enumerate(planted.COPIES):
        made[f"copies, {how}"] = planted.copies(samples, N_COPIES, folder / f"way_{number}", seed=12, how=how)
    made["training images, copied into test"] = planted.leaked_copies(
        samples, N_LEAKED, folder / "leaks", seed=13
    )
    made["training people, also in test"] = planted.leaked_people(samples, N_PEOPLE, seed=14)
    made["pictures of something else"] = planted.strange_pictures(
        samples, N_STRANGE, folder / "strange", seed=15
    )
    return made


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as folder:
        made = worlds(Path(folder))
        tables = planted.embedded_once(mv.load_model(device="cpu"), made)
        rows: dict[str, dict[str, Any]] = {}
        for name, table in tables.items():
            for compared in ("joined", *table.modalities):
                one = table if compared == "joined" else table[table.rows(compared)]
                for what, value in measured(name, one, made[name]):
                    rows.setdefault(what, {})[compared] = value
    about = {"world": WORLD, "people": PEOPLE, "training": TRAINING, "samples": len(made["nothing"].samples)}
    write_faults(about | {"rows": rows})


def measured(
    name: str, table: mv.EmbeddingTable, world: planted.Planted
) -> Iterable[tuple[str, dict[str, float | None]]]:
    """Rows of the page: what was planted and looked for, and how well it was found."""
    if name == "nothing":
        for look in (mv.wrong_identities, mv.near_duplicates, mv.split_leaks, mv.outliers):
            found = look(table)
            yield f"nothing: listed as {found.kind}", {"listed": len(found)}
    elif name.startswith("copies"):
        for read_files, words in ((True, name), (False, f"{name}; by features alone")):
            found = mv.near_duplicates(table, read_files=read_files)
            yield words, planted.score(planted.listed(found), world.faults["near-duplicates"])
    else:
        kind = next(iter(world.faults))
        look = {"wrong identities": mv.wrong_identities, "outliers": mv.outliers}.get(kind, mv.split_leaks)
        yield name, planted.score(planted.listed(look(table), kind), world.faults[kind])


if __name__ == "__main__":
    main()
