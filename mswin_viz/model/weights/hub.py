"""Weights on the Hugging Face Hub: from its cache where they are there, else from the network, without long waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from mswin_viz.errors import WeightsNotFoundError
from mswin_viz.model.archives.torch_files import first_words
from mswin_viz.model.archives.weight_files import FOLDER_WEIGHTS, SETTINGS

HUB = "hf-hub:"
"""What a name on the hub begins with, as open_clip writes it."""
_SECONDS = 5


def hub_folder(name: str) -> Path:
    """The folder of ``"hf-hub:ORGANISATION/NAME"`` in the hub's cache, downloaded once; fails within seconds."""
    repo = name.removeprefix(HUB).strip("/")
    try:
        return _cached(repo) or _downloaded(repo)
    except Exception as problem:  # its client passes on the errors of whatever carries it
        raise not_downloaded(name, problem) from problem


def not_downloaded(name: str, problem: Exception) -> WeightsNotFoundError:
    """The error for weights that could not be downloaded."""
    return WeightsNotFoundError(
        f"the weights {name} must be on this machine or downloadable: the download failed "
        f"({type(problem).__name__}: {first_words(problem)}); run once with a network, or copy the weights here and "
        "pass their path as the name"
    )


@contextmanager
def connected_or_offline(place: str) -> Iterator[None]:
    """Keep the hub's client from retrying for half a minute where ``"ORGANISATION/NAME/FILE"`` cannot be reached.

    An empty ``place`` changes nothing.
    """
    repo, was_offline = "/".join(place.split("/")[:2]), constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = was_offline or (bool(repo) and not _is_reachable(repo))
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def _is_reachable(repo: str) -> bool:
    try:
        huggingface_hub.HfApi().model_info(repo, timeout=_SECONDS)
    except HfHubHTTPError:
        return True  # an answer, if an unfriendly one: the client says which
    except Exception:  # of whatever library carries the request
        return False
    return True


def _cached(repo: str) -> Path | None:
    """Its folder in the cache, if weights are there."""
    huggingface_hub.utils.validate_repo_id(repo)
    try:
        folder = Path(huggingface_hub.snapshot_download(repo, local_files_only=True))
    except FileNotFoundError:
        return None
    return folder if any((folder / name).is_file() for name in FOLDER_WEIGHTS) else None


def _downloaded(repo: str) -> Path:
    info = huggingface_hub.HfApi().model_info(repo, timeout=_SECONDS)
    there = {each.rfilename for each in info.siblings or ()}
    weights = next((name for name in FOLDER_WEIGHTS if name in there), None)
    if weights is None:
        raise FileNotFoundError(f"it holds none of {', '.join(FOLDER_WEIGHTS)}")
    shards = [name for name in there if weights.endswith(".index.json") and _is_shard(name, weights)]
    wanted = [weights, *shards, *(name for name in SETTINGS if name in there)]
    return Path(huggingface_hub.snapshot_download(repo, allow_patterns=wanted, etag_timeout=_SECONDS))


def _is_shard(name: str, index: str) -> bool:
    stem, ending = index.removesuffix(".index.json").rsplit(".", 1)
    return name.startswith(f"{stem}-") and name.endswith(f".{ending}")
