"""The public names; a type checker and an editor read them here, and the package loads each at its first use."""

from .analysis.windows.activations import (
    WindowActivations as WindowActivations,
    window_activations as window_activations,
)
from .analysis.attribution.attribute import Attribution as Attribution, attribute as attribute
from .analysis.attribution.target import Target as Target
from .analysis.measures.comparison import compare as compare
from .analysis.measures.comparison_record import Comparison as Comparison
from .analysis.projection.coupling_sweep import (
    CouplingSweep as CouplingSweep,
    coupling_sweep as coupling_sweep,
)
from .analysis.shares.decomposition import Decomposition as Decomposition, decompose as decompose
from .analysis.embeddings.table import EmbeddingTable as EmbeddingTable
from .analysis.embeddings.view import (
    EmbeddingView as EmbeddingView,
    ViewSettings as ViewSettings,
    embedding_view as embedding_view,
)
from .analysis.shares.gate import GateWeights as GateWeights, gate_weights as gate_weights
from .analysis.embeddings.batch import embed as embed
from .analysis.attribution.method_ranking import Ranking as Ranking, rank_methods as rank_methods
from .analysis.embeddings.neighbours import (
    Neighbours as Neighbours,
    PairShares as PairShares,
    neighbours as neighbours,
    pair_window_shares as pair_window_shares,
)
from .analysis.measures.null_comparison import (
    NullComparison as NullComparison,
    compare_with_nulls as compare_with_nulls,
)
from .analysis.measures.null_features import null_features as null_features
from .analysis.projection.project import project as project
from .analysis.projection.extension import extend as extend
from .analysis.projection.record import Projection as Projection
from .analysis.measures.retrieval import RetrievalReport as RetrievalReport, retrieval as retrieval
from .analysis.experiments.sample_tokens import sample_tokens as sample_tokens
from .analysis.measures.head_retrieval import held_out as held_out, validation_map as validation_map
from .analysis.windows.geometry import WindowGeometry as WindowGeometry, windows as windows
from .data.images.image_source import Crop as Crop
from .data.sample import Sample as Sample
from .data.sets.layouts import (
    query_and_gallery as query_and_gallery,
    samples as samples,
    scan as scan,
)
from .data.sets.report import DataReport as DataReport
from .data.sets.thermal_range import thermal_range as thermal_range
from .data.sets.verification import verify as verify
from .errors import MswinVizError as MswinVizError
from .model.weights.addon_files import save_addon as save_addon
from .model.encoder.backbone import Model as Model
from .model.weights.load_report import LoadReport as LoadReport
from .model.weights.checkpoints import load_addon as load_addon
from .model.weights.host_config import HostConfig as HostConfig
from .model.weights.config_files import read_config as read_config
from .model.encoder.image_tags import ImageTag as ImageTag
from .model.loading import load_host_model as load_host_model, load_model as load_model
from .model.addon.mixture import MixtureOfExpertsAddon as MixtureOfExpertsAddon
from .model.addon.sliding_window import (
    CLIPMultiScaleFeatureExtractor as CLIPMultiScaleFeatureExtractor,
    CLIPMultiScaleSlidingWindow as CLIPMultiScaleSlidingWindow,
    CLIPWithProjectionMultiScale as CLIPWithProjectionMultiScale,
    FeatureProjectionAdapter as FeatureProjectionAdapter,
    MultiScaleFeatureExtractor as MultiScaleFeatureExtractor,
)
from .model.tokens.tokens import Tokens as Tokens
from .model.training.fit import (
    Schedule as Schedule,
    TrainedAddon as TrainedAddon,
    Watch as Watch,
    train_addon as train_addon,
)
from .view.attributions.explorer import AttributionExplorer as AttributionExplorer
from .view.embeddings.explorer import EmbeddingExplorer as EmbeddingExplorer
from .view.scales.explorer import ScaleExplorer as ScaleExplorer
from .view.parts.neighbour_strip import NeighbourStrip as NeighbourStrip
from .view.retrieval.figures import ranked_figure as ranked_figure
from .view.retrieval.view import RetrievalView as RetrievalView
from .view.parts.training_curve import TrainingCurve as TrainingCurve

__version__: str
