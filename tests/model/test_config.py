"""The host's YAML is read as it is: every key accounted for, every type checked, every refusal says what is wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.host_files import MIXTURE_ON, yml

import mswin_viz as mv
from mswin_viz.errors import ConfigError, ConfigNotFoundError
from mswin_viz.model.weights.config_files import read_config

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


def run(folder: Path, text: str) -> Path:
    """A file with a section MODEL, which every configuration has."""
    model = "" if "MODEL:" in text else "MODEL:\n  TRANSFORMER_TYPE: 'ViT-B-16'\n"
    return written(folder, model + text)


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


def test_of_many_unknown_keys_the_words_name_the_first_and_count_the_others(tmp_path):
    keys = "".join(f"  KEY_{i:02d}: {i}\n" for i in range(40))
    config = mv.read_config(written(tmp_path, f"MODEL:\n{keys}"))
    assert len(config.unknown) == 40
    assert "MODEL.KEY_11 and 28 more" in config.words


def test_unknown_keys_are_listed(tmp_path):
    path = written(tmp_path, "MODEL:\n  PROMT: True\n  NEW:\n    DEEP: 3\nEXTRA: 1\nSOLVER:\n  ANYTHING: 1\n")
    config = mv.read_config(path)
    assert config.unknown == ("EXTRA", "MODEL.PROMT", "MODEL.NEW.DEEP")
    assert config.idle == ("SOLVER.ANYTHING",)
    assert "not read here: EXTRA, MODEL.PROMT, MODEL.NEW.DEEP" in config.words
    assert "effect" not in config.words


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
    assert getattr(mv.read_config(run(tmp_path, text)), name) == value


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
        ("TEST.FEAT_NORM", "maybe", "yes or no"),
        ("TEST.FEAT_NORM", "1", "yes or no"),
        ("MODEL.GLOBAL_LOCAL", "1", "True or False"),
        ("MODEL.MOE_TOP_K", "0", "a whole number above 0"),
        ("MODEL.MOE_TOP_K_MODE", "firm", "soft or hard"),
        ("MODEL.MOE_FIXED_WEIGHTS", "[0, 0]", "numbers of at least 0, not all 0"),
        ("MODEL.MOE_FIXED_WEIGHTS", "[0.5, -0.1]", "numbers of at least 0, not all 0"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_key_value_and_kind(tmp_path, key, value, expected):
    section, name = key.split(".")
    path = run(tmp_path, f"{section}:\n  {name}: {value}\n")
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
        (
            "INPUT:\n  SIZE_TRAIN: [1000000, 1000000]\n  SIZE_TEST: [1000000, 1000000]\n",
            "65,536 patches: .* has 62500 down and 62500 across",
        ),
    ],
)
def test_grids_that_the_host_cannot_run_are_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        mv.read_config(run(tmp_path, text))


@pytest.mark.parametrize("stride", [10, 12, 13, 14, 15, 16])
def test_strides_that_the_host_can_run_are_taken(stride):
    assert mv.HostConfig(stride_size=(stride, stride)).grid == (256 // stride, 128 // stride)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# a comment\n", "is empty"),
        ("{}\n", "a section MODEL with keys.* has no key"),
        (
            "names: [person]\ntrain: images/train\n",
            "a section MODEL .* has names, train; .* not one for data",
        ),
        ("baseline:\n  MODEL:\n    PROMPT: True\n", "a section MODEL .* has baseline;.*for several runs"),
        ("INPUT:\n  SIZE_TEST: [256, 128]\n", "a section MODEL .* has INPUT"),
        ("MODEL: {}\n", "a section MODEL with keys"),
        ("MODEL:\n", "MODEL is a section of keys: .* has None"),
        ("just words\n", "holds 'just words'"),
        ("- 1\n- 2\n", r"holds \[1, 2\]"),
        ("MODEL: [1\n", "cannot be read"),
        ("MODEL:\n\tPROMPT: True\n", "cannot be read"),
        ("MODEL: !!python/object/apply:os.system ['true']\n", "cannot be read"),
        ("MODEL: 3\n", "MODEL is a section of keys: .* has 3"),
        ("MODEL: &a\n  B: *a\n", "goes deeper|cannot be read"),
        ("a: 2001-99-99\n", "cannot be read"),
        ("[" * 1200, "cannot be read"),
    ],
)
def test_files_that_are_no_configuration_are_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        mv.read_config(written(tmp_path, text))


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGED = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 5,000 values"),
        (MERGED, "more than 5,000 values"),
        ("".join(f"k{n}: {n}\n" for n in range(20_000)), "more than 5,000 values|more than 262,144 bytes"),
        ("".join(f"k{n}: {n}\n" for n in range(100_000)), "more than 262,144 bytes"),
        ("x" * 10**6, "more than 262,144 bytes"),
        ("MODEL: {A: " + "9" * 5000 + "}\n", "line 1 has 5,000 characters; at most 64"),
        ("MODEL:\n  A: 0x" + "f" * 9000 + "\n", "line 2 has 9,002 characters; at most 64"),
        ("MODEL:\n  A: 1." + "0" * 9000 + "\n", "at most 64"),
        ("MODEL:\n  A: " + ":".join(["1"] * 3000) + "\n", "at most 64"),
        ("MODEL:\n  A: !!int '" + "9" * 5000 + "'\n", "at most 64"),
        ("MODEL:\n  A: '" + "9" * 20_000 + "'\n", "20,000 characters; at most 10,000"),
        ("MODEL: " + "[" * 40 + "]" * 40, "32 in one another"),
        ("MODEL: " + "{a: " * 40 + "1" + "}" * 40, "32 in one another"),
        ("? " * 3000, "32 in one another"),
        ("MODEL: &a [*a]\n", "nested in itself"),
        ("MODEL: &a {<<: *a}\n", "nested in itself"),
        ("MODEL: *b\n", "undefined alias"),
        ("MODEL: {A: !!int ''}\n", "cannot be read"),
        ("MODEL: {A: !!float abc}\n", "cannot be read"),
        ("MODEL: {A: !!bool maybe}\n", "cannot be read"),
        ("MODEL: {A: !!timestamp abc}\n", "cannot be read"),
        ("MODEL: {A: !custom 3}\n", "cannot be read"),
        ("MODEL: {? [1, 2] : 3}\n", "cannot be read"),
        ("MODEL: {A: 1}\n---\nMODEL: {A: 2}\n", "cannot be read"),
        ("MODEL: {A: \0}\n", "cannot be read"),
        ("MODEL: {PROMPT: True}\nMODEL.PROMPT: False\n", "'MODEL.PROMPT' in two"),
        ("MODEL: {1: True, '1': False}\n", "'MODEL.1' in two"),
        ("MODEL: {PROMPT: 2001-02-03}\n", "MODEL.PROMPT must be True or False"),
    ],
)  # fmt: skip
def test_files_without_end_are_refused_early_and_in_our_words(tmp_path, text, said):
    (tmp_path / "a.yml").write_text(text)
    begin = time.process_time()
    with pytest.raises(ConfigError, match=said) as caught:
        read_config(tmp_path / "a.yml")
    assert time.process_time() - begin < 5
    assert len(str(caught.value)) < 700
    assert "sys.set_int_max" not in str(caught.value)


def test_a_file_of_any_size_is_refused_without_reading_it(tmp_path):
    with (tmp_path / "a.yml").open("wb") as stream:
        stream.truncate(2**36)  # a hole
    with pytest.raises(ConfigError, match="more than 262,144 bytes"):
        read_config(tmp_path / "a.yml")


def test_aliases_and_merged_sections_within_reason_are_read(tmp_path):
    (tmp_path / "a.yml").write_text("MODEL: &m\n  PROMPT: False\nOTHER:\n  <<: *m\n  A: 1\n1: x\nnull: y\n")
    config = read_config(tmp_path / "a.yml")
    assert config.prompt is False
    assert {"OTHER.PROMPT", "OTHER.A", "1", "None"} <= set(config.unknown)


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-at-all/a.yml", "a\0b", "a/" * 3000])
def test_a_path_that_no_system_takes_is_refused(name):
    with pytest.raises(ConfigNotFoundError, match="must be an existing file"):
        read_config(name)


def test_a_pipe_is_no_configuration(tmp_path):
    os.mkfifo(tmp_path / "a.yml")
    with pytest.raises(ConfigNotFoundError, match="is not a regular file"):
        read_config(tmp_path / "a.yml")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "run.yml").write_bytes(b"\xff\xfe\x00\x81MODEL")
    with pytest.raises(ConfigError, match="cannot be read"):
        mv.read_config(tmp_path / "run.yml")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigNotFoundError, match=r"nowhere\.yml"):
        mv.read_config(tmp_path / "nowhere.yml")


def test_what_is_neither_a_path_nor_a_configuration_is_refused():
    with pytest.raises(ConfigError, match=r"YAML file or a HostConfig: got \{'MODEL': \{\}\}"):
        mv.load_host_model({"MODEL": {}}, "host.pth")


def test_flags_in_python_are_checked_alike():
    with pytest.raises(ConfigError, match=r"MODEL\.PROMPT must be True or False: given in Python has 'on'"):
        mv.HostConfig(prompt="on")
    with pytest.raises(ConfigError, match=r"MODEL\.SIE_COE must be a finite number"):
        mv.HostConfig(sie_coe=None)


# ---- keys given more than once -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "value", "repeated"),
    [
        (
            "MODEL:\n  PROMPT: True\n  ADAPTER: True\n  PROMPT: False\n",
            "prompt",
            False,
            ("MODEL.PROMPT (True, then False)",),
        ),
        (
            "MODEL:\n  SIE_COE: 1.0\nSOLVER:\n  BASE_LR: 1\n  BASE_LR: 2\n",
            "sie_coe",
            1.0,
            ("SOLVER.BASE_LR (1, then 2)",),
        ),
        (
            "MODEL:\n  SIE_COE: 1.0\nMODEL:\n  ADAPTER: False\n",
            "sie_coe",
            3.0,
            ("MODEL (a section, then a section)",),
        ),
        (
            "MODEL:\n  STRIDE_SIZE: [12, 12]\n  STRIDE_SIZE: [16, 16]\n  STRIDE_SIZE:\n  - 14\n  - 14\n",
            "stride_size",
            (14, 14),
            ("MODEL.STRIDE_SIZE ([12, 12], then [16, 16], then [14, 14])",),
        ),
        ("MODEL:\n  A: &a\n    B: 1\n    B: 2\n  C: *a\n", "prompt", True, ("MODEL.A.B (1, then 2)",)),
    ],
)
def test_of_a_key_given_twice_the_last_counts_and_both_values_are_listed(
    tmp_path, text, name, value, repeated
):
    config = mv.read_config(written(tmp_path, text))
    assert getattr(config, name) == value
    assert config.repeated == repeated
    assert "given more than once, the last counts" in config.words


def test_only_a_repeated_key_that_acts_is_a_remark(tmp_path):
    idle = mv.read_config(written(tmp_path, "MODEL:\n  FROZEN: True\n  FROZEN: False\n"))
    assert idle.remarks == ()
    same = mv.read_config(written(tmp_path, "MODEL:\n  SIE_COE: 2\n  SIE_COE: 2\n"))
    assert same.remarks == ()
    assert same.repeated == ("MODEL.SIE_COE (2, then 2)",)
    acting = mv.read_config(written(tmp_path, "MODEL:\n  SIE_COE: 2\n  SIE_COE: 1\n"))
    assert acting.remarks == (
        "MODEL.SIE_COE of run.yml is given more than once (2, then 1): the last counts, as for the host",
    )


def test_a_list_or_section_that_replaces_another_is_a_remark(tmp_path):
    lists = "MODEL:\n  STRIDE_SIZE: [12, 12]\n  STRIDE_SIZE: [16, 16]\n"
    assert (
        "STRIDE_SIZE of run.yml is given more than once ([12, 12], then [16, 16])"
        in (mv.read_config(written(tmp_path, lists)).remarks[0])
    )
    sections = "MODEL:\n  PROMPT: False\nTEST:\n  NECK_FEAT: after\nMODEL:\n  ADAPTER: False\n"
    config = mv.read_config(written(tmp_path, sections))
    assert config.prompt
    assert config.remarks == (
        "MODEL of run.yml is given more than once (a section, then a section): the last counts, as for the host",
    )


# ---- encodings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_comment_in_any_encoding_changes_nothing(tmp_path, encoding, end):
    text = "# \u8bad\u7ec3\nMODEL:\n  SIE_COE: 1.5  # \u76f8\u673a\n  PROMPT: False\n"
    (tmp_path / "run.yml").write_bytes(text.replace("\n", end).encode(encoding))
    config = mv.read_config(tmp_path / "run.yml")
    assert (config.sie_coe, config.prompt) == (1.5, False)


def test_weights_in_the_place_of_the_configuration_are_named(tmp_path):
    (tmp_path / "run.pth").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(ConfigError, match="the configuration comes first, then the weights"):
        mv.read_config(tmp_path / "run.pth")


# ---- code bases ------------------------------------------------------------------------------------------

DEMO = "MODEL:\n  TRANSFORMER_TYPE: 'ViT-B-16'\n  GLOBAL_LOCAL: True\n  HDM: True\n  ATM: True\n  HEAD: 4\n"
MDREID = (
    "MODEL:\n  GLOBAL_LOCAL: False\n  ADD_SHARE: True\n  ADD_ELOSS: True\n  ADD_CLOSS: True\n  DIRECT: 0\n"
)


@pytest.mark.parametrize(
    ("text", "family", "on"),
    [
        (DEMO, "DeMo", False),
        ("MODEL:\n  HEAD: 8\n", "DeMo", False),
        ("MODEL:\n  GLOBAL_LOCAL: False\n", "DeMo", False),
        (MDREID, "MDReID", False),
        ("MODEL:\n  ADD_CLOSS: True\n  HEAD: 8\n", "MDReID", False),
        ("MODEL:\n  MAMBA: True\n", "MambaPro", True),
        ("MODEL:\n  USE_CLIP_MULTI_SCALE: False\n", "MambaPro", True),
        ("MODEL:\n  MOE_SCALES: [4, 8]\n", "MambaPro", True),
        ("MODEL:\n  NAME: 'DeMo'\n", "DeMo", False),
        ("MODEL:\n  NAME: mdreid\n", "MDReID", False),
        ("MODEL:\n  NAME: DeMo\n  MAMBA: False\n", "DeMo", False),
        ("MODEL:\n  SIE_COE: 1.0\n", "MambaPro", True),
    ],
)
def test_the_keys_say_which_code_base_it_is_and_that_what_absent_parts_mean(tmp_path, text, family, on):
    config = mv.read_config(written(tmp_path, text))
    assert config.family == family
    assert (config.prompt, config.adapter) == (on, on)
    assert f"run.yml ({family}" in config.words
    assert (
        ("assumed" in config.words) == ("family" in config.defaulted) == (text == "MODEL:\n  SIE_COE: 1.0\n")
    )


def test_parts_that_are_given_count_in_every_code_base(tmp_path):
    config = mv.read_config(written(tmp_path, DEMO + "  ADAPTER: True\n"))
    assert (config.prompt, config.adapter, config.mamba) == (False, True, False)


def test_keys_of_two_code_bases_are_refused_unless_the_name_decides(tmp_path):
    text = "MODEL:\n  MAMBA: False\n  HDM: True\n"
    with pytest.raises(ConfigError, match=r"keys of 2 \(DeMo has HDM; MambaPro has MAMBA\); set MODEL\.NAME"):
        mv.read_config(written(tmp_path, text))
    assert mv.read_config(written(tmp_path, text + "  NAME: DeMo\n")).family == "DeMo"
    assert mv.read_config(written(tmp_path, text), family="DeMo").family == "DeMo"


def test_a_code_base_may_be_named_where_the_keys_say_nothing(tmp_path):
    path = written(tmp_path, "MODEL:\n  SIE_COE: 1.0\n")
    assert mv.read_config(path, family="demo").family == "DeMo"
    assert mv.read_config(path, family="DeMo").prompt is False
    with pytest.raises(ConfigError, match=r"one of MambaPro, DeMo, MDReID: run\.yml has 'TransReID'"):
        mv.read_config(path, family="TransReID")


def test_flags_in_python_take_the_code_bases_defaults():
    assert mv.HostConfig().prompt is mv.HostConfig().mamba is True
    assert mv.HostConfig(global_local=True).family == mv.HostConfig(hdm=True).family == "DeMo"
    assert mv.HostConfig(add_share=True).family == "MDReID"
    demo = mv.HostConfig(family="DeMo", adapter=True)
    assert (demo.prompt, demo.adapter, demo.mamba) == (False, True, False)
    with pytest.raises(ConfigError, match=r"MODEL\.GLOBAL_LOCAL belongs to DeMo or MDReID"):
        mv.HostConfig(family="MambaPro", global_local=True)


def test_read_as_another_code_base_only_what_was_left_open_changes():
    config = mv.HostConfig(prompt=True, sie_coe=1.0)
    other = config.as_family("DeMo")
    assert (other.family, other.prompt, other.adapter, other.mamba) == ("DeMo", True, False, False)
    assert other.sie_coe == 1.0
    assert "assumed" not in other.words


def test_what_stands_behind_the_image_branch_is_left_out_by_name_and_never_called_idle(tmp_path):
    config = mv.read_config(written(tmp_path, DEMO))
    assert config.left_out == ("MODEL.HDM", "MODEL.ATM", "MODEL.HEAD")
    assert config.idle == config.unknown == ()
    assert config.global_local
    assert "behind the image branch, left out: MODEL.HDM, MODEL.ATM, MODEL.HEAD" in config.words
    off = mv.read_config(written(tmp_path, DEMO.replace("True", "False")))
    assert off.left_out == ("MODEL.HEAD",)


@pytest.mark.parametrize(("miss", "acts"), [("nothing", False), ("None", False), ("r", True), ("nt", True)])
def test_modalities_that_demo_blanks_are_no_idle_key(tmp_path, miss, acts):
    config = mv.read_config(written(tmp_path, DEMO + f"TEST:\n  MISS: '{miss}'\n"))
    assert ("TEST.MISS" in config.left_out) == acts
    assert ("TEST.MISS" in config.idle) == (not acts)


def test_the_two_tokens_and_the_heads_are_not_read_together():
    with pytest.raises(ConfigError, match=r"MODEL\.ADD_SHARE and MODEL\.GLOBAL_LOCAL are not read together"):
        mv.HostConfig(add_share=True, global_local=True)
    with pytest.raises(ConfigError, match=r'token="shared" needs the second token'):
        mv.HostConfig(token="shared")
    with pytest.raises(ConfigError, match="token= must be specific or shared"):
        mv.HostConfig(add_share=True, token="both")


# ---- what the evaluator does -------------------------------------------------------------------------------


@pytest.mark.parametrize("written_as", ["'no'", "no", "False"])
@pytest.mark.parametrize(
    ("dataset", "normed"),
    [
        ("('MSVR310')", False),
        ("('MSVR310',)", False),
        ("['msvr310']", False),
        ("RGBNT201", True),
        (None, True),
    ],
)
def test_feat_norm_off_is_followed_where_the_published_evaluator_follows_it(
    tmp_path, written_as, dataset, normed
):
    names = f"DATASETS:\n  NAMES: {dataset}\n" if dataset else ""
    config = mv.read_config(run(tmp_path, f"TEST:\n  FEAT_NORM: {written_as}\n{names}"))
    assert config.feat_norm is normed
    assert any("follows for MSVR310 only" in remark for remark in config.remarks) == normed


@pytest.mark.parametrize("given", ["'yes'", "yes", "True"])
def test_feat_norm_is_on_where_it_says_so(tmp_path, given):
    text = f"TEST:\n  FEAT_NORM: {given}\nDATASETS:\n  NAMES: ('MSVR310')\n"
    assert mv.read_config(run(tmp_path, text)).feat_norm is True


def test_feat_norm_in_python_counts_as_given():
    assert mv.HostConfig().feat_norm is True
    assert mv.HostConfig(feat_norm=False).feat_norm is False
    assert mv.HostConfig(feat_norm="no").feat_norm is False


def test_a_neck_that_the_code_base_does_not_have_is_none(tmp_path):
    text = "TEST:\n  NECK_FEAT: after\n"
    assert mv.read_config(written(tmp_path, "MODEL:\n  MAMBA: True\n" + text)).has_neck
    assert not mv.read_config(written(tmp_path, DEMO + text)).has_neck


def test_routing_and_fixed_weights_of_later_mixtures_are_read(tmp_path):
    keys = "MOE_USE_TOP_K_ROUTING: True\n  MOE_TOP_K: 1\n  MOE_TOP_K_MODE: 'Hard'\n"
    config = mv.read_config(written(tmp_path, f"MODEL:\n  {keys}  MOE_FIXED_WEIGHTS: '[0.5,0.5,1]'\n"))
    assert (config.moe_use_top_k_routing, config.moe_top_k, config.moe_top_k_mode) == (True, 1, "hard")
    assert config.moe_fixed_weights == (0.5, 0.5, 1.0)
    assert config.unknown == ()
