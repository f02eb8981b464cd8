"""Files of other models are refused as what they are, told by keys that those libraries themselves write."""

from __future__ import annotations

import logging
import re

import open_clip
import pytest
import timm
import torch
import torchvision
from open_clip.model import _build_vision_tower

from mswin_viz.errors import WeightsError
from mswin_viz.model.loading import load_model
from mswin_viz.model.weights.clip_layouts import clip_keys

OPEN_CLIP = {
    "RN50": "CLIP's ResNet",
    "RN50x4": "CLIP's ResNet",
    "ViT-B-16-SigLIP": "SigLIP",
    "ViT-B-16-SigLIP2": "SigLIP",
    "EVA01-g-14": "EVA-CLIP",
    "EVA02-B-16": "EVA-CLIP",
    "MobileCLIP-S1": "MobileCLIP",
    "MobileCLIP-B": "MobileCLIP",
    "convnext_base_w": "ConvNeXt",
    "coca_ViT-B-32": "CoCa",
    "swin_base_patch4_window7_224": "a Swin Transformer",
    "ViTamin-S": "ViTamin",
}
TIMM = {
    "vit_small_patch16_224": "a Vision Transformer of timm",
    "vit_small_patch14_dinov2": "DINOv2",
    "eva02_tiny_patch14_224": "EVA-CLIP",
    "convnext_tiny": "ConvNeXt",
    "swin_tiny_patch4_window7_224": "a Swin Transformer",
}
KEYS = {
    "SigLIP": ["vision_model.embeddings.patch_embedding.bias", "vision_model.head.probe", "logit_bias"],
    "BLIP": [
        "visual_encoder.blocks.0.attn.qkv.weight",
        "text_decoder.bert.embeddings.word_embeddings.weight",
    ],
    "BLIP-2": ["query_tokens", "qformer.layernorm.weight"],
    "MobileCLIP": ["image_encoder.model.patch_embed.0.rbr_conv.0.conv.weight", "text_encoder.logit_scale"],
    "EVA-CLIP": ["visual.cls_token", "visual.blocks.0.attn.q_bias", "text.logit_scale"],
    "DINOv2": ["embeddings.cls_token", "encoder.layer.0.layer_scale1.lambda1"],
    "a Vision Transformer of Hugging Face": ["vit.embeddings.cls_token"],
    "the text side of a CLIP alone": ["text_model.embeddings.token_embedding.weight"],
    "a LoRA adapter": ["vision_model.encoder.layers.0.self_attn.q_proj.lora_A.default.weight"],
    "SAM": ["image_encoder.blocks.0.attn.rel_pos_h", "mask_decoder.iou_token.weight"],
    "MAE": ["decoder_blocks.0.attn.qkv.weight", "mask_token"],
}


def refusal(state: dict[str, torch.Tensor]) -> str:
    with pytest.raises(WeightsError) as caught:
        clip_keys(state, "other.pth")
    return str(caught.value)


def assert_named(said: str, kind: str) -> None:
    assert re.search(rf"other\.pth holds {re.escape(kind)}", said), said
    assert 'Load for example "ViT-B-16/openai"' in said


@pytest.mark.parametrize("name", OPEN_CLIP)
def test_towers_of_open_clip_without_a_cls_token_of_its_own_are_named(name):
    config = open_clip.get_model_config(name)
    logging.disable(logging.WARNING)
    try:
        with torch.device("meta"):
            tower = _build_vision_tower(config["embed_dim"], config["vision_cfg"])
    finally:
        logging.disable(logging.NOTSET)
    state = {f"visual.{key}": value for key, value in tower.state_dict().items()}
    assert_named(refusal(state | {"token_embedding.weight": torch.ones(2, 3)}), OPEN_CLIP[name])


@pytest.mark.parametrize("name", TIMM)
def test_models_of_timm_are_named(name):
    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
    assert_named(refusal(state), TIMM[name])


def test_a_resnet_of_torchvision_is_named():
    with torch.device("meta"):
        assert_named(refusal(torchvision.models.resnet18().state_dict()), "a ResNet")


@pytest.mark.parametrize("kind", KEYS)
def test_models_are_named_by_their_published_keys(kind):
    assert_named(refusal({key: torch.ones(2) for key in KEYS[kind]}), kind)


def test_a_file_of_no_known_model_says_how_it_begins(saved):
    with pytest.raises(
        WeightsError,
        match=r"it begins with alpha\.weight, beta\. Load for .* Pass an add-on alone as addon=",
    ):
        load_model(saved({"alpha.weight": torch.ones(2), "beta": torch.ones(1)}), device="cpu")
