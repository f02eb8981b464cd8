"""Names on the Hugging Face Hub: from its cache, else one look at the network, else an error within seconds."""

from __future__ import annotations

import shutil
import time
from types import SimpleNamespace

import huggingface_hub
import open_clip
import pytest
from huggingface_hub import constants
from support.hugging_face_files import hugging_face_folder, hugging_face_state

from mswin_viz.errors import OptionError, WeightsNotFoundError
from mswin_viz.model.loading import load_model

REPO = "hf-hub:someone/tiny-clip"


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """A hub that does not answer, and an empty cache."""

    def nobody(*_args, **_options):
        raise ConnectionError("[Errno -2] Name or service not known\nand a second line")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", nobody)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def test_a_name_that_cannot_be_had_says_so_at_once_and_what_to_do(unreachable):
    start = time.perf_counter()
    with pytest.raises(
        WeightsNotFoundError, match=r"service not known\); run once with a network, or copy"
    ) as refusal:
        load_model(REPO, device="cpu")
    assert time.perf_counter() - start < 5
    assert "second line" not in str(refusal.value)


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:a b", "hf-hub:x/y/z", "hf-hub:-x/y", "hf-hub:../up"])
def test_a_name_that_cannot_be_one_is_refused(unreachable, name):
    with pytest.raises(WeightsNotFoundError, match="the download failed"):
        load_model(name, device="cpu")


@pytest.mark.parametrize(
    "name", ["openai/clip-vit-base-patch32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "facebook/dinov2-base"]
)
def test_a_hubs_name_without_its_prefix_is_said_to_need_it(name):
    with pytest.raises(WeightsNotFoundError, match=f'is written "hf-hub:{name}"'):
        load_model(name, device="cpu")


@pytest.mark.parametrize(
    "name", ["https://huggingface.co/openai/clip", "local-dir:/tmp", "timm/vit_clip_224.openai"]
)
def test_other_names_are_no_model(name):
    with pytest.raises(
        WeightsNotFoundError, match='"hf-hub:ORGANISATION/NAME", or an existing file or folder'
    ):
        load_model(name, device="cpu")


def test_an_architecture_on_the_hub_is_none_of_open_clips_and_not_looked_up(saved, clip, unreachable):
    with pytest.raises(OptionError, match="no architecture 'hf-hub:a/b'"):
        load_model(saved(clip.state_dict()), arch="hf-hub:a/b", device="cpu")


def test_a_repository_is_downloaded_without_what_is_not_needed(monkeypatch, tmp_path, clip, unreachable):
    folder, asked = hugging_face_folder(tmp_path / "there", hugging_face_state(clip)), []
    names = ["README.md", "pytorch_model.bin", "model.safetensors", "config.json", "preprocessor_config.json"]
    info = SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in names])

    def snapshot(_repo, *, local_files_only=False, allow_patterns=(), **_options):
        if local_files_only:
            raise FileNotFoundError("not in the cache")
        asked.extend(allow_patterns)
        return str(shutil.copytree(folder, tmp_path / "cache"))

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_args, **_options: info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    model = load_model(REPO, device="cpu")
    assert asked == ["model.safetensors", "config.json", "preprocessor_config.json"]
    assert model.grid == (4, 4)


def test_a_repository_in_the_cache_needs_no_network(monkeypatch, tmp_path, clip, unreachable):
    folder = hugging_face_folder(tmp_path / "there", hugging_face_state(clip))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_args, **_options: str(folder))
    assert load_model(REPO, device="cpu").tower.has_text


def test_a_pair_is_asked_for_once_where_the_hub_does_not_answer(monkeypatch, unreachable):
    start = time.perf_counter()
    with pytest.raises(WeightsNotFoundError, match="ViT-B-16/openai must be on this machine or downloadable"):
        load_model("ViT-B-16/openai", device="cpu")
    assert time.perf_counter() - start < 10
    assert not constants.HF_HUB_OFFLINE


def test_a_pair_is_read_from_the_cache_where_the_hub_does_not_answer(monkeypatch, openai_file, unreachable):
    seen = []

    def cached(_found):
        seen.append(constants.HF_HUB_OFFLINE)
        return str(openai_file)

    monkeypatch.setattr(open_clip, "download_pretrained", cached)
    monkeypatch.setattr(open_clip, "get_model_config", lambda _name: _tiny())
    assert load_model("ViT-B-16/openai", device="cpu").grid == (4, 4)
    assert seen == [True]


def _tiny() -> dict:
    from .conftest import CONFIG

    return {**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"]}, "text_cfg": {**CONFIG["text_cfg"]}}
