"""A thousand files that are hardly pictures: each opens as RGB, or is refused by name, soon, in little memory."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.hostile_pictures import WAYS, hostile_file, whole_files
from support.refusals import OF_PYTHON, memory
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.data.images.image_source import open_image
from mswin_viz.data.images.picture_files import opened_file, picture_formats
from mswin_viz.data.sample import Sample
from mswin_viz.data.sets.files import image_suffixes
from mswin_viz.errors import ImageError, ImageFileError

SECONDS, MEBIBYTES = 5, 700  # of a processor; a picture of 100 million pixels in RGB and once more
SHARES = ["quick", pytest.param("whole", marks=[pytest.mark.torture, pytest.mark.timeout(1800)])]
SEEDS = {"quick": range(100), "whole": range(1000)}

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="measures memory as Linux gives it"
    ),
]


def opened_or_refused(file: Path) -> str:
    """Why a file is refused; empty where it opens."""
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far begins anew
    before, began, said = memory("VmRSS"), time.process_time(), ""
    try:
        found = open_image(file)
        assert found.mode == "RGB", file.name
        assert np.asarray(found).dtype == np.uint8, file.name
        assert min(found.size) > 0, file.name
    except (ImageFileError, ImageError) as refusal:
        said = str(refusal)
    except Exception as problem:
        raise AssertionError(f"{file.name}: {problem!r} is no error of ours") from problem
    assert time.process_time() - began < SECONDS, file.name
    assert memory("VmHWM") - before < MEBIBYTES, file.name
    return said


@pytest.mark.parametrize("share", SHARES)
def test_each_opens_or_is_refused_by_name_and_a_set_keeps_the_others(
    share: str, tmp_path: Path, capfd
) -> None:
    root, refused, ways = tmp_path / "set", {}, Counter()
    root.mkdir()
    for seed in SEEDS[share]:
        name, content = hostile_file(seed)
        (root / name).write_bytes(content)
        said = opened_or_refused(root / name)
        if said:
            assert name in said
            assert "\n" not in said
            assert len(said) < 700
            assert not OF_PYTHON.search(said), said
            refused[name] = said
        else:
            ways[name[5:].rsplit(".", 1)[0]] += 1
    said = capfd.readouterr().err
    assert "Decode" not in said
    assert "TIFF" not in said
    print(f"{len(SEEDS[share]) - len(refused)} of {len(SEEDS[share])} open: {dict(ways)}")
    assert ways["whole"] > 0
    assert len(refused) > len(SEEDS[share]) // 4

    files = sorted(root.iterdir())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = mv.embed(tiny_model(), [Sample(-1, -1, {"RGB": file}) for file in files], progress=False)
    assert {one.path.name for one in table.failed} == set(refused)
    assert [path.name for path in table.path] == [file.name for file in files if file.name not in refused]
    assert np.isfinite(table.enhanced).all()

    report = mv.verify(mv.scan(root), progress=False)
    read = {name for name in refused if Path(name).suffix.lower() in image_suffixes()}
    assert {one.path.name for one in report.problems if one.kind == "corrupt image"} == read


def test_every_way_is_met_in_the_quick_share() -> None:
    assert {hostile_file(seed)[0][5:].rsplit(".", 1)[0] for seed in SEEDS["quick"]} == set(WAYS)


def test_every_format_that_is_read_is_among_them() -> None:
    met = set()
    for name, (_, content) in whole_files().items():
        with opened_file(content, name) as image:
            met.add(image.format)
    assert met == set(picture_formats())
