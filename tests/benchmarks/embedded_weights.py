"""Stores the embedded model's add-on in smaller forms and measures what each one changes; prints the tables of docs/measurements/weights.md.

Nothing is written. A form is what would be stored, and the float32 weights that would be read back from it. Each is put
in the add-on's place and compared with what ships: enhanced features and exact shares of the shipped samples, and the
retrieval of `mswin-viz evaluate` on people drawn for the run. Minutes on a CPU.

Run: python tests/benchmarks/embedded_weights.py [identities] [world]
"""

from __future__ import annotations

import copy
import dataclasses
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save

import mswin_viz as mv
from mswin_viz.analysis.experiments.evaluation import SHOTS
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.storage.worker_processes import cores
from mswin_viz.data.synthetic.crowd import picture_batches
from mswin_viz.model.training.shuffled_weights import shuffled

PROMPT = "a person wearing a red top"
SPLITS = ("standard", "look_alikes")
COLUMNS = (*MODALITIES, "three together")
State = Mapping[str, torch.Tensor]
"""Weights by name; stored ones keep their type, those read back are float32."""


@dataclass(frozen=True)
class Form:
    """One way of storing the add-on: what lies in the file, and what is read back from it."""

    stored: State
    back: State

    def file(self) -> bytes:
        """What the file would hold."""
        return save({name: value.contiguous() for name, value in self.stored.items()})

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.file())

    @property
    def packed(self) -> int:
        """Bytes in the wheel, which deflates."""
        return len(zlib.compress(self.file(), 6))


def as_type(state: State, kind: torch.dtype) -> Form:
    """Every tensor in another type of number."""
    stored = {name: value.to(kind) for name, value in state.items()}
    return Form(stored, {name: value.float() for name, value in stored.items()})


def whole_numbers(state: State, bits: int, group: int = 0) -> Form:
    """Whole numbers with a float16 step for each output channel, or for each `group` weights of one; biases stay.

    Four bits are stored two to a byte.
    """
    stored, back = {}, {}
    for name, value in state.items():
        if value.ndim == 1:
            stored[name] = value.half()
            back[name] = stored[name].float()
            continue
        rows = value.reshape(-1, group) if group else value.flatten(1)
        most = 2 ** (bits - 1) - 1
        step = (rows.abs().amax(dim=1, keepdim=True) / most).half().clamp_min(1e-7)
        whole = (rows / step.float()).round().clamp(-most, most)
        packed = whole.to(torch.int8).reshape(-1)
        if bits == 4:
            packed = (packed[::2] & 15) | (packed[1::2] << 4)
        stored[f"{name}.steps"], stored[name] = step, packed
        back[name] = (whole * step.float()).reshape(value.shape)
    return Form(stored, back)


def of_rank(state: State, rank: int) -> Form:
    """Every matrix (a kernel as output channels x the rest) as a product of two, by its singular values; float16."""
    stored, back = {}, {}
    for name, value in state.items():
        if value.ndim == 1:
            stored[name] = value.half()
            back[name] = stored[name].float()
            continue
        u, s, v = torch.linalg.svd(value.flatten(1).double(), full_matrices=False)
        root = s[:rank].sqrt()
        left, right = (u[:, :rank] * root).half(), (root[:, None] * v[:rank]).half()
        stored |= {f"{name}.left": left, f"{name}.right": right}
        back[name] = (left.float() @ right.float()).reshape(value.shape)
    return Form(stored, back)


def one_kernel_each(state: State) -> Form:
    """Every token of a window weighted alike: the mean of each kernel over its places; float16."""
    means = {name: (value.mean(dim=2) if value.ndim == 3 else value).half() for name, value in state.items()}
    back = {
        name: value.float()[:, :, None].expand_as(state[name]) if state[name].ndim == 3 else value.float()
        for name, value in means.items()
    }
    return Form(means, back)


def seen_of_tower(state: State, basis: torch.Tensor, then: Callable[[State], Form]) -> Form:
    """Of each kernel only what acts on tokens that the tower can make, in an orthonormal basis of theirs; stored by `then`."""
    inside = {
        name: torch.einsum("oct,ck->okt", value, basis) if value.ndim == 3 else value
        for name, value in state.items()
    }
    form = then(inside)
    back = {
        name: torch.einsum("okt,ck->oct", value, basis) if value.ndim == 3 else value
        for name, value in form.back.items()
    }
    return Form({**form.stored, "basis": basis}, back)


def forms(state: State, basis: torch.Tensor) -> dict[str, Form]:
    """Every form that is measured, by its name in the tables."""
    half = torch.float16
    return {
        "float16, as it ships": as_type(state, half),
        "bfloat16": as_type(state, torch.bfloat16),
        "8 bits": whole_numbers(state, 8),
        "4 bits, a step for each 64 weights": whole_numbers(state, 4, 64),
        **{f"rank {rank}": of_rank(state, rank) for rank in (256, 128, 64, 32)},
        "one kernel a scale, for all places of a window": one_kernel_each(state),
        "the tower's space, float16": seen_of_tower(state, basis, lambda inside: as_type(inside, half)),
        "the tower's space, 8 bits": seen_of_tower(state, basis, lambda inside: whole_numbers(inside, 8)),
        "the tower's space, 4 bits, a step for each 64": seen_of_tower(
            state, basis, lambda inside: whole_numbers(inside, 4, 64)
        ),
        **{
            f"the tower's space, rank {rank}": seen_of_tower(
                state, basis, lambda inside, rank=rank: of_rank(inside, rank)
            )
            for rank in (128, 64, 32)
        },
    }


def addons_of(model: mv.Model, found: Mapping[str, Form]) -> dict[str, torch.nn.Module]:
    """The model's add-on with the weights of each form."""
    filled = {}
    for name, form in found.items():
        addon = copy.deepcopy(model.addon)
        addon.load_state_dict(dict(form.back))
        filled[name] = addon.float().eval()
    return filled


def on_samples(model: mv.Model, addons: Mapping[str, torch.nn.Module]) -> dict[str, list[np.ndarray]]:
    """Of every shipped picture in each modality: the enhanced features, and the windows' shares of the cosine with a prompt."""
    direction = model.encode_text(PROMPT)[0]
    found: dict[str, list[list[np.ndarray]]] = {name: [[], []] for name in addons}
    for name in MODALITIES:
        images = [sample.images[name] for sample in mv.samples()]
        tokens = model.encode(images, tags=mv.ImageTag(name), progress=False)
        for form, addon in addons.items():
            split = mv.decompose(tokens, addon, direction)
            cosine = np.concatenate(list(split.windows.values()), axis=1)
            found[form][0].append(split.enhanced)
            found[form][1].append(cosine / (split.norm * split.direction_norm)[:, None])
    return {name: [np.concatenate(part) for part in parts] for name, parts in found.items()}


def on_people(
    model: mv.Model, addons: Mapping[str, torch.nn.Module], identities: int, world: int
) -> dict[str, list[float]]:
    """mAP in percent of each form: modalities and all together, of the standard and of the look-alike split."""
    measured: dict[str, list[float]] = {name: [] for name in addons}
    for split in SPLITS:
        crowd = mv.Crowd(identities, world, split, SHOTS)
        features = {name: {modality: [] for modality in MODALITIES} for name in addons}
        for batch in picture_batches(crowd, workers=cores()):
            for modality, images in batch.items():
                tokens = model.encode(images, tags=mv.ImageTag(modality), progress=False)
                for name, addon in addons.items():
                    with torch.no_grad():
                        features[name][modality].append((tokens.cls + addon(tokens.patches)).cpu().numpy())
        for name, parts in features.items():
            each = [np.concatenate(parts[modality]) for modality in MODALITIES]
            for array in (*each, np.concatenate(each, axis=1)):
                report = mv.retrieval(array, crowd.pids, crowd.camids, metric=model.metric)
                measured[name].append(100 * report.mAP)
    return measured


def print_tower(model: mv.Model) -> None:
    """What the tower would be with 8 bits, and how far that moves the plain CLS of the shipped samples; changes the model."""

    def plain() -> np.ndarray:
        shots = [(name, [sample.images[name] for sample in mv.samples()]) for name in MODALITIES]
        parts = [
            model.encode(images, tags=mv.ImageTag(name), progress=False).cls.cpu().numpy()
            for name, images in shots
        ]
        return np.concatenate(parts)

    shipped, state = plain(), {name: value.float() for name, value in model.visual.state_dict().items()}
    print(
        "\n| image tower | file, MB | in the wheel, MB | plain CLS, largest | mean |\n|---|---|---|---|---|"
    )
    for name, form in {
        "float16, as it ships": as_type(state, torch.float16),
        "8 bits": whole_numbers(state, 8),
    }.items():
        model.visual.load_state_dict(dict(form.back))
        apart = np.abs(plain() - shipped)
        sizes = f"{form.size / 1e6:.2f} | {form.packed / 1e6:.2f}"
        print(f"| {name} | {sizes} | {apart.max():.1e} | {apart.mean():.1e} |")


def print_null(model: mv.Model, addons: Mapping[str, torch.nn.Module]) -> None:
    """How long the shift of a shuffled add-on is, a null that is made of the stored weights."""
    images = [sample.images["RGB"] for sample in mv.samples()]
    tokens = model.encode(images, tags=mv.ImageTag("RGB"), progress=False)
    print("\n| form | shift of the shuffled add-on, seed 0, mean length |\n|---|---|")
    for name in ("float16, as it ships", "the tower's space, float16"):
        null = shuffled(dataclasses.replace(model, addon=addons[name]), "add-on")
        shift = (null.enhance(tokens).cls - tokens.cls).norm(dim=1).mean()
        print(f"| {name} | {float(shift):.2f} |")


def tokens_space(model: mv.Model) -> torch.Tensor:
    """An orthonormal basis `[D, K]` of what the tower's projection can make, K its own width."""
    return torch.linalg.qr(model.visual.proj.detach().double().T)[0].float()


def print_tables(
    found: Mapping[str, Form],
    samples: Mapping[str, list[np.ndarray]],
    people: Mapping[str, list[float]],
) -> None:
    first = next(iter(found))
    print("| form | file, MB | in the wheel, MB | feature, largest | mean | share, largest | mean |")
    print("|---|---|---|---|---|---|---|")
    for name, form in found.items():
        numbers = []
        for own, shipped in zip(samples[name], samples[first], strict=True):
            apart = np.abs(own - shipped)
            numbers += [f"{apart.max():.1e}", f"{apart.mean():.1e}"]
        print(f"| {name} | {form.size / 1e6:.2f} | {form.packed / 1e6:.2f} | {' | '.join(numbers)} |")
    columns = [f"{split.replace('_', '-')}, {column}" for split in SPLITS for column in COLUMNS]
    print(f"\n| mAP, percent | {' | '.join(columns)} | largest change |\n|---|{'---|' * (len(columns) + 1)}")
    for name, maps in people.items():
        apart = max(abs(own - shipped) for own, shipped in zip(maps, people[first], strict=True))
        print(f"| {name} | {' | '.join(f'{one:.2f}' for one in maps)} | {apart:.2f} |")


def main(identities: int = 150, world: int = 1) -> None:
    """Measure every form, and print the tables."""
    model = mv.load_model("embedded")
    state = {name: value.float() for name, value in model.addon.state_dict().items()}
    basis = tokens_space(model)
    found = forms(state, basis)
    kernels = [value for value in state.values() if value.ndim == 3]
    inside = sum(torch.einsum("oct,ck->okt", value, basis).square().sum() for value in kernels)
    addons = addons_of(model, found)
    samples = on_samples(model, addons)
    enhanced, shares = samples[next(iter(found))]
    print(
        f"{len(enhanced)} pictures; features {np.abs(enhanced).mean():.2f} in the mean, {np.abs(enhanced).max():.1f} at most; "
        f"shares {np.abs(shares).mean():.1e} and {np.abs(shares).max():.1e}; "
        f"{float(inside / sum(value.square().sum() for value in kernels)):.0%} of the kernels' squares act on the tower's tokens\n"
    )
    print_tables(found, samples, on_people(model, addons, identities, world))
    print_null(model, addons)
    print_tower(model)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
