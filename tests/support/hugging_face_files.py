"""open_clip's tensors as transformers' CLIPModel writes them: the mapping the other way, written out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

SIDES = {"visual.": ("vision_model.", "visual_projection"), "": ("text_model.", "text_projection")}


def hugging_face_state(clip: open_clip.CLIP, *, text: bool = True) -> dict[str, torch.Tensor]:
    own = {key: value.detach().clone() for key, value in clip.state_dict().items()}
    found = {
        "vision_model.embeddings.class_embedding": own["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": own["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": own["visual.positional_embedding"],
        "vision_model.embeddings.position_ids": torch.arange(len(own["visual.positional_embedding"]))[None],
        "visual_projection.weight": own["visual.proj"].T.contiguous(),
    }
    for end in ("weight", "bias"):
        found[f"vision_model.pre_layrnorm.{end}"] = own[f"visual.ln_pre.{end}"]
        found[f"vision_model.post_layernorm.{end}"] = own[f"visual.ln_post.{end}"]
    found |= blocks(own, "visual.", "vision_model.")
    if not text:
        return found
    found |= {
        "text_model.embeddings.token_embedding.weight": own["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": own["positional_embedding"],
        "text_model.final_layer_norm.weight": own["ln_final.weight"],
        "text_model.final_layer_norm.bias": own["ln_final.bias"],
        "text_projection.weight": own["text_projection"].T.contiguous(),
        "logit_scale": own["logit_scale"],
    }
    return found | blocks(own, "", "text_model.")


def blocks(own: dict[str, torch.Tensor], before: str, name: str) -> dict[str, torch.Tensor]:
    found = {}
    n_blocks = len(
        [key for key in own if key.startswith(f"{before}transformer.") and key.endswith("ln_1.weight")]
    )
    for i in range(n_blocks):
        old, new = f"{before}transformer.resblocks.{i}.", f"{name}encoder.layers.{i}."
        for end in ("weight", "bias"):
            thirds = own[f"{old}attn.in_proj_{end}"].chunk(3)
            for letter, third in zip("qkv", thirds, strict=True):
                found[f"{new}self_attn.{letter}_proj.{end}"] = third.clone()
            found[f"{new}self_attn.out_proj.{end}"] = own[f"{old}attn.out_proj.{end}"]
            found[f"{new}layer_norm1.{end}"] = own[f"{old}ln_1.{end}"]
            found[f"{new}layer_norm2.{end}"] = own[f"{old}ln_2.{end}"]
            found[f"{new}mlp.fc1.{end}"] = own[f"{old}mlp.c_fc.{end}"]
            found[f"{new}mlp.fc2.{end}"] = own[f"{old}mlp.c_proj.{end}"]
    return found


def hugging_face_folder(
    folder: Path,
    state: dict[str, torch.Tensor],
    *,
    name: str = "model.safetensors",
    image: bool = True,
    **vision,
) -> Path:
    """A folder with config.json, preprocessor_config.json and the weights under one of the usual names."""
    folder.mkdir(exist_ok=True)
    vision = {"hidden_act": "quick_gelu", "image_size": 64, "num_attention_heads": 1} | vision
    text = {"num_attention_heads": 1, "hidden_act": vision["hidden_act"]}
    config = {"model_type": "clip", "vision_config": vision, "text_config": text}
    (folder / "config.json").write_text(json.dumps(config))
    if image:
        numbers = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "resample": 3}
        (folder / "preprocessor_config.json").write_text(json.dumps(numbers))
    if name.endswith(".safetensors"):
        save_file(state, folder / name)
    else:
        torch.save(state, folder / name)
    return folder
