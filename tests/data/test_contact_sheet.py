"""Many samples in one picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mswin_viz.data.sample import Sample
from mswin_viz.data.sets.contact_sheet import contact_sheet
from mswin_viz.errors import DataError


@pytest.fixture
def people(tmp_path) -> list[Sample]:
    """Three people, the second without a thermal picture; each picture one grey."""
    found = []
    for person in range(3):
        images = {}
        for number, modality in enumerate(("RGB", "NI", "TI")):
            if (person, modality) != (1, "TI"):
                path = tmp_path / f"{person}{modality}.png"
                Image.new("RGB", (40, 90), (40 * person + 20 * number,) * 3).save(path)
                images[modality] = path
        found.append(Sample(person, 1, images))
    return found


def test_people_lie_in_columns_and_modalities_in_rows(people) -> None:
    sheet = np.asarray(contact_sheet(people, columns=2))[..., 0]
    assert sheet.shape == (6 * 128, 2 * 64)
    tiles = sheet.reshape(6, 128, 2, 64)[:, 64, :, 32]
    assert tiles.tolist() == [[0, 40], [20, 60], [40, 255], [80, 255], [100, 255], [120, 255]]


def test_no_sample_gives_no_sheet() -> None:
    with pytest.raises(DataError, match="at least one"):
        contact_sheet([])
