"""The files of tests that take longest, which ``make test`` begins with, so that its processes end together."""

from __future__ import annotations

__all__ = ["LONGEST"]

_FILES = """
    test_ray_engine.py test_explore_scales.py test_every_explorer.py test_long_notebook.py test_hostile_names.py
    train_and_ablate.ipynb test_layout.py attributions.ipynb test_cli_outputs.py test_explorer_addons.py embeddings.ipynb
    test_attributions.py test_cli.py test_explorer.py test_documents.py test_embeddings.py test_odd_names.py test_lifetime.py
    test_embedding_explorer.py test_figure_names.py test_wheel.py test_stored_tokens.py test_attribution_explorer.py
    test_saved_page.py your_module.ipynb test_retrieval_view.py test_pretraining.py test_pyramid.py test_two_models.py
    test_examples.py test_site.py test_recipes.py test_training_kills.py test_lanes.py test_figure_layout.py test_host_model.py
    test_live_notebooks.py
"""
LONGEST = {name: place for place, name in enumerate(_FILES.split())}
"""Name of a file, and its place in the order; those that are not here take less than half a minute."""
