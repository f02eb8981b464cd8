"""See what a CLIP image encoder, and a multi-scale sliding-window module on top of it, look at.

Names are loaded on first use: importing the package imports neither torch nor matplotlib.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "analysis.activations": ["WindowActivations", "window_activations"],
        "analysis.attribution": ["Attribution", "attribute"],
        "analysis.attribution_target": ["Target"],
        "analysis.decomposition": ["Decomposition", "decompose"],
        "analysis.gate": ["GateWeights", "gate_weights"],
        "analysis.method_ranking": ["Ranking", "rank_methods"],
        "analysis.retrieval": ["RetrievalReport", "retrieval"],
        "analysis.windows": ["WindowGeometry", "windows"],
        "data.layouts": ["Sample", "samples"],
        "errors": ["MswinVizError"],
        "model.backbone": ["Model", "load_host_model", "load_model"],
        "model.checkpoint_report": ["LoadReport"],
        "model.checkpoints": ["load_addon", "save_addon"],
        "model.config": ["HostConfig", "read_config"],
        "model.mixture": ["MixtureOfExpertsAddon"],
        "model.sliding_window": [
            "CLIPMultiScaleFeatureExtractor",
            "CLIPMultiScaleSlidingWindow",
            "CLIPWithProjectionMultiScale",
            "FeatureProjectionAdapter",
            "MultiScaleFeatureExtractor",
        ],
        "model.tokens": ["Tokens"],
        "model.training": ["TrainedAddon", "train_addon"],
        "view.attribution_explorer": ["AttributionExplorer"],
        "view.explorer": ["ScaleExplorer"],
    },
)
