"""Each definition against plain loops on small random tables, and what was planted in drawn people is found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny import tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import compared_items
from mswin_viz.analysis.findings.copy_pairs import copy_pairs
from mswin_viz.analysis.findings.outlying import modified_z
from mswin_viz.analysis.findings.people_leaks import equal_errors
from mswin_viz.analysis.findings.pictures_alike import small_pictures, unlikeness
from mswin_viz.data.progress import Progress, StepCounter
from mswin_viz.errors import DataError, OptionError, StoppedError

SEEDS = range(4)


def random_table(seed: int, n: int = 36, *, spread: float = 0.5) -> EmbeddingTable:
    """People in three cameras on both sides of the split; two cameras and two identities are not known, two labels wrong."""
    rng = np.random.default_rng(seed)
    pid, split = rng.integers(0, 5, n), np.where(np.arange(n) < n // 3, "train", "test")
    centres = rng.normal(size=(5, 2, 7))
    plain = centres[pid, (split == "train").astype(int)] + spread * rng.normal(size=(n, 7))
    camid = rng.integers(0, 3, n)
    camid[[4, 21]], pid[[6, 30]] = -1, -1
    pid[[9, 25]] = (pid[[9, 25]] + 1) % 5
    return EmbeddingTable(
        sample=np.arange(n),
        modality=np.full(n, "NI"),
        pid=pid,
        camid=camid,
        scene=np.full(n, -1),
        split=split,
        files=tuple({"NI": Path(f"/nowhere/{at}.png")} for at in range(n)),
        plain=plain.astype(np.float32),
        enhanced=plain.astype(np.float32) * 2,
    )


@lru_cache(maxsize=1)
def distances(table: EmbeddingTable) -> np.ndarray:
    unit = table.plain / np.linalg.norm(table.plain, axis=1, keepdims=True)
    return np.array([[math.dist(one, other) for other in unit] for one in unit])


# ---- plain loops ----------------------------------------------------------------------------------


def voters_of(table: EmbeddingTable, item: int, silent: set[int]) -> list[int]:
    """Items of other cameras on the same side of the split whose identity is known, nearest first."""
    far, is_train = distances(table)[item], table.split == "train"
    others = [
        at
        for at in range(len(table))
        if at != item and at not in silent and table.pid[at] >= 0 and is_train[at] == is_train[item]
        if table.camid[at] != table.camid[item] or table.camid[at] < 0
    ]
    return sorted(others, key=lambda at: (far[at], at))


def share_of(table: EmbeddingTable, item: int, pid: int, k: int, silent: set[int]) -> float | None:
    voters = voters_of(table, item, silent)
    m = min(k, sum(table.pid[at] == pid for at in voters))
    return sum(table.pid[at] == pid for at in voters[:m]) / m if m else None


def suspected(table: EmbeddingTable, k: int) -> list[tuple[int, int, float]]:
    known, far, is_train = (
        [at for at in range(len(table)) if table.pid[at] >= 0],
        distances(table),
        table.split == "train",
    )
    usual, nearest_own = {}, {}
    for side in (False, True):
        for pid in set(table.pid[known].tolist()):
            own = [
                share_of(table, at, pid, k, set())
                for at in known
                if table.pid[at] == pid and is_train[at] == side
            ]
            own = [share for share in own if share is not None]
            if own:
                usual[pid, side] = sum(own) / len(own)
    for at in known:
        mine = [far[at, one] for one in voters_of(table, at, set()) if table.pid[one] == table.pid[at]]
        nearest_own[at] = min(mine, default=math.inf)
    middle = float(np.median([value for value in nearest_own.values() if value < math.inf]))

    def look(at: int, silent: set[int]) -> tuple[float, float, int] | None:
        voters = voters_of(table, at, silent)
        shares = {}
        for one in voters[:k]:
            pid = int(table.pid[one])
            share = share_of(table, at, pid, k, silent)
            if share is not None and share >= usual.get((pid, bool(is_train[at])), math.inf):
                shares.setdefault(pid, share)
        best = max(shares, key=lambda pid: shares[pid], default=None)
        own = share_of(table, at, int(table.pid[at]), k, silent) or 0.0
        if best is None or best == table.pid[at] or shares[best] <= 0.5 or shares[best] <= own:
            return None
        near = min(far[at, one] for one in voters if table.pid[one] == best)
        to_own = nearest_own[at]
        if to_own == math.inf:
            if near > middle:
                return None
            to_own = middle
        return shares[best] - own, (to_own - near) / (to_own + near), best

    first = [(found, at) for at in known if (found := look(at, set()))]
    kept: dict[int, tuple[float, float, int]] = {}
    for _, at in sorted(first, key=lambda one: one[0][:2], reverse=True):
        again = look(at, set(kept))
        if again:
            kept[at] = again
    order = sorted(kept, key=lambda at: kept[at][:2], reverse=True)
    return [(at, kept[at][2], kept[at][0]) for at in order]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_wrong_identities_are_those_of_plain_loops(seed: int, k: int) -> None:
    table = random_table(seed)
    found = mv.wrong_identities(table, k=k)
    expected = suspected(table, k)
    assert list(zip(found.rows.tolist(), found.suggested.tolist(), strict=True)) == [
        one[:2] for one in expected
    ]
    assert found.score == pytest.approx([one[2] for one in expected])


def robust_z(values: list[float]) -> list[float]:
    finite = sorted(value for value in values if math.isfinite(value))
    middle = float(np.median(finite))
    mad = float(np.median([abs(value - middle) for value in finite]))
    return [0.6745 * (value - middle) / mad for value in values]


@pytest.mark.parametrize("seed", SEEDS)
def test_outliers_are_those_of_plain_loops(seed: int) -> None:
    table = random_table(seed)
    table.plain[[3, 17]] = np.random.default_rng(seed).normal(size=(2, 7)) * [[1], [40]]
    far, is_train, n, k = distances(table), table.split == "train", len(table), 4
    of_set = [sum(sorted(far[at, one] for one in range(n) if one != at)[:k]) / k for at in range(n)]
    of_own = []
    for at in range(n):
        same = [
            one
            for one in range(n)
            if one != at and table.pid[at] == table.pid[one] >= 0 and is_train[one] == is_train[at]
        ]
        of_own.append(min((far[at, one] for one in same), default=math.nan))
    z_set, z_own = robust_z([math.log(one) for one in of_set]), robust_z([math.log(one) for one in of_own])
    scores = {}
    for at in range(n):
        score = z_set[at] if math.isnan(z_own[at]) else math.sqrt(max(z_set[at], 0) * max(z_own[at], 0))
        if score > 3.5:
            scores[at] = score
    found = mv.outliers(table, k=k)
    assert found.rows.tolist() == sorted(scores, key=lambda at: -scores[at])
    assert found.score == pytest.approx(sorted(scores.values(), reverse=True), rel=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_by_features_are_those_of_plain_loops(seed: int) -> None:
    table = random_table(seed)
    table.plain[[30, 31, 32]] = table.plain[[2, 5, 8]] + np.array([[0], [1e-3], [5e-2]], np.float32)
    far, n = distances(table), len(table)
    near = [
        sorted((one for one in range(n) if one != at), key=lambda one: far[at, one])[:10] for at in range(n)
    ]
    around = [float(np.median([far[at, one] for one in near[at][1:]])) for at in range(n)]
    part = {
        (min(at, one), max(at, one)): far[at, one] / math.sqrt(around[at] * around[one])
        for at in range(n)
        for one in near[at]
    }
    least = [min(value for pair, value in part.items() if at in pair) for at in range(n)]
    logs = [math.log(value) for value in least if value > 1e-6]
    middle = float(np.median(logs))
    width = float(np.median([abs(value - middle) for value in logs])) / 0.6745
    expected = {
        pair
        for pair, value in part.items()
        if value < 1e-6
        or ((math.log(value) - middle) / width <= -3.5 and math.log(value) <= middle - math.log(2))
    }
    found = mv.near_duplicates(table, read_files=False)
    assert {(row, *one) for row, one in zip(found.rows.tolist(), found.evidence, strict=True)} == expected
    assert (2, 30) in expected
    assert found.what[0] == "same features"


@pytest.mark.parametrize("seed", SEEDS)
def test_people_on_both_sides_are_those_of_plain_loops(seed: int) -> None:
    table = random_table(seed, n=120, spread=0.15)
    moved = np.flatnonzero((table.split == "train") & (table.pid == 2))
    split = table.split.astype("<U8")
    split[moved[::2]], table.pid[moved[::2]] = "gallery", 99
    table = replace(table, split=split)
    far, is_train, n = distances(table), split == "train", 120
    people = sorted({(int(table.pid[at]), bool(is_train[at])) for at in range(n) if table.pid[at] >= 0})
    of = {who: [at for at in range(n) if (table.pid[at], is_train[at]) == who] for who in people}

    def nearest(at: int, allowed) -> tuple[float, int]:
        others = (one for one in range(n) if one != at and table.pid[one] >= 0 and allowed(one))
        return min(
            (
                (far[at, one], one)
                for one in others
                if table.camid[one] != table.camid[at] or table.camid[at] < 0
            ),
            default=(math.inf, -1),
        )

    same, different, across = {}, {}, {}
    for who, items in of.items():
        own = [nearest(at, lambda one, who=who: (table.pid[one], is_train[one]) == who)[0] for at in items]
        rest = [
            nearest(at, lambda one, who=who: is_train[one] == who[1] and table.pid[one] != who[0])[0]
            for at in items
        ]
        own, rest = ([one for one in values if one < math.inf] for values in (own, rest))
        if own and rest:
            same[who], different[who] = float(np.median(own)), float(np.median(rest))
        found = [(nearest(at, lambda one, who=who: is_train[one] != who[1]), at) for at in items]
        votes = [(int(table.pid[one]), bool(is_train[one])) for (_, one), _ in found]
        best = max(dict.fromkeys(votes), key=votes.count)
        if 2 * votes.count(best) > len(items):
            across[who] = (
                best,
                float(
                    np.median(
                        [far_ for ((far_, _), _), vote in zip(found, votes, strict=True) if vote == best]
                    )
                ),
            )
    cut, error = equal_errors(np.array(list(same.values())), np.array(list(different.values())))
    expected = {
        (who[0], across[who][0][0])
        for who in across
        if not who[1] and across[who][1] <= cut and across.get(across[who][0], (None,))[0] == who
    }
    leaks = mv.split_leaks(table, read_files=False)
    persons = [at for at, what in enumerate(leaks.what) if what == "same person"]
    assert {(int(table.pid[leaks.rows[at]]), int(leaks.suggested[at])) for at in persons} == expected
    assert (99, 2) in expected
    assert f"{100 * error:.1f} %" in leaks.criterion


def test_the_cut_between_people_makes_both_errors_equally_rare() -> None:
    same, different = np.array([1.0, 2.0, 3.0, 9.0]), np.array([2.5, 6.0, 7.0, 8.0])
    cut, error = equal_errors(same, different)
    assert error == 0.25
    assert (same > cut).sum() == (different <= cut).sum() == 1
    assert equal_errors(np.array([1.0, 2.0]), np.array([4.0, 5.0])) == (3.0, 0.0)


def test_modified_z_is_that_of_iglewicz_and_hoaglin() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 100])
    assert modified_z(values)[-1] == pytest.approx(0.6745 * 95 / 2)
    flat = np.array([5.0] * 9 + [9.0])
    assert modified_z(flat)[-1] == pytest.approx(4 / (1.253314 * 0.4))
    assert modified_z(np.array([5.0] * 9 + [np.inf])).tolist() == [0.0] * 9 + [np.inf]
    assert modified_z(np.arange(5.0)).tolist() == [0.0] * 5  # too few


# ---- pictures -------------------------------------------------------------------------------------


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    """Smooth random pictures: the last three are the first brightened, cut by a twentieth, and one that is no picture."""
    rng, files = np.random.default_rng(3), []
    for at in range(12):
        rough = Image.fromarray(rng.integers(40, 200, (8, 4, 3), dtype=np.uint8))
        files.append(tmp_path / f"{at}.png")
        rough.resize((64, 128), Image.Resampling.BICUBIC).save(files[-1])
    first = Image.open(files[0])
    first.point(lambda value: min(255, round(1.2 * value))).save(tmp_path / "bright.png")
    first.crop((3, 6, 61, 122)).resize((64, 128)).save(tmp_path / "cut.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return [*files, *(tmp_path / f"{name}.png" for name in ("bright", "cut", "broken"))]


def test_a_picture_is_alike_if_it_is_brightened_or_cut_and_not_otherwise(scenes: list[Path]) -> None:
    small = small_pictures([{"RGB": file} for file in scenes], StepCounter(15))
    others = np.array([12, 13, *range(1, 12), 14])
    apart = unlikeness(small, np.zeros(14, np.int64), others)
    assert apart[:2].max() < 0.2
    assert apart[2:13].min() > 0.8
    assert np.isnan(apart[13])


def test_pictures_decide_between_pairs_that_features_propose(scenes: list[Path]) -> None:
    table = random_table(1)[:15]
    table = replace(table, files=tuple({"NI": file} for file in scenes))
    found = mv.near_duplicates(table)
    assert {(row, *one) for row, one in zip(found.rows.tolist(), found.evidence, strict=True)} >= {
        (0, 12),
        (0, 13),
    }
    assert "1 item whose pictures cannot be read is compared by features alone." in found.notes


def test_exact_copies_are_told_apart(scenes: list[Path], tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    (copies / "bytes.png").write_bytes(scenes[1].read_bytes())
    Image.open(scenes[2]).save(copies / "pixels.bmp")
    table = random_table(1)[:14]
    table.plain[[10, 11, 12]] = table.plain[[1, 2, 3]]
    files = [*scenes[:10], copies / "bytes.png", copies / "pixels.bmp", scenes[4], scenes[5]]
    found = mv.near_duplicates(replace(table, files=tuple({"NI": file} for file in files)))
    pairs = {
        (row, *one): what
        for row, one, what in zip(found.rows.tolist(), found.evidence, found.what, strict=True)
    }
    assert pairs[1, 10] == "same file"
    assert pairs[2, 11] == "same pixels"
    assert pairs[3, 12] == "same features"
    assert pairs[4, 12] == pairs[5, 13] == "same file"  # wherever their features are
    assert found.what == tuple(
        sorted(found.what, key=["same file", "same pixels", "same features", "near"].index)
    )


def copied(sample: mv.Sample, folder: Path, *names: str) -> mv.Sample:
    """The same files under other names: those of the named modalities, or all."""
    folder.mkdir()
    files = {name: folder / f"{name}.png" for name in names or sample.images}
    for name, file in files.items():
        file.write_bytes(Path(str(sample.images[name])).read_bytes())
    return replace(sample, images=files)


def pairs_of(found: mv.Findings) -> list[tuple[int, int, str, str]]:
    """What is listed as the same file: the samples, the modalities and the reason."""
    sample = found.table.sample.tolist()
    return [
        (sample[row], sample[one[0]], modality, reason)
        for row, one, modality, what, reason in zip(
            found.rows, found.evidence, found.modality, found.what, found.reasons, strict=True
        )
        if what == "same file"
    ]


def test_a_copy_of_a_whole_sample_is_one_row(tmp_path: Path) -> None:
    samples = two_modalities(tmp_path, 12, n_people=3)
    copies = [copied(samples[4], tmp_path / f"copy_{at}") for at in range(14)]  # more than an image's nearest
    model = tiny_model()
    whole = mv.near_duplicates(mv.embed(model, [*samples, copies[0]], progress=False))
    assert pairs_of(whole) == [(4, 12, "RGB+NI", "the same file as id 1, camera 4")]
    many = pairs_of(mv.near_duplicates(mv.embed(model, [*samples, *copies], progress=False)))
    assert {modality for _, _, modality, _ in many} == {"RGB+NI"}
    assert len({one[:2] for one in many}) == len(many)
    assert {(4, at) for at in range(12, 26)} <= {one[:2] for one in many}


def test_a_copy_of_a_sample_without_every_modality_is_one_row(tmp_path: Path) -> None:
    samples = two_modalities(tmp_path, 12, n_people=3)
    thermal = replace(samples[0], images={**samples[0].images, "TI": samples[11].images["RGB"]})
    every = [replace(one, split="train") for one in (thermal, *samples[1:])]
    every.append(replace(copied(samples[4], tmp_path / "copy"), split="test"))
    table = mv.embed(tiny_model(), every, progress=False)
    expected = (4, 12, "RGB+NI", "the same file as id 1, camera 4 in test (this one: train)")
    found = mv.near_duplicates(table)
    assert pairs_of(found) == [expected, (0, 11, "TI", "its TI file is the RGB file of id 2, camera 11")]
    assert pairs_of(mv.split_leaks(table)) == [expected]
    assert [sorted(found.files(0)), sorted(found.evidence_files(0)[0])] == [["NI", "RGB"]] * 2
    backwards = mv.near_duplicates(table[np.arange(len(table))[::-1]])
    assert sorted(pairs_of(backwards)) == sorted(pairs_of(found))


def test_files_that_two_samples_share_are_one_row_with_their_modalities(tmp_path: Path) -> None:
    samples = two_modalities(tmp_path, 12, n_people=3)
    one, two = (copied(samples[at], tmp_path / f"copy_{at}") for at in (4, 5))
    first = replace(samples[4], images={**samples[4].images, "TI": samples[1].images["RGB"]})
    second = replace(one, images={**one.images, "TI": samples[2].images["NI"]})
    mixed = replace(two, images={"RGB": two.images["RGB"], "NI": samples[7].images["RGB"]})
    every = [*samples[:4], first, *samples[5:], second, mixed]
    found = pairs_of(mv.near_duplicates(mv.embed(tiny_model(), every, progress=False)))
    assert (4, 12, "RGB+NI", "its RGB and NI files are those of id 1, camera 4") in found
    assert (5, 13, "RGB", "the same file as id 2, camera 5") in found
    assert (7, 13, "RGB", "its RGB file is the NI file of id 2, camera 5") in found
    assert len({one[:2] for one in found}) == len(found)


# ---- modalities, and what cannot be looked at -----------------------------------------------------


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    samples = two_modalities(tmp_path_factory.mktemp("people"), 12, n_people=3)
    return mv.embed(tiny_model(), samples, progress=False)


def test_whole_samples_are_compared_joined_and_the_images_of_others_one_by_one(
    people: EmbeddingTable,
) -> None:
    first, second = people.modalities
    kept = people[[row for row in range(len(people)) if row != people.row_of(3, second)]]
    groups = {group.modality: group for group in compared_items(kept, "plain").groups}
    assert {name: int(group.asked.sum()) for name, group in groups.items()} == {
        f"{first}+{second}": 11,
        first: 1,
    }
    assert len(groups[first]) == 12  # all are neighbours
    joint = kept.concatenated((first, second))
    assert np.allclose(groups[f"{first}+{second}"].features, joint.unit("plain"), atol=1e-6)
    found = mv.wrong_identities(kept)
    assert found.n_checked == 12
    assert "Not every sample has every modality" in found.notes[0]


def test_a_joined_table_is_compared_as_it_is(people: EmbeddingTable) -> None:
    joint = people.concatenated(people.modalities)
    of_joint, of_images = mv.outliers(joint), mv.outliers(people)
    assert joint.sample[of_joint.rows].tolist() == people.sample[of_images.rows].tolist()
    assert of_joint.modality == of_images.modality


def test_a_frame_has_the_columns_of_the_table_and_what_was_found(people: EmbeddingTable) -> None:
    twice = people[[*range(len(people)), *people.rows(people.modalities[0])]]
    found = mv.near_duplicates(twice[twice.rows(people.modalities[0])])
    frame = found.to_pandas([1, 0])
    assert frame.columns.tolist() == [
        *people.to_pandas().columns,
        "kind",
        "what",
        "score",
        "reason",
        "suggested",
        "evidence",
    ]
    assert frame.index.tolist() == found.rows[[1, 0]].tolist()
    assert frame.path.tolist() == [found.table.to_pandas().path[row] for row in found.rows[[1, 0]]]


def test_what_is_not_known_is_neither_listed_nor_asked() -> None:
    table = random_table(2)
    lost = replace(table, pid=np.full(len(table), -1))
    found = mv.wrong_identities(lost)
    assert len(found) == 0
    assert found.notes[0] == "36 items of unknown identity were not checked and had no vote."
    assert found.n_checked == 0
    assert found.sentences()[0] == (
        "Probably wrong identities were not looked for: nothing can be checked in a table of 36 images."
    )
    no_cameras = mv.wrong_identities(replace(table, camid=np.full(len(table), -1)))
    assert any("No camera numbers" in note for note in no_cameras.notes)


def test_without_a_person_in_two_cameras_copies_between_splits_are_listed_all_the_same() -> None:
    table = random_table(2)
    table.plain[30] = table.plain[2]
    found = mv.split_leaks(replace(table, camid=np.zeros(len(table), int)), read_files=False)
    assert (found.rows.tolist(), found.evidence, found.what) == ([2], ((30,),), ("same features",))
    assert "no people, of whom there are too few" in found.criterion


def test_features_without_a_direction_are_left_out_and_said() -> None:
    table = random_table(2)
    table.plain[[0, 1]] = [[np.nan] * 7, [0] * 7]
    found = mv.outliers(table)
    assert found.n_checked == 34
    assert "2 left out: their features have no direction or are not finite." in found.notes


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_few_images_are_no_fault(n: int) -> None:
    table = random_table(3)[:n]
    for look in (mv.wrong_identities, mv.near_duplicates, mv.outliers):
        assert len(look(table)) == 0
    assert "Too few" in mv.outliers(table).notes[0]


def test_one_image_without_a_class_mate_elsewhere_is_listed_if_it_is_near_enough() -> None:
    table = random_table(4, spread=0.05)
    row, pid = 13, int(table.pid[13])
    there = np.flatnonzero((table.pid == pid) & (table.split == "test") & (table.camid != table.camid[row]))
    table.plain[row] = table.plain[there[0]]
    table.pid[row] = 77
    found = mv.wrong_identities(table)
    at = found.rows.tolist().index(row)
    assert found.suggested[at] == pid
    assert found.reasons[at].endswith("id 77 has no other image there")


@pytest.mark.parametrize("look", [mv.wrong_identities, mv.near_duplicates, mv.split_leaks, mv.outliers])
def test_looking_reports_its_progress_and_can_be_stopped(look) -> None:
    seen: list[Progress] = []
    look(random_table(5), report=seen.append)
    assert seen[-1].fraction == 1
    with pytest.raises(StoppedError, match="was stopped after 0 of"):
        look(random_table(5), stop=lambda: True)


def refused() -> Iterator[tuple[str, type[Exception], str]]:
    yield "mv.wrong_identities([1, 2])", OptionError, "are looked for in a table: got"
    yield (
        "mv.outliers(table, feature='both')",
        OptionError,
        "feature must be one of plain, enhanced: got 'both'",
    )
    yield "mv.wrong_identities(table, k=0)", OptionError, "k is a whole number of at least 1"
    yield "mv.wrong_identities(table, rule='scenes')", OptionError, "rule is one of"
    yield "mv.near_duplicates(table[:0])", DataError, "got a table without rows"
    yield "mv.split_leaks(table[:5])", DataError, "got rows of train alone"


@pytest.mark.parametrize(("call", "error", "words"), list(refused()))
def test_what_cannot_be_looked_at_is_refused(call: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        eval(call, {"mv": mv, "table": random_table(1)})


def test_what_is_found_does_not_depend_on_the_scale_of_features_or_on_the_order_of_rows() -> None:
    table = random_table(1)
    order = np.random.default_rng(0).permutation(len(table))
    for look in (mv.wrong_identities, mv.outliers):
        plain = look(table)
        assert look(table, feature="enhanced").rows.tolist() == plain.rows.tolist()
        assert sorted(order[look(table[order]).rows].tolist()) == sorted(plain.rows.tolist())


def test_distances_of_raw_features_are_compared_where_the_table_says_so() -> None:
    table = replace(random_table(1), metric="euclidean")
    group = compared_items(table, "plain").groups[0]
    assert np.array_equal(group.features, table.plain)
    pairs = copy_pairs(table, group, StepCounter(len(table)), read_files=False)
    assert len(pairs.one) == 0


def test_what_cannot_be_checked_is_not_called_clean() -> None:
    table = random_table(2)
    one_camera = mv.wrong_identities(replace(table, camid=np.ones_like(table.camid)))
    assert (one_camera.n_checked, len(one_camera)) == (0, 0)
    assert one_camera.sentences()[0].startswith("Probably wrong identities were not looked for")
    blank = replace(table, plain=np.zeros_like(table.plain))
    for look in (mv.wrong_identities, mv.outliers, mv.near_duplicates):
        found = look(blank)
        assert found.n_checked == 0
        assert any("left out: their features have no direction" in note for note in found.notes)
        assert "at most  as far" not in str(found)
    for look, words in ((mv.near_duplicates, "Pairs of near-duplicates"), (mv.outliers, "Outliers")):
        assert look(table[:1]).sentences()[0].startswith(f"{words} were not looked for")
    assert "at most 0 %" not in str(mv.near_duplicates(table[:2]))
