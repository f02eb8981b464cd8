"""CLIPs saved by transformers give the features of the open_clip model that they were made of."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from safetensors.torch import save_file
from support.hugging_face_files import hugging_face_folder, hugging_face_state

from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.loading import load_model

from .conftest import tiny_clip

ASSUMED = "ignore:.*QuickGELU and OpenAI's normalisation are assumed:UserWarning"
PROMPTS = ["a person wearing a red top", "a bus"]


def assert_same_features(model, clip, people, *, text: bool) -> None:
    with torch.no_grad():
        expected = clip.encode_image(model.preprocess(people))
        torch.testing.assert_close(model.encode(people).cls, expected, rtol=1e-6, atol=1e-6)
        assert model.tower.has_text is text
        if text:
            from open_clip import SimpleTokenizer

            words = clip.encode_text(SimpleTokenizer(context_length=16)(PROMPTS))
            torch.testing.assert_close(model.encode_text(PROMPTS), words, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("text", [True, False])
def test_a_folder_gives_open_clips_features_with_its_own_settings(tmp_path, people, name, quick, text):
    clip = tiny_clip(quick_gelu=quick)
    act = "quick_gelu" if quick else "gelu"
    folder = hugging_face_folder(
        tmp_path / "clip", hugging_face_state(clip, text=text), name=name, hidden_act=act
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(folder, device="cpu")
    assert_same_features(model, clip, people, text=text)
    items = model.provenance_items
    assert items["activation"] == ("QuickGELU" if quick else "GELU")
    assert items["normalisation"] == "mean 0.500 0.400 0.300, std 0.200 0.250 0.300"
    assert items["positions"] == "4x4, as stored"
    assert "settings of config.json and preprocessor_config.json" in items["weights"]
    assert "keys of Hugging Face" in items["file"]


@pytest.mark.filterwarnings(ASSUMED)
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "clip.", "_orig_mod."])
@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_a_file_alone_loads_with_the_assumptions_in_a_note(tmp_path, clip, people, prefix, ending):
    state = {prefix + key: value for key, value in hugging_face_state(clip).items()}
    path = tmp_path / f"person.{ending}"
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    model = load_model(path, device="cpu")
    assert_same_features(model, clip, people, text=True)
    assert "QuickGELU and OpenAI's normalisation are assumed" in model.provenance


def test_a_file_with_a_standard_name_is_read_with_the_settings_beside_it(tmp_path, people):
    clip = tiny_clip(quick_gelu=False)
    hugging_face_folder(tmp_path, hugging_face_state(clip), hidden_act="gelu")
    model = load_model(tmp_path / "model.safetensors", device="cpu")
    assert_same_features(model, clip, people, text=True)
    assert model.provenance_items["activation"] == "GELU"


def test_heads_and_epsilon_are_those_of_the_configuration(tmp_path, people):
    vision = {"image_size": [64, 64], "layers": 2, "width": 64, "head_width": 16, "patch_size": 16}
    clip = tiny_clip(vision_cfg=vision | {"norm_kwargs": {"eps": 1e-2}})
    folder = hugging_face_folder(
        tmp_path, hugging_face_state(clip, text=False), num_attention_heads=4, layer_norm_eps=1e-2
    )
    assert_same_features(load_model(folder, device="cpu"), clip, people, text=False)


def test_every_key_of_the_file_is_in_the_report(tmp_path, clip):
    state = hugging_face_state(clip) | {"classifier.weight": torch.ones(3, 24)}
    report = load_model(hugging_face_folder(tmp_path, state), device="cpu").load_report
    assert sorted([*report.used, *report.unused]) == sorted(state)
    assert sorted(report.unused) == ["classifier.weight", "vision_model.embeddings.position_ids"]
    assert "classifier" in report.unused["classifier.weight"]


@pytest.mark.parametrize("prefix", ["", "vision_model."])
def test_an_image_tower_without_its_projection_is_refused_by_name(tmp_path, clip, prefix):
    state = {
        prefix + key.removeprefix("vision_model."): value
        for key, value in hugging_face_state(clip, text=False).items()
        if key.startswith("vision_model.")
    }
    with pytest.raises(WeightsError, match=r"CLIPVisionModel.*missing visual_projection\.weight"):
        load_model(hugging_face_folder(tmp_path, state), device="cpu")


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("vision_model.encoder.layers.1.self_attn.k_proj.bias", r"missing visual\.transformer\.resblocks\.1\.attn\.in_proj_bias"),
        ("vision_model.pre_layrnorm.weight", r"missing visual\.ln_pre\.weight"),
        ("vision_model.encoder.layers.0.mlp.fc2.weight", r"missing visual\.transformer\.resblocks\.0\.mlp\.c_proj\.weight"),
    ],
)  # fmt: skip
def test_a_tensor_missing_from_the_image_tower_is_named(tmp_path, clip, key, named):
    state = hugging_face_state(clip)
    del state[key]
    with pytest.raises(WeightsError, match=named):
        load_model(hugging_face_folder(tmp_path, state), device="cpu")


def test_a_tensor_missing_from_the_text_side_leaves_it_out(tmp_path, clip, people):
    state = hugging_face_state(clip)
    del state["text_model.encoder.layers.0.self_attn.v_proj.weight"]
    with pytest.warns(
        UserWarning, match=r"no prompts: its text side is left out \(missing transformer\.resblocks\.0"
    ):
        model = load_model(hugging_face_folder(tmp_path, state), device="cpu")
    assert_same_features(model, clip, people, text=False)
    with pytest.raises(OptionError, match="text tower"):
        model.encode_text("a bus")


@pytest.mark.parametrize(
    ("vision", "named"),
    [
        ({"hidden_act": "gelu_new"}, "hidden_act: .* got 'gelu_new'"),
        ({"hidden_act": ["gelu"]}, "hidden_act"),
        ({"num_attention_heads": 7}, "7 heads for a width of 64"),
        ({"num_attention_heads": "one"}, "num_attention_heads"),
        ({"image_size": -3}, "the image tower in config.json cannot be used: image_size"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps"),
    ],
)
def test_settings_that_cannot_be_served_are_refused(tmp_path, clip, vision, named):
    with pytest.raises(WeightsError, match=named):
        load_model(hugging_face_folder(tmp_path, hugging_face_state(clip), **vision), device="cpu")


def test_another_activation_than_the_stored_one_is_refused(tmp_path, clip):
    folder = hugging_face_folder(tmp_path, hugging_face_state(clip))
    with pytest.raises(OptionError, match=r"config\.json.* has QuickGELU, got GELU"):
        load_model(folder, activation="gelu", device="cpu")
    with pytest.raises(OptionError, match=r"has mean 0\.5 0\.4 0\.3, got 0\.5 0\.5 0\.5"):
        load_model(folder, mean=0.5, device="cpu")
    assert load_model(folder, activation="quick_gelu", mean=(0.5, 0.4, 0.3), device="cpu").grid == (4, 4)


def test_an_image_size_of_the_configuration_that_positions_do_not_fit_gives_way_to_their_number(tmp_path):
    clip = tiny_clip(image_size=(128, 64))
    folder = hugging_face_folder(tmp_path, hugging_face_state(clip), image_size=224)
    model = load_model(folder, image_size=(128, 64), device="cpu")
    assert model.provenance_items["positions"] == "8x4, as stored"


@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.filterwarnings("ignore:.*strongly distorted:UserWarning")
def test_a_folder_of_open_clip_brings_its_whole_architecture(tmp_path, people, resize):
    vision = {
        "image_size": 64,
        "layers": 2,
        "width": 64,
        "head_width": 32,
        "patch_size": 16,
        "mlp_ratio": 3.0,
    }
    clip = tiny_clip(vision_cfg=vision | {"image_size": [64, 64]}, quick_gelu=False)
    text = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    content = {
        "model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {
            "mean": [0.5] * 3,
            "std": [0.25] * 3,
            "interpolation": "bicubic",
            "resize_mode": resize,
        },
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
    torch.save(clip.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(tmp_path, device="cpu")
    assert_same_features(model, clip, people, text=True)
    assert model.provenance_items["normalisation"] == "mean 0.5, std 0.25"
    assert model.tower.crops is (resize == "shortest")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_cfg": {"embed_dim": 24}}, "a model_cfg with vision_cfg and text_cfg"),
        ({"model_cfg": {"vision_cfg": {"spin": 2}, "text_cfg": {}}}, "does not know spin"),
        (
            {"model_cfg": {"vision_cfg": {"width": 64}, "text_cfg": {}}},
            "open_clip_config.json cannot be used: embed_dim",
        ),
        ({"preprocess_cfg": {"mean": "grey"}}, "open_clip_config.json cannot be used: mean"),
    ],
)
def test_a_description_of_open_clip_that_is_none_is_refused(tmp_path, clip, change, said):
    content = {"model_cfg": {"embed_dim": 24, "vision_cfg": {"width": 64}, "text_cfg": {}}} | change
    (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
    torch.save(clip.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(WeightsError, match=said):
        load_model(tmp_path, device="cpu")


def test_a_folder_of_a_timm_tower_is_refused_by_what_it_is(tmp_path, clip):
    content = {"embed_dim": 24, "vision_cfg": {"timm_model_name": "vit_x"}, "text_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": content}))
    torch.save(clip.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(OptionError, match=r"open_clip_config\.json has a timm tower"):
        load_model(tmp_path, device="cpu")


@pytest.mark.parametrize("kind", ["siglip", "bert", 3])
def test_a_configuration_of_another_model_is_not_taken_for_this_one(tmp_path, clip, people, kind):
    folder = hugging_face_folder(tmp_path, hugging_face_state(clip), image=False)
    (folder / "config.json").write_text(
        json.dumps({"model_type": kind, "vision_config": {"hidden_act": "gelu"}})
    )
    with pytest.warns(UserWarning, match="QuickGELU and OpenAI's normalisation are assumed"):
        assert_same_features(load_model(folder, device="cpu"), clip, people, text=True)


def test_a_file_with_keys_of_both_layouts_is_refused(saved, clip):
    with pytest.raises(WeightsError, match=r"has Hugging Face's keys and visual\.class_embedding"):
        load_model(saved(hugging_face_state(clip) | clip.state_dict()), device="cpu")
