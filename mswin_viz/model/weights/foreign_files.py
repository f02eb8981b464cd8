"""Names what a file without a CLIP image tower holds, from its keys, so that a refusal can say it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NO_CLS = "attention pooling, no CLS token"
_NO_SPACE = "no projection into CLIP's space"
_KINDS: tuple[tuple[str, str], ...] = (
    ("a LoRA adapter, without the model it belongs to", r".*\.lora_[AB]\."),
    ("CoCa (attention pooling, captions)", r"visual\.attn_pool\.(query|attn)"),
    ("BLIP-2", r"(qformer|Qformer)\.|query_tokens$"),
    ("BLIP", r"visual_encoder\.(blocks|cls_token)|vision_model\.encoder\.layers\.\d+\.self_attn\.qkv"),
    ("X-CLIP (video)", r"mit\.|prompts_visual_layernorm"),
    ("OWL-ViT", r"(owlvit|owlv2)\.|vision_model\.pre_layernorm\."),
    ("ViTamin", r"visual\.trunk\.patch_embed\.backbone\.stem\."),
    ("MobileCLIP",
     r"(visual\.trunk|image_encoder\.model)\.(.*(rbr_|reparam|token_mixer|mobile_)|patch_emb(ed)?\.(backbone\.)?\d)"),
    ("a Perception Encoder or MobileCLIP2 (a timm tower)", r"visual\.trunk\.norm_pre\."),
    (f"SigLIP ({_NO_CLS})",
     r"(vision_model\.)?head\.(probe|attention)|(visual\.trunk\.)?attn_pool\.(latent|q)\b|(vision_model\.)?embeddings\.patch_embedding\.bias$"),
    ("EVA-CLIP",
     r"(visual\.)?(trunk\.)?(blocks\.\d+\.(attn\.(q_bias|q_proj|k_proj|inner_attn_ln|rope)|mlp\.(w1|w12|fc1_g)\b)|rope\.)"),
    (f"CLIP's ResNet (RN50, RN101, RN50x4 and so on: {_NO_CLS})", r"visual\.(layer1\.0|attnpool)\."),
    ("ConvNeXt",
     r"(visual\.|backbone\.)?(trunk\.)?(encoder\.)?(stages\.\d+\.(blocks\.|layers\.)?\d+\.(conv_dw|dwconv|gamma)|downsample_layers\.0)|convnext"),
    ("a Swin Transformer", r".*relative_position_bias_table$"),
    ("SAM", r"image_encoder\.blocks\.|mask_decoder\."),
    ("MAE", r"decoder_blocks\.\d+\.|decoder\.decoder_layers"),
    ("DINOv2 or DINOv3 (no text space)",
     r"(backbone\.|teacher\.|student\.)*(blocks\.(\d+\.)+ls1\.gamma|(encoder\.)?layer\.\d+\.layer_scale1|(embeddings\.)?(register|storage)_tokens)|(backbone\.)?dino"),
    ("a timm Vision Transformer inside an open_clip model", r"visual\.trunk\.(blocks|patch_embed|pos_embed)"),
    (f"a Vision Transformer of timm, DINO or MAE ({_NO_SPACE})", r"(backbone\.|base\.|encoder\.)?blocks\.\d+\.attn\.qkv\."),
    (f"a Vision Transformer of Hugging Face ({_NO_SPACE})", r"(vit\.|deit\.)?embeddings\.(cls_token|patch_embeddings)"),
    (f"a ResNet (no CLS token, {_NO_SPACE})", r"(backbone\.|base\.|resnet\.)?(layer1\.0\.conv1|encoder\.stages\.0\.layers)\."),
    ("the text side of a CLIP alone", r"(text_model\.(embeddings|encoder)|(embeddings\.)?token_embedding)\."),
    ("a language model (BERT or the like)", r"(bert\.|roberta\.)?embeddings\.word_embeddings"),
    ("the state of an optimizer", r"(\d+\.)?(exp_avg|momentum_buffer)"),
)  # fmt: skip
"""Each kind's name, and a pattern for the beginning of a key; the first kind with a matching key is the file's."""


def foreign_kind(keys: Iterable[str]) -> str | None:
    """What a file with these keys is, in words; None where no known kind has such keys."""
    keys = list(keys)
    return next((kind for kind, pattern in _KINDS if any(re.match(pattern, key) for key in keys)), None)
