"""The public names; a type checker and an editor read them here, and the package loads each at its first use."""

from .analysis.attribution.attribute import attribute as attribute
from .analysis.attribution.method_ranking import Ranking as Ranking, rank_methods as rank_methods
from .analysis.attribution.randomisation import randomisation_check as randomisation_check
from .analysis.attribution.record import Attribution as Attribution
from .analysis.attribution.share_gap import exact_shares as exact_shares, share_gap as share_gap
from .analysis.attribution.target import Target as Target
from .analysis.embeddings.batch import embed as embed
from .analysis.embeddings.cross_modality import (
    CrossModality as CrossModality,
    cross_modality as cross_modality,
)
from .analysis.embeddings.missing_modalities import (
    MissingModalities as MissingModalities,
    missing_modalities as missing_modalities,
)
from .analysis.embeddings.neighbours import Neighbours as Neighbours, neighbours as neighbours
from .analysis.embeddings.pair_shares import (
    PairShares as PairShares,
    pair_window_shares as pair_window_shares,
)
from .analysis.embeddings.query_table import query_table as query_table
from .analysis.embeddings.store import Store as Store, open_store as open_store
from .analysis.embeddings.store_export import export_store as export_store
from .analysis.embeddings.table import EmbeddingTable as EmbeddingTable
from .analysis.embeddings.view import (
    EmbeddingView as EmbeddingView,
    ViewSettings as ViewSettings,
    embedding_view as embedding_view,
)
from .analysis.experiments.ablation_run import People as People, ablate_people as ablate_people
from .analysis.experiments.ablation_table import AblationPlan as AblationPlan
from .analysis.experiments.occlusion import occlusion_curves as occlusion_curves
from .analysis.experiments.occlusion_record import OcclusionCurves as OcclusionCurves
from .analysis.experiments.sample_tokens import sample_tokens as sample_tokens
from .analysis.experiments.stored_results import embedded_ablation as embedded_ablation
from .analysis.extraction.estimate import (
    ExtractionEstimate as ExtractionEstimate,
    estimate_extraction as estimate_extraction,
)
from .analysis.extraction.extract import extract as extract
from .analysis.findings.near_duplicates import near_duplicates as near_duplicates
from .analysis.findings.outliers import outliers as outliers
from .analysis.findings.record import Findings as Findings
from .analysis.findings.split_leaks import split_leaks as split_leaks
from .analysis.findings.wrong_identities import wrong_identities as wrong_identities
from .analysis.measures.comparison import compare as compare
from .analysis.measures.comparison_record import Comparison as Comparison
from .analysis.measures.head_retrieval import held_out as held_out, validation_map as validation_map
from .analysis.measures.null_comparison import (
    NullComparison as NullComparison,
    compare_with_nulls as compare_with_nulls,
)
from .analysis.measures.null_features import null_features as null_features
from .analysis.measures.paired_retrieval import PairedRetrieval as PairedRetrieval
from .analysis.measures.reranking import rerank as rerank
from .analysis.measures.reranking_record import Reranking as Reranking
from .analysis.measures.retrieval import retrieval as retrieval
from .analysis.measures.retrieval_record import RetrievalReport as RetrievalReport
from .analysis.projection.coupling_sweep import (
    CouplingSweep as CouplingSweep,
    coupling_sweep as coupling_sweep,
)
from .analysis.projection.extension import extend as extend
from .analysis.projection.project import project as project
from .analysis.projection.record import Projection as Projection
from .analysis.projection.sampled import project_some as project_some
from .analysis.shares.block_shares import BlockShares as BlockShares, cls_by_block as cls_by_block
from .analysis.shares.cls_split import ClsSplit as ClsSplit, cls_by_patch as cls_by_patch
from .analysis.shares.decomposition import Decomposition as Decomposition, decompose as decompose
from .analysis.shares.fusion_weights import FusionWeights as FusionWeights, fusion_weights as fusion_weights
from .analysis.shares.gate import GateWeights as GateWeights, gate_weights as gate_weights
from .analysis.shares.net_push import net_pushes as net_pushes, norm_shares as norm_shares
from .analysis.shares.window_removal import (
    WindowRemoval as WindowRemoval,
    remove_each_window as remove_each_window,
)
from .analysis.shares.window_shuffle import shuffle_windows as shuffle_windows
from .analysis.text_search.recall import TextRecall as TextRecall, text_recall as text_recall
from .analysis.text_search.record import TextSearch as TextSearch
from .analysis.text_search.search import search_text as search_text
from .analysis.windows.activations import (
    WindowActivations as WindowActivations,
    window_activations as window_activations,
)
from .analysis.windows.geometry import (
    WindowGeometry as WindowGeometry,
    describe_windows as describe_windows,
    tiles as tiles,
    windows as windows,
)
from .data.images.image_source import Crop as Crop
from .data.progress import Progress as Progress
from .data.sample import Sample as Sample
from .data.sets.layouts import (
    query_and_gallery as query_and_gallery,
    samples as samples,
    scan as scan,
)
from .data.sets.report import DataReport as DataReport
from .data.sets.thermal_range import thermal_range as thermal_range
from .data.sets.verification import verify as verify
from .data.synthetic.crowd import Crowd as Crowd
from .data.synthetic.write_samples import write_samples as write_samples
from .data.tags.opening import open_tags as open_tags
from .data.tags.tags import Tags as Tags
from .errors import MswinVizError as MswinVizError
from .model.addon.mixture import MixtureOfExpertsAddon as MixtureOfExpertsAddon
from .model.addon.own import Addon as Addon
from .model.addon.projected_windows import (
    CLIPWithProjectionMultiScale as CLIPWithProjectionMultiScale,
    FeatureProjectionAdapter as FeatureProjectionAdapter,
    MultiScaleFeatureExtractor as MultiScaleFeatureExtractor,
)
from .model.addon.sliding_window import (
    CLIPMultiScaleFeatureExtractor as CLIPMultiScaleFeatureExtractor,
    CLIPMultiScaleSlidingWindow as CLIPMultiScaleSlidingWindow,
)
from .model.archives.weight_files import read_state_dict as read_state_dict
from .model.encoder.backbone import Model as Model
from .model.encoder.image_tags import ImageTag as ImageTag
from .model.loading import load_host_model as load_host_model, load_model as load_model
from .model.tokens.tokens import Tokens as Tokens
from .model.training.fit import (
    Schedule as Schedule,
    TrainedAddon as TrainedAddon,
    Watch as Watch,
    train_addon as train_addon,
)
from .model.training.labelled_tokens import (
    LabelledTokens as LabelledTokens,
    labelled_tokens as labelled_tokens,
    modality_classes as modality_classes,
)
from .model.weights.addon_files import save_addon as save_addon
from .model.weights.checkpoints import load_addon as load_addon
from .model.weights.config_files import read_config as read_config
from .model.weights.host_config import HostConfig as HostConfig
from .model.weights.load_report import LoadReport as LoadReport
from .view.attributions.explorer import AttributionExplorer as AttributionExplorer
from .view.attributions.figures import (
    attributions_figure as attributions_figure,
    curves_figure as curves_figure,
    gap_figure as gap_figure,
    randomisation_figure as randomisation_figure,
)
from .view.embeddings.change_figure import change_figure as change_figure
from .view.embeddings.explorer import EmbeddingExplorer as EmbeddingExplorer
from .view.embeddings.figures import (
    measures_figure as measures_figure,
    nulls_figure as nulls_figure,
    silhouette_figure as silhouette_figure,
    similarity_figure as similarity_figure,
)
from .view.embeddings.map_figures import maps_figure as maps_figure
from .view.embeddings.protocol_figures import cross_modality_figure as cross_modality_figure
from .view.paper.occlusion import occlusion_figure as occlusion_figure
from .view.paper.paper import paper_figure as paper_figure
from .view.findings.figures import findings_figure as findings_figure
from .view.findings.view import FindingsView as FindingsView
from .view.parts.figure_file import figure_bytes as figure_bytes
from .view.parts.neighbour_strip import NeighbourStrip as NeighbourStrip
from .view.parts.training_curve import TrainingCurve as TrainingCurve
from .view.reports.ablation_tables import ablation_table as ablation_table
from .view.reports.ablation_words import (
    ablation_brief as ablation_brief,
    ablation_sentences as ablation_sentences,
)
from .view.retrieval.figures import ranked_figure as ranked_figure
from .view.retrieval.saved_lists import (
    SavedLists as SavedLists,
    save_ranked_lists as save_ranked_lists,
)
from .view.retrieval.view import RetrievalView as RetrievalView
from .view.scales.explorer import ScaleExplorer as ScaleExplorer
from .view.text_search.view import TextSearchView as TextSearchView

__version__: str
