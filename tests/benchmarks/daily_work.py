"""What a day's questions cost with 10,000 gallery images: ``python tests/benchmarks/daily_work.py [words of a row ...]``.

It writes ``docs/measurements/daily_work.json`` and the page made from it; with words, the rows that have them are measured again, and the others stay. Every row is
measured in a program of its own, which holds the table before it starts, so that the peak memory is that of the row. Nothing fails on a clock.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from measured_pages import write_daily_work  # noqa: E402
from own_process import answer_of, cost, timed  # noqa: E402

import mswin_viz as mv  # noqa: E402
from mswin_viz.data.images.image_source import MODALITIES  # noqa: E402

GALLERY, QUERIES, IDENTITIES, DIM = 10_000, 1_000, 500, 512


def main(words: list[str]) -> None:
    """Measure the rows, print them, and keep them."""
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder)
        for what in [one for one in WORK if not words or any(word in one for word in words)]:
            answer = answer_of(__file__, what, folder)
            rows[what] = {"seconds": float(f"{answer['seconds']:.3g}"), "MiB": round(answer["MiB"])}
            print(what, json.dumps(rows[what]), flush=True)
    sizes = {"gallery": GALLERY, "queries": QUERIES, "identities": IDENTITIES, "dim": DIM}
    write_daily_work(sizes, rows, list(WORK))


def draw(folder: Path) -> None:
    """A picture for each shot and modality, each another one, and features around a centre for each identity."""
    rng, shipped = np.random.default_rng(0), mv.samples()
    for name in MODALITIES:
        (folder / name).mkdir()
        pictures = [
            np.asarray(Image.open(sample.images[name]).convert("RGB"), np.float32) for sample in shipped
        ]
        for number in range(GALLERY + QUERIES):
            picture = pictures[number % len(pictures)]
            spots = Image.fromarray(rng.integers(0, 256, (8, 4), dtype=np.uint8)).resize(picture.shape[1::-1])
            mixed = 0.6 * picture + 0.4 * np.asarray(spots, np.float32)[..., None]
            Image.fromarray(mixed.astype(np.uint8)).save(folder / name / f"{number:05d}.jpg")
    pid = rng.integers(0, IDENTITIES, GALLERY + QUERIES)
    centres = rng.normal(size=(IDENTITIES, DIM))
    plain = np.concatenate([centres[pid] + 3 * rng.normal(size=(len(pid), DIM)) for _ in MODALITIES])
    np.save(folder / "pid.npy", pid)
    np.save(folder / "plain.npy", plain.astype(np.float32))
    np.save(folder / "enhanced.npy", (plain + rng.normal(size=plain.shape)).astype(np.float32))


def drawn_table(folder: Path) -> mv.EmbeddingTable:
    """What was drawn: a row for each picture, the first shots queries."""
    pid, n_modalities = np.load(folder / "pid.npy"), len(MODALITIES)
    number = np.arange(len(pid))
    return mv.EmbeddingTable(
        sample=np.tile(number, n_modalities),
        modality=np.repeat(MODALITIES, len(pid)),
        pid=np.tile(pid, n_modalities),
        camid=np.tile(number % 6, n_modalities),
        scene=np.full(len(pid) * n_modalities, -1),
        split=np.tile(np.where(number < QUERIES, "query", "gallery"), n_modalities),
        files=tuple({name: folder / name / f"{at:05d}.jpg"} for name in MODALITIES for at in number.tolist()),
        plain=np.load(folder / "plain.npy"),
        enhanced=np.load(folder / "enhanced.npy"),
        root=folder,
    )


def _joined(table: mv.EmbeddingTable) -> tuple[mv.EmbeddingTable, dict[str, np.ndarray]]:
    """Joined features, and which rows are query and gallery."""
    joint = table.concatenated()
    return joint, {name: joint.split == name for name in ("query", "gallery")}


def _retrieval(table: mv.EmbeddingTable, _folder: Path, **options: object) -> float:
    joint, split = _joined(table)
    return timed(lambda: mv.retrieval(joint.enhanced, joint.pid, joint.camid, **split, **options))


def _reranked(table: mv.EmbeddingTable, folder: Path) -> float:
    return _retrieval(table, folder, reranking=mv.Reranking())


def _compared(table: mv.EmbeddingTable, _folder: Path) -> float:
    joint, split = _joined(table)
    return timed(lambda: mv.compare(joint.plain, joint.enhanced, joint.pid, joint.camid, **split))


def _two(table: mv.EmbeddingTable) -> dict[str, mv.EmbeddingTable]:
    """The same images by another model, whose features are drawn again."""
    noise = np.random.default_rng(1).normal(size=table.enhanced.shape).astype(np.float32)
    return {"baseline": table, "windows": replace(table, enhanced=table.enhanced + noise)}


def _query_table(table: mv.EmbeddingTable, _folder: Path) -> float:
    both = _two(table)
    return timed(lambda: mv.query_table(both, modality="RGB+NI+TI"))


def _retrieval_view(table: mv.EmbeddingTable, _folder: Path) -> float:
    both = _two(table)

    def opened() -> None:
        view = mv.RetrievalView(both)
        view.modality = "all, raw"
        view.start().join()

    return timed(opened)


def _next_query(table: mv.EmbeddingTable, _folder: Path) -> float:
    view = mv.RetrievalView(_two(table))
    view.modality = "all, raw"
    view.start().join()
    return timed(lambda: view.set_trait("query", 7))


def _leaks(table: mv.EmbeddingTable, _folder: Path) -> float:
    split = np.where(table.pid % 2 == 0, "train", table.split)
    divided = replace(table, split=split)
    return timed(lambda: mv.split_leaks(divided))


def _text(table: mv.EmbeddingTable, _folder: Path) -> float:
    model = mv.load_model(device="cpu")
    return timed(lambda: mv.search_text(model, table, "a person in a red jacket"))


def _tagged(table: mv.EmbeddingTable, folder: Path) -> float:
    tags, files = mv.open_tags(folder / "tags.jsonl"), list(table.path[:GALLERY])
    return timed(lambda: tags.add(files, "half hidden"))


def _tags_read(table: mv.EmbeddingTable, folder: Path) -> float:
    _tagged(table, folder)
    return timed(lambda: mv.open_tags(folder / "tags.jsonl").names)


def _ranked_lists(table: mv.EmbeddingTable, folder: Path) -> float:
    return timed(lambda: mv.save_ranked_lists(table, folder / "lists", n=20, k=10))


def _samples(table: mv.EmbeddingTable) -> list[mv.Sample]:
    """The shots of a drawn table, in its order."""
    n = int(table.sample.max()) + 1
    shots = zip(*(column[:n].tolist() for column in (table.pid, table.camid, table.split)), strict=True)
    return [
        mv.Sample(
            pid=pid,
            camid=camid,
            images={name: table.root / name / f"{at:05d}.jpg" for name in MODALITIES},
            split=split,
            root=table.root,
        )
        for at, (pid, camid, split) in enumerate(shots)
    ]


def _findings_view(table: mv.EmbeddingTable, _folder: Path) -> float:
    found = mv.outliers(table)
    return timed(lambda: mv.FindingsView(found))


def _text_with_maps(table: mv.EmbeddingTable, _folder: Path) -> float:
    model, samples = mv.load_model(device="cpu"), _samples(table)

    def opened() -> None:
        mv.TextSearchView(model, samples, table=table, prompt="a person in a red jacket").start().join()

    return timed(opened)


def _two_explored(table: mv.EmbeddingTable, _folder: Path) -> float:
    both, samples = _two(table), _samples(table)

    def opened() -> None:
        mv.EmbeddingExplorer(both, samples).start().join()

    return timed(opened)


def _occlusion(table: mv.EmbeddingTable, _folder: Path) -> float:
    model, samples = mv.load_model(device="cpu"), _samples(table)
    some = samples[:50] + samples[QUERIES : QUERIES + 150]
    return timed(lambda: mv.occlusion_curves(model, some, progress=False))


def _paper_figure(table: mv.EmbeddingTable, folder: Path) -> float:
    model, samples = mv.load_model(device="cpu"), _samples(table)[:4]
    columns = ("image", "plain", "enhanced", "windows 8")
    return timed(lambda: mv.paper_figure(model, samples, columns=columns).savefig(folder / "paper.pdf"))


def _kind(find: Callable[..., object]) -> Callable[[mv.EmbeddingTable, Path], float]:
    return lambda table, _folder: timed(lambda: find(table))


WORK: dict[str, Callable[[mv.EmbeddingTable, Path], float]] = {
    "mAP, CMC and mINP of joined features (`mv.retrieval`)": _retrieval,
    "the same after k-reciprocal re-ranking": _reranked,
    "plain and enhanced compared, with intervals, tests and overlap (`mv.compare`)": _compared,
    "nine pairs of query and gallery modality (`mv.cross_modality`)": _kind(
        lambda table: mv.cross_modality(table)
    ),
    "six missing-modality columns (`mv.missing_modalities`)": _kind(
        lambda table: mv.missing_modalities(table)
    ),
    "precision, first match and margin of every query by two models, joined (`mv.query_table`)": _query_table,
    "the retrieval view of two models: open it and rank all queries, joined": _retrieval_view,
    "the next query in that view": _next_query,
    "the embedding explorer of two models: open it and compute the maps of 10,000 of the 33,000 images": _two_explored,
    "probably wrong identities (`mv.wrong_identities`)": _kind(mv.wrong_identities),
    "near-duplicates, every picture opened (`mv.near_duplicates`)": _kind(mv.near_duplicates),
    "leaks between training and the rest (`mv.split_leaks`)": _leaks,
    "outliers (`mv.outliers`)": _kind(mv.outliers),
    "a list of outliers opened (`mv.FindingsView`)": _findings_view,
    "one text against the gallery in three modalities (`mv.search_text`)": _text,
    "the text search view: open it, search, and compute the maps of the 24 hits shown": _text_with_maps,
    "10,000 images tagged (`Tags.add`)": _tagged,
    "these 10,000 tags read again (`mv.open_tags`)": _tags_read,
    "ranks 1 to 10 of the 20 worst queries as pictures, page and table (`mv.save_ranked_lists`)": _ranked_lists,
    "occlusion curves of 200 samples, seven fractions, nine features (`mv.occlusion_curves`)": _occlusion,
    "a figure of 4 samples, 3 modalities and 4 columns as PDF (`mv.paper_figure`)": _paper_figure,
}
"""Words of the page -> what takes a table and a folder, and returns seconds."""


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        held = drawn_table(Path(sys.argv[3]))
        print(json.dumps(cost(lambda: WORK[sys.argv[2]](held, Path(sys.argv[3])))))
    else:
        main(sys.argv[1:])
