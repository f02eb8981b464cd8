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
        "analysis.comparison": ["compare"],
        "analysis.comparison_record": ["Comparison"],
        "analysis.coupling_sweep": ["CouplingSweep", "coupling_sweep"],
        "analysis.decomposition": ["Decomposition", "decompose"],
        "analysis.embedding_table": ["EmbeddingTable", "embed"],
        "analysis.embedding_view": ["EmbeddingView", "ViewSettings", "embedding_view"],
        "analysis.gate": ["GateWeights", "gate_weights"],
        "analysis.method_ranking": ["Ranking", "rank_methods"],
        "analysis.neighbours": ["Neighbours", "PairShares", "neighbours", "pair_window_shares"],
        "analysis.null_comparison": ["NullComparison", "compare_with_nulls"],
        "analysis.null_features": ["null_features"],
        "analysis.projection": ["project"],
        "analysis.projection_extension": ["extend"],
        "analysis.projection_record": ["Projection"],
        "analysis.retrieval": ["RetrievalReport", "retrieval"],
        "analysis.sample_tokens": ["sample_tokens"],
        "analysis.validation": ["held_out", "validation_map"],
        "analysis.windows": ["WindowGeometry", "windows"],
        "data.images": ["Crop"],
        "data.layouts": ["Sample", "query_and_gallery", "samples", "scan"],
        "data.report": ["DataReport"],
        "data.thermal_range": ["thermal_range"],
        "data.verification": ["verify"],
        "errors": ["MswinVizError"],
        "model.addon_files": ["save_addon"],
        "model.backbone": ["Model"],
        "model.checkpoint_report": ["LoadReport"],
        "model.checkpoints": ["load_addon"],
        "model.config": ["HostConfig"],
        "model.config_files": ["read_config"],
        "model.loading": ["load_host_model", "load_model"],
        "model.mixture": ["MixtureOfExpertsAddon"],
        "model.sliding_window": [
            "CLIPMultiScaleFeatureExtractor",
            "CLIPMultiScaleSlidingWindow",
            "CLIPWithProjectionMultiScale",
            "FeatureProjectionAdapter",
            "MultiScaleFeatureExtractor",
        ],
        "model.tokens": ["Tokens"],
        "model.training": ["Schedule", "TrainedAddon", "Watch", "train_addon"],
        "view.attribution_explorer": ["AttributionExplorer"],
        "view.embedding_explorer": ["EmbeddingExplorer"],
        "view.explorer": ["ScaleExplorer"],
        "view.neighbour_strip": ["NeighbourStrip"],
        "view.retrieval_figures": ["ranked_figure"],
        "view.retrieval_view": ["RetrievalView"],
        "view.training_curve": ["TrainingCurve"],
    },
)
