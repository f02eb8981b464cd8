"""Tokens and features in any form give the numbers that plain float32 tensors give, or are refused in our own words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from support.oracles import decompose_pair
from support.tiny import DIM, GRID, direction, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.windows.activations import seen_tokens, token_means
from mswin_viz.analysis.windows.geometry import windows
from mswin_viz.errors import MswinVizError, ShapeError
from mswin_viz.model.tokens.readout import Neck
from mswin_viz.model.tokens.tokens import Tokens

BATCH, N = 4, GRID[0] * GRID[1]


def inference(values: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return values.clone()


def with_gradient(values: torch.Tensor) -> torch.Tensor:
    return (values.clone().requires_grad_() * 1).view_as(values)


def strided(values: torch.Tensor) -> torch.Tensor:
    """The same numbers, not next to one another in memory."""
    wide = torch.zeros(*values.shape[:-1], 2 * values.shape[-1])
    wide[..., ::2] = values
    return wide[..., ::2]


def backwards(values: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.numpy()[..., ::-1])[..., ::-1]


def read_only(values: torch.Tensor) -> np.ndarray:
    array = values.numpy().copy()
    array.flags.writeable = False
    return array


TAKEN: dict[str, Callable[[torch.Tensor], Any]] = {
    "array": lambda x: x.numpy().copy(),
    "array of float64": lambda x: x.numpy().astype(np.float64),
    "array of float16": lambda x: x.numpy().astype(np.float16),
    "array of big-endian floats": lambda x: x.numpy().astype(">f8"),
    "array in Fortran order": lambda x: np.asfortranarray(x.numpy()),
    "array backwards": backwards,
    "array that is read-only": read_only,
    "array of integers": lambda x: x.numpy().astype(np.int16),
    "array of objects": lambda x: x.numpy().astype(object),
    "matrix, masked nowhere": lambda x: np.ma.masked_array(x.numpy()),
    "nested list": lambda x: x.tolist(),
    "list of tensors": list,
    "list of tensors with a gradient": lambda x: list(with_gradient(x)),
    "list of arrays": lambda x: list(x.numpy()),
    "tensor of float64": torch.Tensor.double,
    "tensor of float16": torch.Tensor.half,
    "tensor of bfloat16": torch.Tensor.bfloat16,
    "tensor of integers": torch.Tensor.long,
    "tensor of uint8": lambda x: (x.abs() > 2).to(torch.uint8),
    "tensor that requires a gradient": lambda x: x.clone().requires_grad_(),
    "tensor with a history": with_gradient,
    "parameter": lambda x: torch.nn.Parameter(x.clone()),
    "tensor of inference mode": inference,
    "tensor with gaps": strided,
    "tensor expanded": lambda x: x[:1].expand_as(x),
}


def with_object(thing: Any) -> Callable[[torch.Tensor], np.ndarray]:
    def made(values: torch.Tensor) -> np.ndarray:
        found = values.numpy().astype(object)
        found.flat[1] = thing
        return found

    return made


def nested(values: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that nested tensors may change
        return torch.nested.as_nested_tensor(list(values))


class Unreadable:
    """An array of a library that is broken."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise KeyError("no data")


REFUSED: dict[str, Callable[[torch.Tensor], Any]] = {
    "NaN": lambda x: x.clone().index_fill_(0, torch.tensor([1]), torch.nan),
    "infinity": lambda x: x.clone().index_fill_(0, torch.tensor([1]), torch.inf),
    "no image": lambda x: x[:0],
    "one axis": lambda x: x.flatten(),
    "a number": lambda x: 3.0,
    "nothing": lambda x: None,
    "text": lambda x: "tokens",
    "array of text": lambda x: x.numpy().astype(str),
    "complex": lambda x: x.to(torch.complex64),
    "sparse": torch.Tensor.to_sparse,
    "without data": lambda x: x.to("meta"),
    "rows of different lengths": lambda x: [x[0].flatten()[:2].tolist(), x[1].flatten()[:3].tolist()],
    "dictionary": lambda x: {"tokens": x},
    "array with a masked value": lambda x: np.ma.masked_less(x.numpy(), 0),
    "list of arrays with a masked value": lambda x: list(np.ma.masked_less(x.numpy(), 0)),
    "array of objects that are no numbers": lambda x: np.full(x.shape, "x", dtype=object),
    "array of objects with a number in text": with_object("1.5"),
    "array of objects with None": with_object(None),
    "array of objects with a truth": with_object(True),
    "array of objects with a date": with_object(np.datetime64("2020-01-01")),
    "array of objects with a duration": with_object(np.timedelta64(3, "s")),
    "array of objects with a number beyond any float": with_object(10**400),
    "truths": lambda x: x > 0,
    "array of truths": lambda x: x.numpy() > 0,
    "nested tensor": nested,
    "an array that cannot be read": lambda x: Unreadable(),
}


def plain_form(values: Any) -> torch.Tensor:
    """The numbers as the contiguous float32 tensor that each function is made for."""
    if isinstance(values, list) and isinstance(values[0], (torch.Tensor, np.ndarray)):
        values = np.stack([np.asarray(torch.as_tensor(one).detach()) for one in values])
    if isinstance(values, torch.Tensor):
        return values.detach().clone().float().contiguous()
    return torch.from_numpy(np.array(values).astype(np.float32))


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def cls() -> torch.Tensor:
    return 4 * torch.randn(BATCH, DIM, generator=torch.Generator().manual_seed(1)).round(decimals=1)


@pytest.fixture(scope="module")
def patches() -> torch.Tensor:
    return 4 * torch.randn(BATCH, N, DIM, generator=torch.Generator().manual_seed(2)).round(decimals=1)


def numbers(found: Any) -> list[np.ndarray]:
    """Every number of a result, without gradients."""
    if isinstance(found, torch.Tensor):
        assert not found.requires_grad
        return [found.numpy()]
    if isinstance(found, np.ndarray):
        return [found] if found.dtype.kind in "iuf" else []
    if isinstance(found, float):
        return [np.array(found)]
    if isinstance(found, dict):
        return [one for value in found.values() for one in numbers(value)]
    return []


def of_tokens(name: str, model: mv.Model, tokens: Tokens) -> list[np.ndarray]:
    functions: dict[str, Callable[[], Any]] = {
        "Tokens": lambda: {"cls": tokens.cls.detach(), "patches": tokens.patches.detach()},
        "enhance": lambda: model.enhance(tokens).cls.detach(),
        "window_activations": lambda: mv.window_activations(tokens, model.addon, 4).values,
        "window_activations, resampled": lambda: mv.window_activations(tokens, model.addon, 3).values,
        "window_activations, plain": lambda: mv.window_activations(tokens, None, 3).values,
        "token_means": lambda: token_means(seen_tokens(tokens, model.addon), windows(GRID, 4)).values,
        "decompose": lambda: vars(mv.decompose(tokens, model.addon, direction())),
        "decompose, plain": lambda: mv.decompose(tokens, None, direction()).score,
        "decompose_pair": lambda: decompose_pair(tokens, tokens, model.addon).similarity,
        "attribute": lambda: (
            mv.attribute(
                model, tokens, mv.Target.direction(direction()), method="gradient_x_input", level="tokens"
            ).values
        ),
        "null_features": lambda: mv.null_features(model, tokens, seeds=1),
    }
    return numbers(functions[name]())


OF_TOKENS = (
    "Tokens", "enhance", "window_activations", "window_activations, resampled", "window_activations, plain",
    "token_means", "decompose", "decompose, plain", "decompose_pair", "attribute", "null_features",
)  # fmt: skip


@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.parametrize("name", OF_TOKENS)
def test_tokens_in_any_form_give_the_same_numbers_without_a_gradient(name, kind, model, cls, patches):
    made = TAKEN[kind](cls), TAKEN[kind](patches)
    before = [plain_form(one) for one in made]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = of_tokens(name, model, Tokens(*made, GRID))
    expected = of_tokens(name, model, Tokens(*before, GRID))
    assert found
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    for now, then in zip(made, before, strict=True):
        torch.testing.assert_close(plain_form(now), then, rtol=0, atol=0)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", [one for one in OF_TOKENS if one not in ("Tokens", "enhance")])
@pytest.mark.parametrize("which", ["cls", "patches", "both"])
def test_tokens_that_make_no_sense_are_refused(name, kind, which, model, cls, patches):
    made = REFUSED[kind]
    with pytest.raises(MswinVizError):
        of_tokens(
            name,
            model,
            Tokens(
                made(cls) if which != "patches" else cls, made(patches) if which != "cls" else patches, GRID
            ),
        )


@pytest.mark.parametrize("name", [one for one in OF_TOKENS if one != "Tokens"])
@pytest.mark.parametrize("given", [None, np.zeros((2, 12, DIM)), torch.zeros(2, 12, DIM), "a.jpg", [1.0]])
def test_what_is_no_record_of_tokens_is_refused(name, given, model):
    with pytest.raises(MswinVizError):
        of_tokens(name, model, given)


@pytest.mark.parametrize(
    "name",
    [one for one in OF_TOKENS if one != "Tokens" and "plain" not in one],
)
def test_tokens_of_another_width_are_refused_with_both_widths(name, model):
    narrow = Tokens(torch.ones(2, DIM - 3), torch.ones(2, N, DIM - 3), GRID)
    with pytest.raises(ShapeError, match=rf"({DIM}|{DIM - 3})"):
        of_tokens(name, model, narrow)


@pytest.mark.parametrize("kind", ["tensor", "array", "read-only array", "list", "long doubles"])
@pytest.mark.parametrize("which", ["cls", "patches"])
def test_a_number_too_large_for_float32_is_refused_and_not_made_infinite(kind, which, cls, patches):
    given = {"cls": cls, "patches": patches}
    large = given[which].double() + 1e39
    given[which] = {
        "tensor": lambda: large.requires_grad_(),
        "array": large.numpy,
        "read-only array": lambda: read_only(large),
        "list": large.tolist,
        "long doubles": lambda: large.numpy().astype(np.longdouble),
    }[kind]()
    with pytest.raises(
        ShapeError, match=rf"{which} must fit float32, whose numbers end at 3.4e\+38: got 1e\+39"
    ):
        Tokens(**given, grid=GRID)


def test_infinity_itself_stays_what_it_is(cls, patches):
    bad = cls.double()
    bad[1, 2] = -torch.inf
    assert Tokens(bad, patches, GRID).cls[1, 2] == -torch.inf


def test_a_gradient_goes_through_enhance_to_tokens_that_ask_for_one(model, cls, patches):
    leaf = patches.double().requires_grad_()
    model.enhance(Tokens(cls, leaf, GRID)).cls.sum().backward()
    assert leaf.grad.shape == patches.shape
    assert leaf.grad.abs().sum() > 0


def test_a_nan_stays_with_its_own_image_in_enhance(model, cls, patches):
    bad = patches.clone()
    bad[1] = torch.nan
    found, expected = (model.enhance(Tokens(cls, some, GRID)).cls for some in (bad, patches))
    assert torch.isnan(found[1]).all()
    torch.testing.assert_close(found[[0, 2, 3]], expected[[0, 2, 3]])


def test_the_neck_goes_with_the_tokens(model, cls, patches):
    neck = Neck(torch.full((DIM,), 2.0), torch.ones(DIM))
    plain = mv.decompose(Tokens(cls, patches, GRID), model.addon, direction())
    behind = mv.decompose(Tokens(cls.double().numpy(), patches, GRID, neck), model.addon, direction())
    np.testing.assert_allclose(behind.enhanced - cls.numpy(), 2 * (plain.enhanced - cls.numpy()), rtol=1e-5)


@pytest.mark.parametrize("grid", [[6, 2], np.array([6, 2]), torch.tensor([6, 2]), (np.int64(6), np.uint8(2))])
def test_a_grid_in_any_form_is_two_ints(grid, cls, patches):
    tokens = Tokens(cls, patches, grid)
    assert tokens.grid == (6, 2)
    assert [type(side) for side in tokens.grid] == [int, int]


@pytest.mark.parametrize(
    "grid", [None, 12, (12,), (2, 3, 2), (-6, -2), (6.0, 2.0), "62", ("6", "2"), (0, 12)]
)
def test_a_grid_that_is_none_is_refused(grid, cls, patches):
    with pytest.raises(ShapeError, match=r"rows and columns|rows \* cols"):
        Tokens(cls, patches, grid)


def test_float32_tensors_are_not_copied(cls, patches):
    tokens = Tokens(cls, patches, GRID)
    assert tokens.cls is cls
    assert tokens.patches is patches


# ---- features -------------------------------------------------------------------------------

N_IMAGES = 24
PIDS, CAMIDS = np.arange(N_IMAGES) // 4, np.arange(N_IMAGES) % 2


@pytest.fixture(scope="module")
def features() -> torch.Tensor:
    return 4 * torch.randn(N_IMAGES, DIM, generator=torch.Generator().manual_seed(3)).round(decimals=1)


@pytest.fixture(scope="module")
def others() -> torch.Tensor:
    return 4 * torch.randn(N_IMAGES, DIM, generator=torch.Generator().manual_seed(4)).round(decimals=1)


def of_features(name: str, features: Any, others: Any) -> list[np.ndarray]:
    functions: dict[str, Callable[[], Any]] = {
        "retrieval": lambda: mv.retrieval(features, PIDS, CAMIDS).per_query_ap,
        "retrieval, euclidean": lambda: mv.retrieval(features, PIDS, CAMIDS, metric="euclidean").mAP,
        "compare, plain": lambda: compared(features, others),
        "compare, enhanced": lambda: compared(others, features),
        "compare_with_nulls": lambda: (
            mv.compare_with_nulls(others, others, {"null": features}, PIDS, k=3, draws=20, flips=20)
            .to_pandas()
            .to_numpy(float)
        ),
        "table": lambda: vars(table(features, others)),
        "project": lambda: mv.project(features, others, perplexity=4, k=3).plain,
        "extend": lambda: mv.extend(MAP(), features, others).plain,
        "coupling_sweep": lambda: (
            mv.coupling_sweep(features, others, (0.0, 0.1), perplexity=4, k=3).disparity
        ),
    }
    return numbers(functions[name]())


QUICK = (
    "retrieval",
    "retrieval, euclidean",
    "compare, plain",
    "compare, enhanced",
    "compare_with_nulls",
    "table",
)
SLOW = ("project", "extend", "coupling_sweep")


def compared(plain: Any, enhanced: Any) -> np.ndarray:
    found = mv.compare(plain, enhanced, PIDS, CAMIDS, k=3, draws=20, flips=20)
    return np.array([found.plain.mAP, found.enhanced.mAP])


def table(plain: Any, enhanced: Any) -> mv.EmbeddingTable:
    rows = np.arange(N_IMAGES)
    return mv.EmbeddingTable(
        sample=rows, modality=np.full(N_IMAGES, "RGB"), pid=PIDS, camid=CAMIDS, scene=rows * 0 - 1,
        split=np.full(N_IMAGES, ""), files=({},) * N_IMAGES, plain=plain, enhanced=enhanced,
    )  # fmt: skip


@cache
def MAP() -> mv.Projection:  # noqa: N802
    generator = torch.Generator().manual_seed(5)
    plain, enhanced = (torch.randn(N_IMAGES, DIM, generator=generator).numpy() for _ in range(2))
    return mv.project(plain, enhanced, perplexity=4, k=3)


@pytest.mark.parametrize("kind", [one for one in TAKEN if one not in ("tensor expanded", "tensor of uint8")])
@pytest.mark.parametrize("name", QUICK)
def test_features_in_any_form_give_the_same_numbers(name, kind, features, others):
    _compare_forms(name, kind, features, others)


@pytest.mark.parametrize(
    "kind", ["tensor with a history", "list of tensors with a gradient", "array backwards"]
)
@pytest.mark.parametrize("name", SLOW)
def test_maps_of_features_in_any_form_are_the_same(name, kind, features, others):
    _compare_forms(name, kind, features, others)


def _compare_forms(name: str, kind: str, features: torch.Tensor, others: torch.Tensor) -> None:
    made = TAKEN[kind](features)
    before = plain_form(made)
    expected, found = of_features(name, before, others), of_features(name, made, others.numpy())
    assert found
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(plain_form(made), before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_features_that_make_no_sense_are_refused(name, kind, features, others):
    if name == "table" and kind in ("NaN", "infinity"):
        pytest.skip("a table keeps such a row, and ranks it nowhere")
    with pytest.raises(MswinVizError):
        of_features(name, REFUSED[kind](features), others)


# ---- identities ------------------------------------------------------------------------------


UNREADABLE: dict[str, Callable[[], Any]] = {
    "sparse": lambda: torch.tensor([1, 0] * (N_IMAGES // 2)).to_sparse(),
    "without data": lambda: torch.ones(N_IMAGES).to("meta"),
    "nested tensor": lambda: nested(torch.ones(N_IMAGES, 2)),
    "durations": lambda: np.array([np.timedelta64(3, "s")] * N_IMAGES, dtype=object),
    "rows of different lengths": lambda: [[1], [1, 2]] * (N_IMAGES // 2),
    "an array that cannot be read": Unreadable,
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("name", ["pids", "camids", "query"])
def test_identities_and_choices_that_make_no_sense_are_refused(name, kind, features):
    given = {"pids": PIDS, "camids": CAMIDS, "query": None, name: UNREADABLE[kind]()}
    with pytest.raises(MswinVizError, match=name):
        mv.retrieval(features, **given)


def test_a_masked_identity_is_one_that_is_not_known(features):
    hidden = np.arange(N_IMAGES) % 5 == 0
    found = mv.retrieval(features, np.ma.masked_array(PIDS, hidden), CAMIDS)
    expected = mv.retrieval(features, np.where(hidden, -1, PIDS), CAMIDS)
    np.testing.assert_array_equal(found.per_query_ap, expected.per_query_ap)
    assert found.mAP == expected.mAP


def test_masked_choices_are_refused(features):
    with pytest.raises(ShapeError, match="query chooses at least one image"):
        mv.retrieval(features, PIDS, CAMIDS, query=np.ma.masked_array([0, 1, 2], [0, 1, 0]))
