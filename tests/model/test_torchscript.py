"""TorchScript archives give the state dict that torch.jit.load gives, and nothing in them runs."""

import ast
import copy
import io
import warnings
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple  # noqa: UP035 - TorchScript reads these

import numpy as np
import pytest
import torch
from support.archive_writing import archive, members, module, pickled, tensor
from support.host_files import WINDOWS_ON, other_heads, tower_state, window_state, yml
from torch import nn

import mswin_viz
import mswin_viz as mv
from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.weight_files import read_state_dict, read_weights

pytestmark = pytest.mark.filterwarnings(
    "ignore"
)  # scripting and tracing warn of being deprecated, and of much else

# ---- the same state dict ---------------------------------------------------------------------


class Pair(NamedTuple):
    first: torch.Tensor
    second: int


class Attributes(nn.Module):
    """Every kind of attribute that a script module may have."""

    pair: Pair
    maybe: Optional[torch.Tensor]  # noqa: UP045
    texts: List[List[Tuple[int, str]]]  # noqa: UP006
    by_name: Dict[str, torch.Tensor]  # noqa: UP006

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("not_kept", torch.rand(2), persistent=False)
        self.register_buffer("maybe", torch.ones(2))
        self.register_buffer("absent", None)
        self.register_parameter("nothing", None)
        self.constant, self.pair = torch.ones(4), Pair(torch.ones(2), 1)
        self.texts, self.by_name = [[(1, "a")]], {"a": torch.ones(2)}
        self.huge, self.below, self.fraction, self.infinite = 2**40, -3, 0.5, float("inf")
        self.several, self.device = [torch.ones(1)], torch.device("cpu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        more = self.constant.sum() + self.pair.second + self.by_name["a"].sum() + self.huge + self.below
        return x + self.weight + more + self.fraction + self.infinite + self.several[0] + len(self.texts)


class Layouts(nn.Module):
    """Tensors of every number format and layout; tied, expanded, transposed and empty ones."""

    def __init__(self) -> None:
        super().__init__()
        self.transposed = nn.Parameter(torch.randn(3, 5).t())
        self.part = nn.Parameter(torch.arange(10.0)[3:7:2])
        self.expanded = nn.Parameter(torch.ones(1).expand(4))
        self.empty = nn.Parameter(torch.zeros(0, 3))
        self.scalar = nn.Parameter(torch.tensor(3.0))
        self.tied = self.transposed
        for name in ("ü", "a b", "3", "a'b", "{"):
            self.register_parameter(name, nn.Parameter(torch.rand(2)))
        for kind in (
            "float64",
            "float16",
            "bfloat16",
            "int64",
            "int8",
            "uint8",
            "uint16",
            "bool",
            "complex64",
        ):
            self.register_buffer(f"of_{kind}", torch.tensor([[0, 1, 2], [3, 0, 5]]).to(getattr(torch, kind)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.transposed.sum()


class Nested(nn.Module):
    """Modules in lists, dicts and sequences, one of them twice, one with a name that is no identifier."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Linear(3, 3)
        self.several = nn.ModuleList([shared, shared, nn.LayerNorm(3)])
        self.named = nn.ModuleDict({"a-b": nn.Linear(3, 3), "lambda": nn.Linear(3, 3)})
        self.body = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Dropout()))
        self.halves = nn.Linear(3, 3).half()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for each in self.several:
            x = each(x)
        for each in self.named.values():
            x = each(x)
        return self.body(x)


class Step(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pass


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TorchScript is deprecated, and the format all the same
    torch.jit.interface(Step)


class Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


class ThroughAnInterface(nn.Module):
    step: Step

    def __init__(self) -> None:
        super().__init__()
        self.step = Doubling()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.step.forward(x)


MODULES = {
    "linear": lambda: nn.Linear(2, 3),
    "convolution": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
    "lstm": lambda: nn.LSTM(3, 4, 2, bidirectional=True),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "transformer": lambda: nn.Transformer(8, 2, 1, 1, 16),
    "attributes": Attributes,
    "layouts": Layouts,
    "nested": Nested,
    "interface": ThroughAnInterface,
}


def assert_as_jit_reads_it(path: Path) -> None:
    wanted, found = torch.jit.load(path).state_dict(), read_state_dict(path)
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        assert found[key].dtype == value.dtype, key
        assert (found[key].shape, found[key].stride()) == (value.shape, value.stride()), key
        assert bits(found[key]) == bits(value), key
        sharing = [other for other in wanted if wanted[other].data_ptr() == value.data_ptr()]
        assert [other for other in found if found[other].data_ptr() == found[key].data_ptr()] == sharing, key


def bits(value: torch.Tensor) -> bytes:
    return value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""


@pytest.mark.parametrize("name", MODULES)
def test_a_scripted_module_has_the_state_dict_that_jit_reads(tmp_path, name):
    torch.manual_seed(1)
    torch.jit.script(MODULES[name]().eval()).save(str(tmp_path / "module.pt"))
    assert_as_jit_reads_it(tmp_path / "module.pt")


@pytest.mark.parametrize("name", ["linear", "nested", "attributes"])
def test_a_traced_module_has_the_state_dict_that_jit_reads(tmp_path, name):
    torch.manual_seed(2)
    inputs = torch.rand(2, 2 if name == "linear" else 3)
    torch.jit.trace(MODULES[name]().eval(), inputs).save(str(tmp_path / "module.pt"))
    assert_as_jit_reads_it(tmp_path / "module.pt")


@pytest.mark.parametrize("seed", range(8))
def test_random_trees_of_modules_have_the_state_dict_that_jit_reads(tmp_path, seed):
    def tree(depth: int) -> nn.Module:
        leaves = (nn.Linear(3, 3), nn.LayerNorm(3), nn.BatchNorm1d(3), nn.Linear(3, 3, bias=False), nn.ReLU())
        n = int(torch.randint(1, 4, ()))
        parts = [leaves[int(torch.randint(5, ()))] if depth == 0 else tree(depth - 1) for _ in range(n)]
        return nn.Sequential(*parts, *parts[:1])

    torch.manual_seed(seed)
    torch.jit.script(tree(seed % 3)).save(str(tmp_path / "module.pt"))
    assert_as_jit_reads_it(tmp_path / "module.pt")


def rewritten(path: Path, change) -> None:
    """The archive again, its members (name -> bytes) changed."""
    with zipfile.ZipFile(path) as held:
        content = {info.filename: held.read(info) for info in held.infolist()}
    path.write_bytes(archive(change(content)))


CHANGES = {
    "in a folder named archive": lambda held: {"archive/" + n.partition("/")[2]: v for n, v in held.items()},
    "in no folder": lambda held: {n.partition("/")[2]: v for n, v in held.items()},
    "without a version": lambda held: {n: v for n, v in held.items() if not n.endswith("version")},
    "without an order of bytes": lambda held: {n: v for n, v in held.items() if not n.endswith("byteorder")},
    "without debugging members": lambda held: {n: v for n, v in held.items() if not n.endswith("debug_pkl")},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_archives_of_other_versions_of_torch_are_read(tmp_path, change):
    path = tmp_path / "module.pt"
    torch.jit.script(Nested()).save(str(path))
    wanted = torch.jit.load(path).state_dict()
    rewritten(path, CHANGES[change])
    found = read_state_dict(path)
    assert list(found) == list(wanted)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_an_archive_that_was_compressed_again_is_read(tmp_path):
    path = tmp_path / "module.pt"
    path.write_bytes(archive(members(), compression=zipfile.ZIP_DEFLATED))
    assert torch.equal(read_state_dict(path)["w"], torch.arange(6.0).reshape(2, 3))


def test_a_class_without_a_list_of_buffers_is_read_as_jit_reads_it(tmp_path):
    path = tmp_path / "module.pt"
    torch.jit.script(nn.BatchNorm1d(3)).save(str(path))

    def without_buffers(held):
        lines = {n: v.splitlines(keepends=True) for n, v in held.items() if n.endswith(".py")}
        return held | {n: b"".join(li for li in v if b"__buffers__" not in li) for n, v in lines.items()}

    rewritten(path, without_buffers)
    assert list(read_state_dict(path)) == list(torch.jit.load(path).state_dict()) == ["weight", "bias"]


# ---- the layouts of OpenAI and open_clip, through everything that loads weights --------------------


def openai_archive(clip: nn.Module, path: Path) -> Path:
    """As OpenAI publishes it: float16, cast where it is used, numbers as buffers beside the weights."""

    class Published(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, part in copy.deepcopy(clip).named_children():
                setattr(self, name, part.half())
            for name, part in clip.named_parameters(recurse=False):
                setattr(self, name, nn.Parameter(part.detach().half()))
            for name, value in (("input_resolution", 64), ("context_length", 16), ("vocab_size", 49408)):
                self.register_buffer(name, torch.tensor(value))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.visual(image.half()).float() * self.logit_scale.exp() + self.input_resolution

    torch.jit.trace(Published().eval(), torch.zeros(1, 3, 64, 64)).save(str(path))
    return path


def test_an_archive_as_openai_publishes_them_is_read_bit_by_bit(clip, tmp_path):
    path = openai_archive(clip, tmp_path / "ViT.pt")
    wanted, found = torch.jit.load(path).state_dict(), read_state_dict(path)
    assert {"visual.proj", "text_projection", "logit_scale", "input_resolution"} <= set(found)
    assert found["visual.proj"].dtype == torch.float16
    assert list(found) == list(wanted)
    assert all(bits(found[key]) == bits(value) for key, value in wanted.items())


def test_an_archive_as_openai_publishes_them_loads_as_its_state_dict_does(clip, tmp_path, people):
    path = openai_archive(clip, tmp_path / "ViT.pt")
    torch.save(torch.jit.load(path).state_dict(), tmp_path / "state.pt")
    features = [
        mv.load_model(each, device="cpu").encode(people).cls for each in (path, tmp_path / "state.pt")
    ]
    assert (features[0] == features[1]).all()


def test_a_scripted_model_of_open_clip_is_read_bit_by_bit(clip, tmp_path):
    path = tmp_path / "open_clip.pt"
    scripted = torch.jit.trace(clip.visual, torch.zeros(1, 3, 64, 64))
    scripted.save(str(path))
    assert_as_jit_reads_it(path)


class Holder(nn.Module):
    """Tensors under dotted names, each in the module that its name says."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        inner: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            first, _, rest = key.partition(".")
            if rest:
                inner.setdefault(first, {})[rest] = value
            elif value.is_floating_point():
                self.register_parameter(first, nn.Parameter(value.clone()))
            else:
                self.register_buffer(first, value.clone())
        for name, part in inner.items():
            self.add_module(name, Holder(part))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def held_in_archive(state: dict[str, torch.Tensor], path: Path) -> Path:
    torch.jit.script(Holder(state)).save(str(path))
    assert set(torch.jit.load(path).state_dict()) == set(state)
    return path


@pytest.fixture
def addon_archive(tmp_path) -> Path:
    torch.manual_seed(3)
    addon = mv.CLIPMultiScaleFeatureExtractor(feat_dim=24, scales=(2, 4))
    return held_in_archive(addon.state_dict(), tmp_path / "addon.pt")


def test_an_addon_in_an_archive_is_read(addon_archive):
    wanted = torch.jit.load(addon_archive).state_dict()
    found = mv.load_addon(addon_archive).state_dict()
    assert all(torch.equal(found[key], value) for key, value in wanted.items())


def test_an_addon_in_an_archive_is_taken_by_a_model(clip, addon_archive, tmp_path):
    torch.save(clip.state_dict(), tmp_path / "clip.pth")
    model = mv.load_model(tmp_path / "clip.pth", addon=addon_archive, device="cpu")
    wanted = torch.jit.load(addon_archive).state_dict()
    assert all(torch.equal(model.addon.state_dict()[key], value) for key, value in wanted.items())


def test_a_host_checkpoint_in_an_archive_loads_as_its_state_dict_does(tmp_path):
    state = tower_state(width=64, depth=1, dim=8) | other_heads(8) | window_state(8, (2, 4))
    torch.save(state, tmp_path / "host.pth")
    held_in_archive(state, tmp_path / "host.pt")
    models = [
        mv.load_host_model(yml(tmp_path, more=WINDOWS_ON), tmp_path / name, device="cpu")
        for name in ("host.pt", "host.pth")
    ]
    used = [set(model.load_report.used) for model in models]
    assert used[0] == used[1]
    picture = np.random.default_rng(2).integers(0, 256, (256, 128, 3), dtype=np.uint8)
    assert torch.equal(*(model.encode([picture], camera="mean", modality="NI").cls for model in models))


# ---- what is refused, and as what -----------------------------------------------------------


def saved(save) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


def exported(stream) -> None:
    torch.export.save(torch.export.export(nn.Linear(2, 3), (torch.ones(1, 2),)), stream)


def packaged(stream) -> None:
    with torch.package.PackageExporter(stream) as package:
        package.extern("**")
        package.save_pickle("model", "model.pkl", nn.Linear(2, 3))


def quantised(stream) -> None:
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 3)), {nn.Linear})
    torch.jit.save(torch.jit.script(model), stream)


def frozen(stream) -> None:
    torch.jit.save(torch.jit.freeze(torch.jit.script(nn.Linear(2, 3).eval())), stream)


def of_a_function(stream) -> None:
    constant = torch.rand(3)
    torch.jit.save(torch.jit.trace(lambda x: x + constant, torch.ones(3)), stream)


def mobile(stream) -> None:
    stream.write(torch.jit.script(nn.Linear(2, 3))._save_to_buffer_for_lite_interpreter())


OTHERS = {
    "holds its tensors as constants without names, as torch.jit.freeze": frozen,
    "as torch.jit.freeze and tracing a function leave them": of_a_function,
    "is made for mobile devices (the lite interpreter)": mobile,
    "is a TorchScript module for mobile devices (.ptl)": lambda s: s.write(
        b"\x1c\x00\x00\x00PTMF" + bytes(99)
    ),
    "is an exported program (torch.export, .pt2)": exported,
    "is a package of code (torch.package)": packaged,
    "as quantised modules do": quantised,
    "is a TorchScript archive of an early torch (model.json)": lambda s: s.write(
        archive({"a/model.json": b"{}", "a/tensors/0": bytes(8), "a/code/m.py": b"", "a/version": b"1"})
    ),
}


@pytest.mark.parametrize("words", OTHERS)
def test_an_archive_of_another_kind_is_named_with_what_to_do(tmp_path, words):
    (tmp_path / "m.pt").write_bytes(saved(OTHERS[words]))
    with pytest.raises(WeightsError) as refusal:
        read_weights(tmp_path / "m.pt")
    assert words in str(refusal.value)
    assert "torch.save(" in str(refusal.value)


class Lazily(nn.Module):
    """A buffer whose bytes are not its values."""

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("lazy", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize("value", [torch.tensor([1 + 2j]).conj(), torch.tensor([1 + 2j]).conj().imag])
def test_a_lazily_conjugate_or_negated_tensor_is_refused_by_its_key(tmp_path, value, trace):
    module = Lazily(value)
    scripted = torch.jit.trace(module, torch.ones(2)) if trace else torch.jit.script(module)
    scripted.save(str(tmp_path / "m.pt"))
    with pytest.raises(WeightsError, match="a lazy that is conjugate or negated lazily"):
        read_weights(tmp_path / "m.pt")


# ---- nothing runs -------------------------------------------------------------------------------


class Writes(nn.Module):
    """Writes a file when it is restored."""

    def __init__(self, canary: str) -> None:
        super().__init__()
        self.weight, self.canary = nn.Parameter(torch.ones(2)), canary

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, str, bool]:  # noqa: UP006
        return (self.weight, self.canary, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, str, bool]) -> None:  # noqa: UP006
        torch.save(state[0], state[1])
        self.weight, self.canary, self.training = state[0], state[1], state[2]


class NeverEnds(nn.Module):
    """Is restored for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:  # noqa: UP006
        return (self.weight, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]) -> None:  # noqa: UP006
        n = 0
        while n < 1:
            n = n * 2
        self.weight, self.training = state[0], state[1]


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.outer = inner, nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer(self.inner(x))


def test_jit_itself_runs_what_restores_a_module(tmp_path):
    torch.jit.script(Writes(str(tmp_path / "canary"))).save(str(tmp_path / "m.pt"))
    torch.jit.load(tmp_path / "m.pt")
    assert (tmp_path / "canary").exists(), "the tests below would prove nothing"


def every_way_to_load(path: Path, folder: Path):
    return {
        "load_model": lambda: mv.load_model(path, device="cpu"),
        "load_addon": lambda: mv.load_addon(path),
        "addon=": lambda: mv.load_model(device="cpu", addon=path),
        "load_host_model": lambda: mv.load_host_model(yml(folder), path, device="cpu"),
    }


@pytest.mark.parametrize("way", ["load_model", "load_addon", "addon=", "load_host_model"])
@pytest.mark.parametrize("is_inner", [False, True])
@pytest.mark.parametrize("ends", [True, False])
def test_what_restores_a_module_never_runs(tmp_path, way, is_inner, ends):
    inner = Writes(str(tmp_path / "canary")) if ends else NeverEnds()
    torch.jit.script(Around(inner) if is_inner else inner).save(str(tmp_path / "m.pt"))
    with pytest.raises(WeightsError, match="which only its own code can restore"):
        every_way_to_load(tmp_path / "m.pt", tmp_path)[way]()
    assert not (tmp_path / "canary").exists()


def test_the_package_does_not_use_torch_jit():
    for path in sorted(Path(mswin_viz.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            )
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            is_attribute = isinstance(node, ast.Attribute) and node.attr in ("jit", "_jit_internal")
            assert not is_attribute, f"{path} line {node.lineno}"
            assert not any("jit" in name.split(".") for name in names), f"{path} line {node.lineno}"


def test_the_order_of_keys_is_parameters_then_buffers_then_modules(tmp_path):
    attributes = {"inner": module({"w": tensor()}), "b": tensor(), "w": tensor(), "other": tensor()}
    (tmp_path / "m.pt").write_bytes(archive(members(pickled(module(attributes)))))
    assert list(read_state_dict(tmp_path / "m.pt")) == ["w", "b", "inner.w"]


def test_reading_warns_of_nothing(tmp_path):
    (tmp_path / "m.pt").write_bytes(archive(members()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_weights(tmp_path / "m.pt")
