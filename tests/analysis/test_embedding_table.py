"""The table of embeddings: rows, what fails, joined modalities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.own_modules import TINY_ADDONS, tiny_model_with
from support.tiny import pictures, tiny_model

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.progress import Progress
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError, OptionError, ShapeError, StoppedError
from mswin_viz.model.encoder.backbone import Model


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Five samples: the second has no TI, the third's NI is cut short, the fourth's RGB is no image."""
    found = []
    for at, picture in enumerate(pictures(15)[::3]):
        files = {}
        for name in ("RGB", "NI", "TI"):
            files[name] = tmp_path / f"{name}_{at}.png"
            shifted = np.roll(picture, len(files), axis=2)
            Image.fromarray(shifted).save(files[name])
        found.append(Sample(at // 2, at % 2, files, scene=at if at else None, split="test"))
    del found[1].images["TI"]
    found[2].images["NI"].write_bytes(found[2].images["NI"].read_bytes()[:200])
    found[3].images["RGB"].write_bytes(b"no picture")
    return found


@pytest.fixture
def table(samples: list[Sample]) -> EmbeddingTable:
    return embed(tiny_model(), samples, batch_size=4, progress=False)


def test_every_image_that_exists_and_reads_has_a_row(table: EmbeddingTable) -> None:
    keys = list(zip(table.modality.tolist(), table.sample.tolist(), strict=True))
    assert keys == [("RGB", i) for i in (0, 1, 2, 4)] + [("NI", i) for i in (0, 1, 3, 4)] + [
        ("TI", i) for i in (0, 2, 3, 4)
    ]
    assert table.plain.shape == table.enhanced.shape == (12, 10)
    assert table.plain.dtype == table.enhanced.dtype == np.float32


def test_a_row_holds_its_own_images_features(table: EmbeddingTable, samples: list[Sample]) -> None:
    model = tiny_model()
    for row in range(len(table)):
        tokens = model.encode([samples[table.sample[row]].images[table.modality[row]]], progress=False)
        np.testing.assert_allclose(table.plain[row], tokens.cls[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(table.enhanced[row], model.enhance(tokens).cls[0].numpy(), atol=1e-4)


def test_what_is_known_of_a_sample_is_in_its_rows(table: EmbeddingTable, samples: list[Sample]) -> None:
    row = table.row_of(4, "TI")
    assert (table.pid[row], table.camid[row], table.scene[row], table.split[row]) == (2, 0, 4, "test")
    assert table.path[row] == samples[4].images["TI"]
    assert table.scene[table.row_of(0, "RGB")] == -1
    assert table.row_of(1, "TI") == -1


def test_images_that_cannot_be_embedded_are_listed_with_their_reasons(
    table: EmbeddingTable, samples: list[Sample]
) -> None:
    said = {failure.path: failure.reason for failure in table.failed}
    assert said.keys() == {samples[2].images["NI"], samples[3].images["RGB"]}
    assert "cannot be read" in said[samples[2].images["NI"]]
    assert "it is text, not a supported image format" in said[samples[3].images["RGB"]]
    assert "2 images failed" in repr(table)


def turned(samples: list[Sample], n_turned: int) -> list[Sample]:
    """The first so many RGB pictures laid down."""
    for sample in samples[:n_turned]:
        with Image.open(sample.images["RGB"]) as image:
            lying = image.transpose(Image.Transpose.ROTATE_90)
        lying.save(sample.images["RGB"])
    return samples


def test_pictures_across_the_input_are_resized_to_it_and_counted_in_one_warning(
    samples: list[Sample],
) -> None:
    whole = [sample for at, sample in enumerate(samples) if at in (0, 1, 4)]
    with pytest.warns(UserWarning, match="strongly distorted") as said:
        table = embed(tiny_model(), turned(whole, 1), modalities=("RGB", "NI"), batch_size=2, progress=False)
    assert (len(table), table.failed) == (6, ())
    (one,) = said
    assert "1 of 6 images is strongly distorted" in str(one.message)
    assert "RGB_0.png, 16 high and 48 wide" in str(one.message)
    assert "transposed" not in str(one.message)
    assert Path(one.filename) == Path(__file__)


def test_a_set_that_mostly_lies_across_the_input_names_the_transposed_size(samples: list[Sample]) -> None:
    whole = [sample for at, sample in enumerate(samples) if at in (0, 1, 4)]
    with pytest.warns(UserWarning, match=r"2 of 3 images lie across .*image_size=\(16, 48\)"):
        embed(tiny_model(), turned(whole, 2), modalities=("RGB",), progress=False)


def as_counts(sample: Sample, low: float, width: float) -> None:
    """Store the TI picture as a radiometric camera does: 16-bit counts in a band."""
    with Image.open(sample.images["TI"]) as image:
        grey = np.asarray(image.convert("L"), np.float64)
    Image.fromarray(np.round(low + grey * (width / 255)).astype(np.uint16)).save(sample.images["TI"])


def test_deep_images_and_those_with_few_greys_are_counted_in_one_warning_each(samples: list[Sample]) -> None:
    whole = [samples[at] for at in (0, 2, 3, 4)]
    for sample, width in zip(whole, (10, 1500, 12, 1500), strict=True):
        as_counts(sample, 29_315, width)
    with pytest.warns(UserWarning, match="images of more than 8 bits") as said:
        embed(tiny_model(), whole, modalities=("TI",), batch_size=1, progress=False)
    few, stretched = (str(one.message) for one in said)
    assert "2 of 4 keep fewer than 32 grey levels" in few
    assert "29315..29325" in few
    assert stretched.startswith("4 images of more than 8 bits are stretched one by one")


def test_a_feature_that_is_not_finite_takes_no_other_with_it(samples: list[Sample]) -> None:
    model, at = tiny_model(), samples[0].images["RGB"]
    Image.fromarray(np.full((48, 16, 3), 255, np.uint8)).save(at)
    real = model.clip.encode_image

    def broken(batch: torch.Tensor) -> torch.Tensor:
        return torch.where((batch > 0.999).flatten(1).all(dim=1)[:, None], float("nan"), real(batch))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.clip, "encode_image", broken)
        table = embed(model, samples, modalities=("RGB",), progress=False)
    assert table.sample.tolist() == [1, 2, 4]
    assert "not finite" in {f.path: f.reason for f in table.failed}[at]


def test_without_an_add_on_both_features_are_the_plain_cls(samples: list[Sample]) -> None:
    table = embed(tiny_model(addon=False), samples, progress=False)
    np.testing.assert_array_equal(table.plain, table.enhanced)


def test_joined_rows_are_those_of_samples_with_all_modalities(table: EmbeddingTable) -> None:
    joint = table.concatenated(("TI", "RGB"))
    assert joint.sample.tolist() == [0, 2, 4]
    assert set(joint.modality) == {"TI+RGB"}
    for at, sample in enumerate(joint.sample):
        ti, rgb = (table.row_of(sample, name) for name in ("TI", "RGB"))
        np.testing.assert_array_equal(joint.plain[at], np.concatenate([table.plain[ti], table.plain[rgb]]))
        assert dict(joint.files[at]) == {**table.files[ti], **table.files[rgb]}
        assert joint.pid[at] == table.pid[rgb]


def test_equalised_modalities_have_the_same_say(table: EmbeddingTable) -> None:
    joint = table.concatenated(("RGB", "TI"), equalised=True)
    assert joint.is_equalised
    lengths = np.linalg.norm(joint.enhanced.reshape(len(joint), 2, -1), axis=2)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)


def test_a_cut_table_keeps_rows_in_the_order_asked_for(table: EmbeddingTable) -> None:
    cut = table[[5, 0]]
    np.testing.assert_array_equal(cut.enhanced, table.enhanced[[5, 0]])
    assert cut.files == (table.files[5], table.files[0])
    assert len(table[table.modality == "NI"]) == 4


def test_pandas_gets_everything_but_the_features(table: EmbeddingTable) -> None:
    frame = table.to_pandas()
    assert list(frame.columns) == ["sample", "modality", "pid", "camid", "scene", "split", "path"]
    assert frame["path"].tolist() == [str(path) for path in table.path]
    assert frame["modality"].value_counts().to_dict() == {"RGB": 4, "NI": 4, "TI": 4}


def test_batches_are_reported_and_can_be_stopped(samples: list[Sample]) -> None:
    seen: list[Progress] = []
    options = {"batch_size": 5, "progress": False, "report": seen.append}
    embed(tiny_model(), samples, **options)
    assert [(now.done, now.total) for now in seen] == [(5, 14), (10, 14), (14, 14)]
    with pytest.raises(StoppedError, match="after 5 of 14"):
        embed(tiny_model(), samples, **options, stop=lambda: len(seen) > 3)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"modalities": ("RGB", "IR")}, OptionError, "IR"),
        ({"modalities": ()}, OptionError, r"\(\)"),
        ({"batch_size": 0}, OptionError, "0"),
        ({"batchsize": 8}, OptionError, "did you mean batch_size"),
    ],
)
def test_options_that_do_not_exist_are_errors(samples: list[Sample], options, error, said) -> None:
    with pytest.raises(error, match=said):
        embed(tiny_model(), samples, progress=False, **options)


def test_nothing_to_embed_is_an_error_that_says_why(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 samples"):
        embed(tiny_model(), [], progress=False)
    with pytest.raises(DataError, match="TI image: got none in 1 sample"):
        embed(tiny_model(), samples[1:2], modalities=("TI",), progress=False)
    with pytest.raises(DataError, match=r"all 1 failed.*cannot be read"):
        embed(tiny_model(), [Sample(0, 0, {"RGB": tmp_path / "gone.png"})], progress=False)


def test_tables_that_do_not_hold_together_are_errors(table: EmbeddingTable) -> None:
    with pytest.raises(OptionError, match=r"table\[\[3\]\]"):
        table[3]
    with pytest.raises(OptionError, match="'cls'"):
        table.unit("cls")
    with pytest.raises(OptionError, match="once"):
        table.concatenated(("RGB", "RGB"))
    with pytest.raises(DataError, match="RGB, NI"):
        table[table.modality == "RGB"].concatenated(("RGB", "NI"))
    with pytest.raises(ShapeError, match=r"plain of shape \(4, 10\)"):
        EmbeddingTable(
            **{name: np.zeros(3) for name in ("sample", "modality", "pid", "camid", "scene", "split")},
            files=({},) * 3,
            plain=np.zeros((4, 10)),
            enhanced=np.zeros((3, 10)),
        )


def test_a_table_is_ranked_by_the_metric_of_its_model(samples: list[Sample], monkeypatch) -> None:
    assert embed(tiny_model(), samples[:1], progress=False).metric == "cosine"
    monkeypatch.setattr(Model, "metric", "euclidean")
    table = embed(tiny_model(), samples[:1], progress=False)
    assert table.metric == "euclidean"
    np.testing.assert_array_equal(table.compared("plain"), table.plain.astype(np.float64))
    with pytest.raises(OptionError, match="'both'"):
        table.compared("both")


@pytest.mark.parametrize("kind", list(TINY_ADDONS))
def test_any_add_on_gives_plain_and_enhanced_features(samples: list[Sample], kind: str) -> None:
    model, n_behind = tiny_model_with(kind), 4 if kind == "concatenated" else 0
    table = embed(model, samples, batch_size=4, progress=False)
    assert table.plain.shape == (12, 10)
    assert table.enhanced.shape == (12, 10 + n_behind)
    tokens = model.encode([table.path[3]], progress=False)
    np.testing.assert_allclose(table.enhanced[3], model.enhance(tokens).cls[0].numpy(), atol=1e-4)
    assert ("enhanced 14" in repr(table)) == (kind == "concatenated")


def test_of_joined_modalities_what_is_concatenated_comes_after_every_cls(samples: list[Sample]) -> None:
    table = embed(tiny_model_with("concatenated"), samples, batch_size=4, progress=False)
    joint = table.concatenated()
    assert joint.plain.shape == (2, 30)
    assert joint.enhanced.shape == (2, 42)
    np.testing.assert_array_equal(joint.enhanced[:, :30], joint.plain)
    rows = [table.row_of(int(joint.sample[0]), name) for name in ("RGB", "NI", "TI")]
    np.testing.assert_array_equal(
        joint.enhanced[0, 30:], np.concatenate([table.enhanced[r, 10:] for r in rows])
    )
    cosines = joint.unit("enhanced") @ joint.unit("enhanced").T
    side_by_side = np.concatenate([table.enhanced[table.sample == s].ravel()[None] for s in joint.sample])
    unit = side_by_side / np.linalg.norm(side_by_side, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines, unit @ unit.T, atol=1e-6)
