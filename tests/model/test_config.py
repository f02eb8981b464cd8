"""The host's YAML is read as it is: every key accounted for, every type checked, every refusal says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_files import MIXTURE_ON, yml

import mswin_viz as mv
from mswin_viz.errors import ConfigError, ConfigNotFoundError

DEFAULTS = {
    "prompt": True,
    "adapter": True,
    "stride_size": (16, 16),
    "sie_camera": True,
    "sie_view": False,
    "sie_coe": 3.0,
    "size_train": (256, 128),
    "size_test": (256, 128),
    "pixel_mean": (0.5, 0.5, 0.5),
    "pixel_std": (0.5, 0.5, 0.5),
    "neck_feat": "before",
    "mamba": True,
    "use_clip_multi_scale": False,
    "use_multi_scale_moe": False,
    "moe_temperature": 1.0,
}


def written(folder: Path, text: str) -> Path:
    (folder / "run.yml").write_text(text)
    return folder / "run.yml"


def test_a_published_file_reads_with_nothing_unknown(tmp_path):
    config = mv.read_config(yml(tmp_path, more=MIXTURE_ON, size=[128, 256], neck="after"))
    assert config.sie_coe == 1.0
    assert config.size_test == (128, 256)
    assert config.grid == (8, 16)
    assert config.neck_feat == "after"
    assert config.moe_temperature == 0.7
    assert config.addon_kind == "mixture"
    assert config.dataset == "RGBNT201"
    assert config.first_camera == 1
    assert config.unknown == ()
    assert {"SOLVER.MAX_EPOCHS", "MODEL.PRETRAIN_PATH_T", "INPUT.PADDING", "OUTPUT_DIR"} <= set(config.idle)
    assert "MambaPro.yml" in config.words


def test_what_a_file_leaves_out_is_the_published_codes_default(tmp_path):
    config = mv.read_config(written(tmp_path, "MODEL:\n  TRANSFORMER_TYPE: 'ViT-B-16'\n"))
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(
    ("multi", "mixture", "kind"),
    [(False, False, "none"), (True, False, "windows"), (True, True, "mixture"), (False, True, "none")],
)
def test_the_mixture_flag_alone_runs_nothing(multi, mixture, kind):
    config = mv.HostConfig(use_clip_multi_scale=multi, use_multi_scale_moe=mixture)
    assert config.addon_kind == kind


def test_unknown_keys_are_listed(tmp_path):
    path = written(tmp_path, "MODEL:\n  PROMT: True\n  NEW:\n    DEEP: 3\nEXTRA: 1\nSOLVER:\n  ANYTHING: 1\n")
    config = mv.read_config(path)
    assert config.unknown == ("EXTRA", "MODEL.PROMT", "MODEL.NEW.DEEP")
    assert config.idle == ("SOLVER.ANYTHING",)
    assert "unknown keys: EXTRA, MODEL.PROMT, MODEL.NEW.DEEP" in config.words


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("INPUT:\n  SIZE_TRAIN: (256, 128)\n", "size_train", (256, 128)),
        ("MODEL:\n  SIE_COE: 2\n", "sie_coe", 2.0),
        ("MODEL:\n  MOE_SCALES: '[4, 16]'\n", "moe_scales", (4, 16)),
        ("DATASETS:\n  NAMES: ('MSVR310')\n", "dataset", "MSVR310"),
        ("DATASETS:\n  NAMES: ['RGBNT100']\n", "dataset", "RGBNT100"),
        ("DATASETS:\n  NAMES: RGBNT100\n", "dataset", "RGBNT100"),
    ],
)
def test_values_are_read_as_the_host_reads_them(tmp_path, text, name, value):
    assert getattr(mv.read_config(written(tmp_path, text)), name) == value


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("MODEL.PROMPT", "1", "True or False"),
        ("MODEL.ADAPTER", "'yes please'", "True or False"),
        ("MODEL.SIE_COE", "one", "a finite number"),
        ("MODEL.SIE_COE", ".inf", "a finite number"),
        ("MODEL.SIE_COE", "True", "a finite number"),
        ("MODEL.STRIDE_SIZE", "16", "two whole numbers above 0"),
        ("MODEL.STRIDE_SIZE", "[16, 0]", "two whole numbers above 0"),
        ("INPUT.SIZE_TEST", "[256, 128, 3]", "two whole numbers above 0"),
        ("INPUT.PIXEL_MEAN", "[0.5, 0.5]", "three finite numbers"),
        ("INPUT.PIXEL_STD", "[0.5, 0.5, 0]", "three numbers above 0"),
        ("TEST.NECK_FEAT", "behind", "before or after"),
        ("MODEL.MOE_TEMPERATURE", "0", "a number above 0"),
        ("MODEL.MOE_SCALES", "[]", "whole numbers above 0"),
        ("MODEL.MOE_SCALES", "[4, 8.5]", "whole numbers above 0"),
        ("MODEL.MOE_EXPERT_LAYERS", "null", "a whole number above 0"),
        ("MODEL.PROMPT", "", "True or False"),
        ("DATASETS.NAMES", "3", "a word"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_key_value_and_kind(tmp_path, key, value, expected):
    section, name = key.split(".")
    path = written(tmp_path, f"{section}:\n  {name}: {value}\n")
    with pytest.raises(ConfigError, match=rf"{key} must be {expected}: run\.yml has"):
        mv.read_config(path)


def test_another_network_is_refused(tmp_path):
    path = written(tmp_path, "MODEL:\n  TRANSFORMER_TYPE: vit_base_patch16_224\n")
    with pytest.raises(ConfigError, match=r"must be 'ViT-B-16'.*'vit_base_patch16_224'"):
        mv.read_config(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MODEL:\n  STRIDE_SIZE: [8, 8]\n", r"32 against 31 down .*strides 10 and 12 to 16 fit"),
        ("MODEL:\n  STRIDE_SIZE: [11, 16]\n", "23 against 22 down"),
        ("MODEL:\n  STRIDE_SIZE: [16, 9]\n", "14 against 13 across"),
        ("INPUT:\n  SIZE_TEST: [128, 256]\n", "16 against 8 down"),
        ("INPUT:\n  SIZE_TRAIN: [8, 8]\n  SIZE_TEST: [8, 8]\n", "0 against 0 down"),
    ],
)
def test_grids_that_the_host_cannot_run_are_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        mv.read_config(written(tmp_path, text))


@pytest.mark.parametrize("stride", [10, 12, 13, 14, 15, 16])
def test_strides_that_the_host_can_run_are_taken(stride):
    assert mv.HostConfig(stride_size=(stride, stride)).grid == (256 // stride, 128 // stride)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds None"),
        ("just words\n", "holds 'just words'"),
        ("- 1\n- 2\n", r"holds \[1, 2\]"),
        ("MODEL: [1\n", "cannot be read"),
        ("MODEL:\n\tPROMPT: True\n", "cannot be read"),
        ("MODEL: !!python/object/apply:os.system ['true']\n", "cannot be read"),
        ("MODEL:\n  PROMPT: True\n  PROMPT: False\n", "PROMPT given twice"),
        ("MODEL: 3\n", "MODEL is a section of keys: .* has 3"),
        ("MODEL: &a\n  B: *a\n", "deeper than that|cannot be read"),
        ("a: 2001-99-99\n", "cannot be read"),
        ("[" * 1200, "cannot be read"),
    ],
)
def test_files_that_are_no_configuration_are_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        mv.read_config(written(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "run.yml").write_bytes(b"\xff\xfe\x00\x81MODEL")
    with pytest.raises(ConfigError, match="cannot be read"):
        mv.read_config(tmp_path / "run.yml")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigNotFoundError, match=r"nowhere\.yml"):
        mv.read_config(tmp_path / "nowhere.yml")


def test_what_is_neither_a_path_nor_a_configuration_is_refused():
    with pytest.raises(ConfigError, match="YAML file or a HostConfig: got a dict"):
        mv.load_host_model({"MODEL": {}}, "host.pth")


def test_flags_in_python_are_checked_alike():
    with pytest.raises(ConfigError, match=r"MODEL\.PROMPT must be True or False: given in Python has 'on'"):
        mv.HostConfig(prompt="on")
    with pytest.raises(ConfigError, match=r"MODEL\.SIE_COE must be a finite number"):
        mv.HostConfig(sie_coe=None)
