"""A module of the user's own behind a tower: passed, made or imported; refused with a way out; left as it is."""

from __future__ import annotations

import copy
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import DIM, GRID, pictures, tiny_model
from torch import nn

import mswin_viz as mv
from mswin_viz.errors import OptionError, WeightsError, WeightsNotFoundError
from mswin_viz.model.addon.imported import is_import, made_addon
from mswin_viz.model.addon.own import prepared_addon
from mswin_viz.model.training.untrained import with_untrained_addon

N_TOKENS = math.prod(GRID)


class Pool(nn.Module):
    """Attention pooling by a learnt query; reads patches only."""

    def __init__(self, dim: int = DIM, width: int | None = None) -> None:
        super().__init__()
        self.score, self.out = nn.Linear(dim, 1), nn.Linear(dim, width or dim)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.out((self.score(patches).softmax(dim=1) * patches).sum(dim=1))


class AskedByCls(nn.Module):
    """Attention whose query is the CLS token."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM)

    def forward(self, patches: torch.Tensor, cls: torch.Tensor, *, power: float = 1.0) -> torch.Tensor:
        weights = (power * patches @ self.query(cls)[:, :, None]).softmax(dim=1)
        return (weights * patches).sum(dim=1)


class Raw(nn.Module):
    """A parameter of its own, without reset_parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((DIM,), 0.5))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mean(dim=1) * self.gain


class Mean(nn.Module):
    """No weight at all."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mean(dim=1)


class Forward(nn.Module):
    """Whatever a test wants of it."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.function(patches)


def with_addon(addon) -> mv.Model:
    """The tiny tower with an add-on as load_model puts it there."""
    model = tiny_model(addon=False)
    module = prepared_addon(addon, DIM, N_TOKENS).eval().requires_grad_(False)
    return mv.Model(model.tower, module, module.description, model.device)


@pytest.fixture(scope="module")
def tokens() -> mv.Tokens:
    return tiny_model(addon=False).encode(pictures(3), progress=False)


@pytest.fixture(scope="module")
def pool() -> Pool:
    torch.manual_seed(2)
    return Pool()


def test_a_module_of_patches_is_added_image_by_image(pool, tokens) -> None:
    enhanced = with_addon(pool).enhance(tokens)
    for image in range(3):
        scores = [float(pool.score(token).detach()) for token in tokens.patches[image]]
        weights = np.exp(scores) / np.exp(scores).sum()
        pooled = sum(w * token for w, token in zip(weights.tolist(), tokens.patches[image], strict=True))
        expected = tokens.cls[image] + pool.out(pooled).detach()
        torch.testing.assert_close(enhanced.cls[image], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(enhanced.patches, tokens.patches)


def test_a_module_with_two_arguments_is_given_the_cls_token(tokens) -> None:
    module = AskedByCls()
    addon = mv.Addon(module)
    assert addon.reads_cls
    enhanced = with_addon(module).enhance(tokens)
    torch.testing.assert_close(enhanced.cls, tokens.cls + module(tokens.patches, tokens.cls).detach())


def test_a_concatenated_vector_stands_behind_the_cls_token(tokens) -> None:
    module = Pool(width=7)
    addon = mv.Addon(module, combine="concatenate")
    enhanced = with_addon(addon).enhance(tokens)
    assert (enhanced.cls.shape, enhanced.n_behind) == ((3, DIM + 7), 7)
    torch.testing.assert_close(enhanced.cls[:, :DIM], tokens.cls)
    torch.testing.assert_close(enhanced.cls[:, DIM:], module(tokens.patches).detach())


def test_what_a_module_says_of_itself_counts_unless_the_wrapper_says_otherwise(pool) -> None:
    said = copy.deepcopy(pool)
    said.combine, said.windows = "concatenate", [2, (3, 2)]
    addon = mv.Addon(said)
    assert (addon.combine, addon.geometries) == ("concatenate", (2, (3, 2)))
    assert mv.Addon(said, combine="add", windows=()).geometries == ()
    assert mv.Addon(said, combine="add").combine == "add"


def test_attributes_that_mean_something_else_are_passed_over(pool) -> None:
    other = copy.deepcopy(pool)
    other.combine, other.windows = nn.Identity(), nn.ModuleList()
    addon = mv.Addon(other)
    assert (addon.combine, addon.geometries) == ("add", ())


@pytest.mark.parametrize("windows", [(0,), (2.5,), ((1, 2, 3),), (True,), ("4",)])
def test_windows_that_are_none_are_refused(pool, windows) -> None:
    with pytest.raises(OptionError, match=r"such as 8, or tiles, such as \(4, 4\): got .*windows=\(\)"):
        mv.Addon(pool, windows=windows)


def test_another_way_to_combine_is_refused(pool) -> None:
    with pytest.raises(
        OptionError, match="got 'multiply'; choose one, or rename the module's attribute combine"
    ):
        mv.Addon(pool, combine="multiply")


def test_another_width_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        OptionError, match=r'must have its width, 10: .*Pool returned width 7; .*combine="concatenate"'
    ):
        with_addon(Pool(width=7))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda p: p @ torch.ones(3, 3), "failed with RuntimeError"),
        (lambda p: 1 / 0, "failed with ZeroDivisionError"),
        (lambda p: p @ torch.ones(3, 3), "RuntimeError.*build it for 12 tokens of width 10"),
        (
            lambda p: p,
            r"returned \(2, 12, 10\) for 2 images; pool over the tokens, such as out.mean\(dim=1\)",
        ),
        (
            lambda p: p.mean(dim=1, keepdim=True),
            r"returned \(2, 1, 10\) for 2 images; return out.squeeze\(1\)",
        ),
        (lambda p: [p.mean(dim=1)], r"returned list for 2 images; return the vector alone, such as out\[0\]"),
        (
            lambda p: (p.mean(dim=1), p),
            r"returned tuple for 2 images; return the vector alone, such as out\[0\]",
        ),
        (
            lambda p: p.mean(dim=1).squeeze(0),
            r"returned \(10,\) for 1 image; return a tensor \[B, D\], for a single image too",
        ),
        (lambda p: p.mean(dim=1) / 0, "finite numbers: .* returned NaN or infinity"),
        (lambda p: p.mean(dim=1) * float("nan"), "returned NaN or infinity; check its weights"),
        (
            lambda p: p.mean(dim=1) - p.mean(dim=(0, 1)),
            "must not depend on the rest of the batch.*changed when the image ran alone",
        ),
        (lambda p: p.mean(dim=1) + torch.rand(1), "or on chance"),
    ],
)
def test_what_gives_no_vector_for_each_image_is_refused(function, said) -> None:
    with pytest.raises(OptionError, match=said):
        with_addon(Forward(function))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x.mean(1).long(), "real numbers: .* gave int64; return out.float()"),
        (lambda x: x.mean(1) > 0, "gave bool"),
        (lambda x: torch.fft.fft(x, dim=1)[:, 0], "gave complex64; .*view_as_real"),
        (lambda x: x.mean(1).to_sparse(), "return out.to_dense()"),
    ],
)
def test_what_gives_no_real_numbers_is_refused(function, said) -> None:
    with pytest.raises(OptionError, match=said):
        with_addon(Forward(function))


@pytest.mark.parametrize("what", ["pool", 3, nn.Linear, None])
def test_what_is_no_module_is_no_addon(what) -> None:
    with pytest.raises(OptionError, match=r"an add-on must be a torch\.nn\.Module: got .*MyModule\(512\)"):
        mv.Addon(what)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_module_of_another_dtype_runs_in_float32_and_yours_keeps_its_own(pool, tokens, dtype) -> None:
    other = copy.deepcopy(pool).to(dtype)
    enhanced = with_addon(other).enhance(tokens)
    assert enhanced.cls.dtype == torch.float32
    assert {weight.dtype for weight in other.parameters()} == {dtype}
    torch.testing.assert_close(enhanced.cls, with_addon(pool).enhance(tokens).cls, rtol=0.05, atol=0.05)


def test_a_module_without_values_is_refused() -> None:
    with torch.device("meta"):
        module = Pool()
    with pytest.raises(
        OptionError, match=r"needs weights with values: .* is on torch's meta device; load its weights first"
    ):
        with_addon(module)


def test_a_module_that_cannot_be_copied_is_refused(pool) -> None:
    bound = copy.deepcopy(pool)
    bound.file = (number for number in range(3))
    with pytest.raises(OptionError, match=r"Pool cannot be copied \(TypeError.*a function that builds it"):
        with_addon(bound)


class InPlace(nn.Module):
    """Changes what it is given, and is not idempotent."""

    def forward(self, patches: torch.Tensor, cls: torch.Tensor) -> torch.Tensor:
        cls -= 1
        patches += 1
        return nn.functional.relu_(patches).mean(dim=1) + cls

    def activations(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mul_(2)


def test_what_a_module_changes_in_place_is_a_copy_of_the_tokens(tokens) -> None:
    before = tokens.cls.clone(), tokens.patches.clone()
    model = with_addon(InPlace())
    enhanced = model.enhance(tokens)
    model.addon.activations(tokens.patches)
    assert torch.equal(tokens.cls, before[0])
    assert torch.equal(tokens.patches, before[1])
    expected = before[0] + (before[1] + 1).relu().mean(dim=1) + before[0] - 1
    torch.testing.assert_close(enhanced.cls, expected)
    assert torch.equal(enhanced.patches, before[1])


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
def test_a_module_of_torchscript_is_refused(pool) -> None:
    for compiled in (torch.jit.script(pool), torch.jit.trace(pool, torch.zeros(2, N_TOKENS, DIM))):
        with pytest.raises(OptionError, match=r"got a torch\.jit\..*; pass the eager module"):
            with_addon(compiled)


class Third(nn.Module):
    """Asks for a third argument."""

    def forward(self, patches: torch.Tensor, cls: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return patches.mean(dim=1) + cls + mask


class Keyword(nn.Module):
    """Asks for an argument by name."""

    def forward(self, patches: torch.Tensor, *, mask: torch.Tensor) -> torch.Tensor:
        return patches.mean(dim=1) + mask


@pytest.mark.parametrize(("kind", "names"), [(Third, "patches, cls, mask"), (Keyword, "patches, mask")])
def test_a_module_that_asks_for_more_is_refused(kind, names) -> None:
    with pytest.raises(OptionError, match=rf"got {kind.__name__}\.forward\({names}\); .* a default"):
        mv.Addon(kind())


@pytest.mark.parametrize(
    "around", [nn.DataParallel, torch.compile, lambda m: nn.DataParallel(torch.compile(m))]
)
def test_what_runs_a_module_faster_is_taken_off(tokens, around) -> None:
    module = AskedByCls()
    addon = mv.Addon(around(module))
    assert addon.reads_cls
    assert addon.module is module
    model = with_addon(around(module))
    torch.testing.assert_close(model.enhance(tokens).cls, with_addon(module).enhance(tokens).cls)
    assert model.addon.state_dict().keys() == addon.state_dict().keys()
    assert with_addon(nn.DataParallel(addon)).addon.words == addon.words


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_a_module_made_just_now_needs_no_copy(tmp_path, tokens) -> None:
    def made() -> nn.Module:
        module = Pool()
        module.out = nn.utils.weight_norm(module.out)
        return module

    model = with_addon(made)
    copy.deepcopy(model.addon)
    assert model.enhance(tokens).cls.shape == (3, DIM)
    given = made()
    mv.save_addon(given, tmp_path / "own.pth")
    for refused in (lambda: with_addon(given), lambda: mv.load_addon(tmp_path / "own.pth", into=given)):
        with pytest.raises(
            OptionError, match=r"Pool cannot be copied .* after a run under torch.no_grad\(\)"
        ):
            refused()
    with torch.no_grad():
        expected = given(tokens.patches)
    filled = mv.load_addon(tmp_path / "own.pth", into=given)
    torch.testing.assert_close(with_addon(filled).enhance(tokens).cls, tokens.cls + expected)


def test_a_lazy_module_is_sized_by_the_tokens_and_filled_once_it_has_run(tmp_path, pool, tokens) -> None:
    def lazy() -> Pool:
        module = Pool()
        module.out = nn.LazyLinear(DIM)
        return module

    assert with_addon(lazy()).addon.module.out.weight.shape == (DIM, DIM)
    mv.save_addon(pool, tmp_path / "own.pth")
    into = lazy()
    with pytest.raises(
        OptionError, match=r"out\.weight of Pool is still lazy; run the module once on tokens"
    ):
        mv.load_addon(tmp_path / "own.pth", into=into)
    into(torch.zeros(1, N_TOKENS, DIM))
    filled = mv.load_addon(tmp_path / "own.pth", into=into)
    torch.testing.assert_close(with_addon(filled).enhance(tokens).cls, with_addon(pool).enhance(tokens).cls)


def test_a_module_without_parameters_is_an_addon_too(tokens) -> None:
    model = with_addon(Mean())
    torch.testing.assert_close(model.enhance(tokens).cls, tokens.cls + tokens.patches.mean(dim=1))
    assert "0 parameters, added to the CLS" in model.provenance


def test_the_users_module_stays_as_it_is(pool, tokens) -> None:
    own = copy.deepcopy(pool).train()
    before = copy.deepcopy(own.state_dict())
    model = with_addon(own)
    model.enhance(tokens)
    assert own.training
    assert all(weight.requires_grad for weight in own.parameters())
    assert all(torch.equal(value, before[key]) for key, value in own.state_dict().items())
    with torch.no_grad():
        own.out.bias.add_(1)
    assert not torch.equal(model.addon.module.out.bias, own.out.bias)
    assert set(own.state_dict()) == {key.removeprefix("module.") for key in model.addon.state_dict()}


def test_provenance_shows_class_file_parameters_and_how_it_is_used(pool, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    assert "test_own_addon.Pool (test_own_addon.py), " in with_addon(pool).provenance
    monkeypatch.chdir(tmp_path)
    words = with_addon(pool).provenance_items["add-on"]
    n_weights = DIM + 1 + DIM * DIM + DIM
    assert f"test_own_addon.Pool ({__file__}), {n_weights} parameters as passed, added to the CLS" in words
    behind = with_addon(mv.Addon(Pool(width=7), combine="concatenate")).provenance
    assert "7 numbers appended to the CLS" in behind


@pytest.mark.parametrize("size", [64, (96, 32)])
@pytest.mark.parametrize("kind", ["plain", "host"])
def test_towers_from_files_take_it(kind, size, openai_file: Path, host_state, saved) -> None:
    file = openai_file if kind == "plain" else saved(host_state)
    module = Pool(24)
    model = mv.load_model(file, addon=module, image_size=size, device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (96, 32, 3), dtype=np.uint8)
    given = model.encode(image, progress=False)
    torch.testing.assert_close(model.enhance(given).cls, given.cls + module(given.patches).detach())
    assert "Pool" in model.provenance_items["add-on"]
    made = mv.load_model(file, addon=lambda: module, image_size=size, device="cpu")
    torch.testing.assert_close(made.enhance(given).cls, model.enhance(given).cls)


def test_an_addon_of_the_package_of_another_width_is_refused(openai_file: Path) -> None:
    with pytest.raises(WeightsError, match="the add-on reads 8, the tower gives 24"):
        mv.load_model(openai_file, addon=mv.CLIPMultiScaleFeatureExtractor(8, (2,)), device="cpu")


CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, dim=10):
        super().__init__()
        self.out = nn.Linear(dim, dim)

    def forward(self, patches):
        return self.out(patches.mean(dim=1))

class Sized(Net):
    def __init__(self, dim):
        super().__init__(dim)

def made():
    return Net(10)

ready = Net(10)
number = 3

def words():
    return "a text"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> str:
    """A package of the user's, importable."""
    folder = tmp_path / "ownpackage"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "nets.py").write_text(CODE)
    (folder / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "ownpackage"]:
        monkeypatch.delitem(sys.modules, name)
    return "ownpackage"


@pytest.mark.parametrize("name", ["Net", "made", "ready"])
def test_a_class_a_function_and_an_object_are_imported(package, tokens, name) -> None:
    model = with_addon(f"{package}.nets:{name}")
    module = model.addon.module
    torch.testing.assert_close(
        model.enhance(tokens).cls, tokens.cls + module.out(tokens.patches.mean(dim=1)).detach()
    )
    assert "ownpackage.nets.Net" in model.provenance


def test_an_imported_object_stays_as_it_is(package) -> None:
    name = f"{package}.nets:ready"
    with_addon(name)
    assert made_addon(name) is made_addon(name)
    assert all(weight.requires_grad for weight in made_addon(name).parameters())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nosuchpackage.nets:Net", "ModuleNotFoundError: No module named 'nosuchpackage'"),
        ("ownpackage.nosuch:Net", "ModuleNotFoundError"),
        ("ownpackage.nets:Nosuch", "AttributeError: module 'ownpackage.nets' has no attribute 'Nosuch'"),
        ("ownpackage.nets:Sized", "TypeError: .*missing 1 required positional argument: 'dim'"),
        ("ownpackage.nets:number", "TypeError: 'int' object is not callable"),
        ("ownpackage.nets:words", "returned a str, not a torch.nn.Module"),
        ("ownpackage.broken:Net", "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_imported_or_made_is_refused_with_the_way_out(package, name, said) -> None:
    with pytest.raises(OptionError, match=f"{said}.*pass the module itself") as problem:
        made_addon(name)
    assert repr(name) in str(problem.value)


def test_a_file_name_in_place_of_a_modules_says_how_code_is_named(package) -> None:
    with pytest.raises(OptionError, match=r"""drop "\.py": 'nets:Net', or pass the module itself"""):
        made_addon("nets.py:Net")
    for name in ("ownpackage.Net", "ownpackage/nets.py:Net"):
        with pytest.raises(WeightsNotFoundError, match=r'write "package\.module:Name", with a colon'):
            mv.load_model(addon=name, device="cpu")


@pytest.mark.parametrize(
    "path",
    [r"C:\weights\addon.pth", r"C:\x", "C:/x.pth", "addon.pth", "a:b:c", "package.module:", ":Name", "my-code:Name", "a:1"],
)  # fmt: skip
def test_a_path_stays_a_path(path) -> None:
    assert not is_import(path)


def test_a_file_of_such_a_name_is_read_as_a_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_import("pkg.nets:Net")
    Path("pkg.nets:Net").write_text("")
    assert not is_import("pkg.nets:Net")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_file_holds_the_modules_own_keys_and_fills_a_copy(tmp_path, pool, tokens, ending) -> None:
    path, fresh = tmp_path / f"own.{ending}", Pool()
    mv.save_addon(with_addon(pool).addon, path)
    assert mv.read_state_dict(path).keys() == pool.state_dict().keys()
    before = copy.deepcopy(fresh.state_dict())
    addon = mv.load_addon(path, into=fresh)
    assert all(torch.equal(value, before[key]) for key, value in fresh.state_dict().items())
    torch.testing.assert_close(with_addon(addon).enhance(tokens).cls, with_addon(pool).enhance(tokens).cls)
    assert f"parameters from own.{ending}, added" in with_addon(addon).provenance
    plain = Pool()
    plain.load_state_dict(mv.read_state_dict(path))
    assert all(torch.equal(value, pool.state_dict()[key]) for key, value in plain.state_dict().items())


class Counted(nn.Module):
    """Whole numbers, tied weights, and a name that wrapping modules have too."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(DIM, DIM)
        self.again = self.module
        self.norm = nn.BatchNorm1d(DIM)
        self.register_buffer("mask", torch.tensor([True] * N_TOKENS))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.norm(self.again(patches[:, self.mask].mean(dim=1)))


@pytest.mark.parametrize("dtype", [None, torch.float16])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_counters_masks_tied_weights_and_names_of_wrappers_come_back(tmp_path, ending, dtype) -> None:
    module, path = Counted(), tmp_path / f"own.{ending}"
    with torch.no_grad():
        module.norm.num_batches_tracked.fill_(70_001)
        module.mask[2] = False
    mv.save_addon(module, path, dtype=dtype)
    state = mv.load_addon(path, into=Counted()).module.state_dict()
    for key, value in module.state_dict().items():
        assert state[key].dtype == value.dtype
        torch.testing.assert_close(state[key], value, rtol=1e-3, atol=1e-3)


def test_wrapper_and_windows_of_the_module_that_is_filled_are_kept(tmp_path) -> None:
    mv.save_addon(Pool(width=7), tmp_path / "own.pth")
    into = mv.Addon(Pool(width=7), combine="concatenate", windows=(3,))
    addon = mv.load_addon(tmp_path / "own.pth", into=into)
    assert (addon.combine, addon.geometries) == ("concatenate", (3,))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("out.bias"), "missing out.bias"),
        (lambda state: state.update(extra=torch.zeros(2)), "unexpected extra"),
        (lambda state: state.update({"out.bias": torch.zeros(3)}), r"out\.bias is \(3,\), not \(10,\)"),
        (lambda state: state.update({"out.bias": torch.zeros(10, dtype=torch.int64)}), "int64 values"),
        (lambda state: state["out.bias"].fill_(float("nan")), "out.bias holds NaN"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_is_filled(tmp_path, pool, change, said) -> None:
    state = {key: value.clone() for key, value in pool.state_dict().items()}
    change(state)
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(WeightsError, match=f"must fit the module it is read into, Pool: .*{said}"):
        mv.load_addon(tmp_path / "own.pth", into=Pool())


def test_a_mask_of_another_kind_is_refused(tmp_path) -> None:
    state = Counted().state_dict() | {"mask": torch.ones(N_TOKENS)}
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(WeightsError, match="mask holds float32 values, not whole numbers"):
        mv.load_addon(tmp_path / "own.pth", into=Counted())


def test_no_code_of_a_file_runs(tmp_path, pool) -> None:
    torch.save(pool, tmp_path / "module.pth")
    with pytest.raises(WeightsError):
        mv.load_addon(tmp_path / "module.pth", into=Pool())


def test_a_file_of_a_users_module_alone_says_how_it_is_read(tmp_path, pool) -> None:
    mv.save_addon(pool, tmp_path / "own.pth")
    with pytest.raises(WeightsError, match=r"load_addon\(path, into=module\)"):
        mv.load_addon(tmp_path / "own.pth")


def test_what_no_file_of_tensors_holds_is_not_written(tmp_path) -> None:
    with pytest.raises(OptionError, match="its state dict is empty in Mean"):
        mv.save_addon(Mean(), tmp_path / "own.pth")
    module = Pool()
    module.get_extra_state = lambda: {"a": 1}
    type(module).get_extra_state, kept = lambda self: {"a": 1}, nn.Module.get_extra_state
    try:
        with pytest.raises(OptionError, match="_extra_state is a dict in Pool"):
            mv.save_addon(module, tmp_path / "own.pth")
    finally:
        type(module).get_extra_state = kept
    with pytest.raises(OptionError, match="windows of scheme 1 have keys in the host"):
        mv.save_addon(Pool(), tmp_path / "own.pth", layout="host")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("into", ["Pool", Pool, 3])
def test_what_is_no_module_is_not_filled(tmp_path, pool, into) -> None:
    mv.save_addon(pool, tmp_path / "own.pth")
    with pytest.raises(OptionError, match=r"into= must be the module to fill"):
        mv.load_addon(tmp_path / "own.pth", into=into)
    with pytest.raises(OptionError, match=r"temperature= is of a mixture's gate: got 2 with into="):
        mv.load_addon(tmp_path / "own.pth", into=Pool(), temperature=2)


def test_an_untrained_copy_is_drawn_as_a_fresh_one_is(pool) -> None:
    model = with_addon(pool)
    drawn = with_untrained_addon(model, seed=4)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        fresh = Pool()
    for key, value in fresh.state_dict().items():
        torch.testing.assert_close(drawn.addon.module.state_dict()[key], value)
        assert not torch.equal(model.addon.module.state_dict()[key], value)


def test_a_parameter_that_nothing_draws_is_not_called_untrained() -> None:
    with pytest.raises(
        OptionError, match=r"reset_parameters\(\): module\.gain of .*Raw .*would keep trained values"
    ):
        with_untrained_addon(with_addon(Raw()))
    with pytest.raises(OptionError, match="no window means"):
        with_untrained_addon(with_addon(Pool()), "mean")


class Drawn(Raw):
    """Raw, and what draws it; its layer starts from zero, whatever the layer's own way is."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(DIM, DIM)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.gain)
        nn.init.zeros_(self.out.weight)


def test_a_module_draws_its_own_after_its_layers() -> None:
    trained = Drawn()
    with torch.no_grad():
        for weight in trained.parameters():
            weight.add_(5)
    drawn = with_untrained_addon(with_addon(trained)).addon.module
    assert (drawn.out.weight == 0).all()
    assert (drawn.gain < 5).all()
    assert (drawn.out.bias.abs() <= 1 / math.sqrt(DIM)).all()
