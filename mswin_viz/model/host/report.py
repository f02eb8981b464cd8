"""Why a key of a host checkpoint is not used, and the notes that a host model is loaded with."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.model.weights.checkpoints import HOST_MIXTURE, HOST_WINDOWS
from mswin_viz.model.weights.config_keys import listed
from mswin_viz.model.weights.host_config import HostConfig
from mswin_viz.model.weights.host_families import MAMBAPRO
from mswin_viz.model.weights.load_report import LoadReport

HOW_TO_SAY_IT = (
    'give the run\'s configuration, config="run.yml", or state it: config=mv.HostConfig(prompt=True, adapter=True, '
    "sie_camera=True, sie_coe=1.0, use_clip_multi_scale=True), each as it was in the run"
)
_MAMBA = "Mamba head: not run here, since it needs CUDA-only code"
_STRANGE = "not a key of the published model"
_EXPERTS = "ATM: experts over the modalities, not run here"
_ATTENTION = "HDM: attention over the modalities, not run here"
_HEADS = r"(rgb|nir|tir)_reduce\."
_BLANKED = "TEST.MISS"


def unused_reason(key: str, config: HostConfig | None) -> str:
    """Why a key of a host checkpoint is not in a tower of this configuration."""
    effective = config or HostConfig(prompt=False, adapter=False, sie_camera=False, mamba=True)
    where = "in the configuration" if config is not None else "taken as off, as there is no configuration"
    rules = (
        (r"AAM\.", _MAMBA if effective.mamba else "Mamba head: MAMBA is off in the configuration"),
        (r"generalFusion\.moe\.", _EXPERTS),
        (r"generalFusion\.", _ATTENTION),
        (r"BACKBONE\.classifier\.|classifier(_fuse|_moe|_rs|_ns|_ts|_[rnts])?\.", "classifier of training identities"),
        (r"bottleneck(_fuse|_moe|_rs|_ns|_ts|_[rnts])?\.", "BatchNorm neck of the outer model: training only"),
        (_HEADS, f"heads of the modalities: GLOBAL_LOCAL is off {where}"),
        (r"BACKBONE\.bottleneck\.num_batches_tracked", "a training counter"),
        (r"BACKBONE\.bottleneck\.", "BatchNorm neck: NECK_FEAT is before" if effective.neck_feat == "before"
         else f"BatchNorm neck: the published {effective.family} has none"),
        (r"BACKBONE\.cv_embed", f"camera embedding: SIE_CAMERA is off {where}" if config is not None else
         "camera embedding: NOT applied, its factor SIE_COE is in no checkpoint; give config="),
        (r"BACKBONE\.base\..*\.adapter_ffn\.", f"adapter: ADAPTER is off {where}" if not effective.adapter else _STRANGE),
        (r"BACKBONE\.base\..*\.0\.adapter_transfer\.", "prompts: the first block has no incoming prompts to transfer"
         if effective.prompt else f"prompts: PROMPT is off {where}"),
        (r"BACKBONE\.base\..*\.adapter_", f"prompts: PROMPT is off {where}" if not effective.prompt else _STRANGE),
        (re.escape(HOST_MIXTURE) + r"multi_scale_extractor\.fusion\.", "stored by the mixture but never read"),
        (re.escape(HOST_MIXTURE) + r"moe_fusion\.gating_network\.gate_output\.",
         "the gate's last layer, which the mixture stores twice"),
        (re.escape(HOST_MIXTURE), "mixture of experts: not in use"),
        (re.escape(HOST_WINDOWS), "multi-scale windows: not in use"),
    )  # fmt: skip
    return next((why for pattern, why in rules if re.match(pattern, key)), _STRANGE)


def host_notes(
    report: LoadReport, full: Mapping[str, torch.Tensor], config: HostConfig | None
) -> tuple[str, ...]:
    """What the user of a host model must know: what is left out, assumed, or read differently from the host."""
    reasons, notes = report.reasons, []
    if _MAMBA in reasons:
        notes.append(
            "the checkpoint's Mamba aggregation (AAM.*) is NOT applied, since it needs CUDA-only code: features are "
            "those of each modality before it"
        )
    fusion = {"HDM, the attention": _ATTENTION, "ATM, the experts": _EXPERTS}
    if behind := [name for name, reason in fusion.items() if reason in reasons]:
        notes.append(
            f"the fusion of the modalities ({' and '.join(behind)} over the modalities, generalFusion.*) is NOT applied: "
            "features are those of each modality before it"
        )
    notes += _without_configuration(report) if config is None else _of_configuration(full, config)
    if strange := reasons.get(_STRANGE):
        notes.append(
            f"{counted(len(strange), 'keys belong', 'key belongs')} to no published model and {'is' if len(strange) == 1 else 'are'} not used: {', '.join(strange[:4])}"
        )
    return tuple(notes)


def _without_configuration(report: LoadReport) -> list[str]:
    keys, notes = [*report.used, *report.unused], []
    if any(".adapter_" in key for key in report.unused):
        notes.append(
            "prompts and adapter biases in the file are all zero, so both are taken as off; if they were on in the "
            f"run, {HOW_TO_SAY_IT}"
        )
    if "BACKBONE.cv_embed" in report.unused:
        notes.append(
            "the checkpoint's camera embedding is NOT applied: its factor is in no checkpoint; give config="
        )
    if any(key.startswith(HOST_MIXTURE) for key in keys):
        notes.append("MOE_TEMPERATURE is in no checkpoint: 1 is assumed; give config=")
    if "BACKBONE.base.add_image_token" in report.used:
        notes.append(_two_features("specific"))
    return notes


def _two_features(token: str) -> str:
    other = "shared" if token == "specific" else "specific"
    return (
        "the host joins two features, of the class token and of a second token (ADD_SHARE): this is the "
        f'{token} one; token="{other}" of HostConfig gives the other'
    )


def _of_configuration(full: Mapping[str, torch.Tensor], config: HostConfig) -> list[str]:
    holds_addon = any(key.startswith((HOST_WINDOWS, HOST_MIXTURE)) for key in full)
    holds_heads = any(re.match(_HEADS, key) for key in full)
    notes = {
        f"keys of {config.source} that are not read here: {listed(config.unknown)}; where one of them changes "
        "features in the host, these differ": bool(config.unknown),
        "the file holds a multi-scale add-on; USE_CLIP_MULTI_SCALE is off in the configuration, so it is left out":
        config.addon_kind == "none" and holds_addon,
        "the file holds heads of the modalities, as a run with GLOBAL_LOCAL on saves them; it is off in the "
        "configuration, so they are left out": holds_heads and not config.global_local,
        "the file holds a camera table; SIE_CAMERA is off in the configuration, so it is left out":
        "BACKBONE.cv_embed" in full and not config.sie_camera and not config.sie_view,
        "FLOPS_TEST is on: the host reads camera 0 for every image; here each image is read with its own camera":
        config.flops_test and config.sie_camera,
        f"NECK_FEAT is after, but the published {config.family} has no such neck: features are taken without one":
        config.neck_feat == "after" and not config.has_neck,
        f"PROMPT is on, which the published {config.family} cannot run: prompts are read as MambaPro's":
        config.prompt and config.family != MAMBAPRO,
        f"{_BLANKED} is set: the host then leaves out or blanks the images of some modalities; here every image is "
        "read as it is": _BLANKED in config.left_out and config.family != MAMBAPRO,
        _two_features(config.token): config.add_share,
    }  # fmt: skip
    return [*config.remarks, *(note for note, holds in notes.items() if holds)]
