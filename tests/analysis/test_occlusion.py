"""Occlusion curves: held against a loop that masks, encodes and ranks by itself; what is covered; what is said."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.own_modules import tiny_model_with
from support.tiny import SIZE, tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz.errors import DataError, OptionError, StoppedError
from mswin_viz.model.training.heads import cls_control
from mswin_viz.model.training.shuffled_weights import shuffled

FAST = {"draws": 50, "flips": 50, "null_seeds": 1, "progress": False, "modalities": ("RGB", "NI")}
HEIGHT = SIZE[0]


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> list[mv.Sample]:
    """Ten samples of three people in two modalities, and what can go wrong: no NI, nobody's image, a broken file."""
    found = two_modalities(tmp_path_factory.mktemp("people"), 13, n_people=3)
    rng = np.random.default_rng(0)
    for sample in found:  # people are told apart by colour, badly
        for path in sample.images.values():
            shown = np.asarray(Image.open(path), float) + 60 * sample.pid + rng.normal(size=3) * 20
            Image.fromarray(np.clip(shown / 2, 0, 255).astype(np.uint8)).save(path)
    found[10] = dataclasses.replace(found[10], images={"RGB": found[10].images["RGB"]})
    found[11] = dataclasses.replace(found[11], pid=-1, camid=-1)
    found[12].images["NI"].write_bytes(b"no picture")
    return found


def split(samples: list[mv.Sample]) -> list[mv.Sample]:
    return [
        dataclasses.replace(sample, split="query" if at % 4 == 0 else "gallery")
        for at, sample in enumerate(samples)
    ]


@cache
def masked_tokens(model: mv.Model, path: Path, n_rows: int) -> mv.Tokens:
    seen = np.asarray(Image.open(path).convert("RGB")).copy()
    assert seen.shape[:2] == SIZE  # no resize
    for row in range(HEIGHT - n_rows, HEIGHT):
        seen[row] = (128, 128, 128)  # the normalisation's mean is 0.5
    return model.encode(seen)


def loop_ap(model, samples, feature, modalities, n_rows, *, both=False) -> list[float]:
    """Mask the lowest rows by hand, encode one image at a time, rank with a loop: AP of each query with a match."""

    @cache
    def vector(sample, n):
        parts = []
        for name in modalities:
            tokens = masked_tokens(model, samples[sample].images[name], n)
            parts.append(feature(tokens)[0].double().numpy())
        whole = np.concatenate(parts)
        return whole / np.linalg.norm(whole)

    usable = [at for at, s in enumerate(samples) if all(readable(s, name) for name in modalities)]
    query = [at for at in usable if samples[at].split in (None, "query")]
    gallery = [at for at in usable if samples[at].split in (None, "gallery")]
    found = []
    for one in query:
        pid, camid, ranked = samples[one].pid, samples[one].camid, []
        for other in gallery:
            is_same = samples[other].pid == pid >= 0
            if other == one or (is_same and samples[other].camid == camid >= 0):
                continue
            likeness = float(vector(one, n_rows) @ vector(other, n_rows if both else 0))
            ranked.append((-round(likeness, 12), is_same))
        hits, precisions = 0, []
        for rank, (_, is_match) in enumerate(sorted(ranked, key=lambda pair: pair[0]), start=1):
            if is_match:
                hits += 1
                precisions.append(hits / rank)
        found.append(float(np.mean(precisions)) if precisions else float("nan"))
    return found


def readable(sample: mv.Sample, modality: str) -> bool:
    path = sample.images.get(modality)
    return path is not None and path.read_bytes() != b"no picture"


@pytest.mark.parametrize("masked", ["query", "both"])
@pytest.mark.parametrize("has_splits", [False, True])
def test_every_average_precision_is_that_of_a_loop_over_masked_images(model, samples, masked, has_splits):
    some = split(samples) if has_splits else samples
    curves = mv.occlusion_curves(model, some, fractions=(0.2, 0.55), masked=masked, rule="camera", **FAST)
    assert curves.rows == (10, 26)  # of 48: 9.6 and 26.4
    null = shuffled(model, "add-on", seed=0)
    features = {
        "plain": lambda tokens: tokens.cls,
        "enhanced": lambda tokens: model.enhance(tokens).cls,
        "shuffled, seed 0": lambda tokens: null.enhance(tokens).cls,
    }
    for name, feature in features.items():
        for modality in ("RGB", "RGB+NI") if name == "enhanced" else ("NI",):
            for at, n_rows in enumerate(curves.rows):
                by_loop = loop_ap(model, some, feature, modality.split("+"), n_rows, both=masked == "both")
                ours = curves.query_ap[modality][curves.names.index(name), at]
                np.testing.assert_allclose(ours, by_loop, atol=1e-9)
                (point,) = [p for p in curves.curve(modality, name) if p.rows == n_rows]
                assert point.mAP == pytest.approx(np.nanmean(by_loop))


def test_without_covered_rows_the_curve_begins_at_the_retrieval_of_the_whole_images(model, samples):
    curves = mv.occlusion_curves(model, samples, fractions=(0, 0.5), **FAST)
    table = mv.embed(model, samples, modalities=("RGB", "NI"), progress=False)
    for name in curves.modalities:
        some = table.concatenated(name.split("+")) if "+" in name else table[table.rows(name)]
        for feature in ("plain", "enhanced"):
            report = mv.retrieval(getattr(some, feature), some.pid, some.camid)
            first = curves.curve(name, feature)[0]
            assert (first.mAP, first.rank1, first.mINP) == (report.mAP, report.cmc[1], report.mINP)
            assert first.n_queries == report.n_answered


@pytest.mark.parametrize("rule", ["none", "camera"])
def test_a_query_is_never_its_own_answer_whatever_the_cameras(model, samples, rule):
    nameless = [dataclasses.replace(sample, camid=-1) for sample in samples]
    curves = mv.occlusion_curves(model, nameless, fractions=(0, 0.1), rule=rule, **FAST)
    table = mv.embed(model, nameless, modalities=("RGB",), progress=False)
    report = mv.retrieval(table.plain, table.pid, table.camid, rule=rule)
    assert curves.curve("RGB", "plain")[0].mAP == report.mAP < 1
    assert bool(curves.notes) == (rule == "camera")


def covered(model, samples, **options):
    """The pixels that the tower got in the last pass of a curve, in the images' order."""
    seen = []
    own = type(model).encode_fitted

    def noting(self, images, *given):
        seen.append([np.asarray(image.shown) for image in images])
        return own(self, images, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "encode_fitted", noting)
        mv.occlusion_curves(model, samples, controls=False, **(FAST | {"modalities": ("RGB",)} | options))
    return seen[-1]


@pytest.mark.parametrize(
    ("side", "rows"), [("bottom", range(36, 48)), ("top", range(12)), ("middle", range(18, 30))]
)
def test_the_rows_of_a_side_are_covered_and_no_others(model, samples, side, rows):
    whole = np.asarray(Image.open(samples[0].images["RGB"]))
    seen = covered(model, samples, fractions=(0.25,), side=side, fill=(1, 2, 3))[0]
    is_filled = (seen == (1, 2, 3)).all(axis=(1, 2))
    assert np.flatnonzero(is_filled).tolist() == list(rows)
    np.testing.assert_array_equal(seen[~is_filled], whole[~is_filled])


def test_random_blocks_have_one_height_for_all_modalities_of_a_sample_and_follow_the_seed(model, samples):
    def tops(modality, seed):
        fill = {"side": "random", "fill": (1, 2, 3), "fractions": (0.25,), "modalities": (modality,)}
        seen = covered(model, samples[:10], seed=seed, **fill)
        filled = [(one == (1, 2, 3)).all(axis=(1, 2)) for one in seen]
        assert all(rows.sum() == 12 and np.ptp(np.flatnonzero(rows)) == 11 for rows in filled)
        return [int(rows.argmax()) for rows in filled]

    assert tops("RGB", 4) == tops("NI", 4) != tops("RGB", 5)
    assert len(set(tops("RGB", 4))) > 3


def test_fills_are_what_they_say(model, samples):
    whole = np.asarray(Image.open(samples[0].images["RGB"]), float)
    fills = {
        name: covered(model, samples, fractions=(0.5,), fill=name)[0][-1, 0].tolist()
        for name in ("mean", "own_mean", "black")
    }
    assert fills["mean"] == [128, 128, 128]
    assert fills["own_mean"] == np.round(whole.mean(axis=(0, 1))).tolist()
    assert fills["black"] == [0, 0, 0]


def test_each_covered_image_goes_through_the_tower_once_however_many_controls_there_are(model, samples):
    n, own = [0], type(model).encode_fitted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(model),
            "encode_fitted",
            lambda self, images, *given: (n.append(len(images)), own(self, images, *given))[1],
        )
        some = split(samples[:10])
        options = FAST | {"null_seeds": 4, "others": {"mlp": cls_control(model.dim, 200)}}
        mv.occlusion_curves(model, some, fractions=(0, 0.2, 0.4), **options)
    n_query = sum(sample.split == "query" for sample in some)
    assert sum(n) == 2 * (10 + 2 * n_query)  # two modalities; the gallery once


def test_others_are_models_add_ons_and_heads_on_the_same_tokens(model, samples):
    other = dataclasses.replace(model, addon=tiny_model(seed=9).addon)
    head = cls_control(model.dim, 200, seed=1)
    others = {"model": other, "add-on": other.addon, "head": head}
    curves = mv.occlusion_curves(model, samples[:9], fractions=(0, 0.5), others=others, **FAST)
    assert curves.names[-3:] == ("model", "add-on", "head")
    assert curves.nulls == ("shuffled, seed 0", "untrained, seed 0", "zero shift")
    np.testing.assert_array_equal(
        *(curves.query_ap["RGB"][curves.names.index(n)] for n in ("model", "add-on"))
    )
    tokens = model.encode([sample.images["RGB"] for sample in samples[:9]])
    with torch.no_grad():
        features = head.features(tokens).numpy()
    report = mv.retrieval(features, [s.pid for s in samples[:9]], [s.camid for s in samples[:9]])
    assert curves.curve("RGB", "head")[0].mAP == pytest.approx(report.mAP)


def test_a_zero_shift_is_the_plain_curve(model, samples):
    curves = mv.occlusion_curves(model, samples, fractions=(0, 0.4), **FAST)
    for name in curves.modalities:
        plain, zero = (curves.query_ap[name][curves.names.index(one)] for one in ("plain", "zero shift"))
        np.testing.assert_array_equal(plain, zero)


def test_the_statistics_are_those_of_compare(model, samples):
    options = FAST | {"draws": 400, "flips": 400, "modalities": ("RGB",)}
    curves = mv.occlusion_curves(model, samples, fractions=(0,), **options)
    table = mv.embed(model, samples, modalities=("RGB",), progress=False)
    found = mv.compare(table.plain, table.enhanced, table.pid, table.camid, draws=400, flips=400)
    plain, enhanced = (curves.curve("RGB", name)[0] for name in ("plain", "enhanced"))
    assert (plain.low, plain.high) == pytest.approx((found.plain_interval.low, found.plain_interval.high))
    assert enhanced.low == pytest.approx(found.enhanced_interval.low)
    lead = found.difference_interval
    assert (plain.lead, plain.lead_low, plain.lead_high) == pytest.approx((lead.value, lead.low, lead.high))
    assert plain.p == found.test.p
    assert np.isnan([enhanced.lead, enhanced.p]).all()


def test_sentences_say_where_the_lead_is_beyond_chance(model, samples):
    curves = mv.occlusion_curves(model, samples, fractions=(0, 0.25, 0.5), **FAST)

    def judged(**leads):
        points = []
        for point in curves.points:
            lead = leads.get(point.name.split(",")[0], [0, 0, 0])[curves.rows.index(point.rows)]
            ends = {"lead_low": lead - 0.01, "lead_high": lead + 0.01, "p": 0.01 if lead else 0.9}
            points.append(dataclasses.replace(point, lead=lead, **ends))
        return str(dataclasses.replace(curves, points=tuple(points)))

    words = judged(plain=[0.1, 0.1, -0.1], shuffled=[0.1, 0, 0.1], untrained=[0.1, 0.1, 0])
    assert "RGB: enhanced leads plain beyond chance at 0.0%, 25.0%; it is behind it at 50.0%." in words
    assert "RGB: enhanced leads each of 2 controls beyond chance at 0.0%." in words
    words = judged(plain=[0.1, 0.1, 0.1])
    assert "leads plain beyond chance at every fraction." in words
    assert "leads each of 2 controls beyond chance at no fraction." in words
    assert "1 image was left out: " in words


def test_the_table_has_a_row_for_each_point_and_says_exactly_what_was_covered(model, samples):
    curves = mv.occlusion_curves(model, samples, fractions=(0, 0.1), **FAST)
    table = curves.to_pandas()
    assert len(table) == 3 * 5 * 2  # RGB, NI and both; five features; two fractions
    assert sorted(table.rows.unique()) == [0, 5]
    assert table.masked.unique().tolist() == [0, 5 / 48]
    assert table.modality.unique().tolist() == ["RGB", "NI", "RGB+NI"]


def test_a_model_without_an_add_on_has_plain_and_others_only(samples):
    bare = tiny_model(addon=False)
    curves = mv.occlusion_curves(
        bare, samples, fractions=(0, 0.5), others={"own": tiny_model().addon}, **FAST
    )
    assert (curves.names, curves.leading, curves.nulls) == (("plain", "own"), "plain", ())
    assert "plain leads own beyond chance" in str(curves)


def test_a_module_that_is_concatenated_is_measured_too(samples):
    model = tiny_model_with("concatenated")
    curves = mv.occlusion_curves(model, samples, fractions=(0, 0.5), **FAST)
    assert np.isfinite([point.mAP for point in curves.points]).all()


def test_what_cannot_be_read_is_left_out_and_said(model, samples):
    curves = mv.occlusion_curves(model, samples, fractions=(0, 0.5), **FAST)
    (failure,) = curves.failed
    assert failure.path == samples[12].images["NI"]
    assert curves.query_ap["RGB"].shape[2] == 13
    assert curves.query_ap["RGB+NI"].shape[2] == 11  # one lacks its NI, another's is broken


def test_progress_is_told_and_a_stop_is_heard(model, samples):
    seen = []
    mv.occlusion_curves(model, samples[:6], fractions=(0, 0.5), report=seen.append, **FAST)
    assert seen[-1].done == seen[-1].total
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    with pytest.raises(StoppedError, match="occlusion was stopped after 0 of"):
        mv.occlusion_curves(model, samples, stop=lambda: True, **FAST)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fractions": (0, 1)}, "below 1"),
        ({"fractions": (0.5, 0.1)}, "ascending"),
        ({"fractions": ()}, "fractions of the rows"),
        ({"side": "left"}, "side is one of bottom, top, middle, random: got 'left'"),
        ({"masked": "gallery"}, "masked is one of query, both"),
        ({"fill": "grey"}, "fill is one of mean, own_mean, black"),
        ({"fill": (0, 0, 256)}, "whole numbers of 0..255"),
        ({"modalities": ("IR",)}, "some of RGB, NI, TI"),
        ({"controls": ("zeros",)}, "controls are True, False or some of shuffled, random, mean"),
        ({"rule": "scenes"}, "rule is one of"),
        ({"others": {"plain": None}}, "names of their own"),
        ({"others": []}, "others are a dictionary"),
        (
            {"others": {"host": tiny_model(seed=4)}},
            "others read the tokens of the model's own tower: got 'host'",
        ),
        ({"fraction": (0, 0.1)}, "did you mean fractions"),
        ({"draws": 0}, "draws"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(model, samples, options, said):
    with pytest.raises(OptionError, match=said):
        mv.occlusion_curves(model, samples, **(FAST | options))


def test_samples_that_cannot_be_measured_are_refused_before_anything_is_encoded(model, samples):
    with pytest.raises(OptionError, match="model must be a model: got 3"):
        mv.occlusion_curves(3, samples)
    with pytest.raises(OptionError, match="a figure of occlusion needs curves: got 3"):
        mv.occlusion_figure(3)
    with pytest.raises(OptionError, match="an occlusion curve is measured by retrieval"):
        mv.occlusion_curves(model, samples[:2], **FAST)
    with pytest.raises(DataError, match="in TI"):
        mv.occlusion_curves(model, samples, **(FAST | {"modalities": ("TI",)}))
