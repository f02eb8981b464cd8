"""The files of tests that take longest, which ``make test`` begins with, so that its processes end together."""

from __future__ import annotations

__all__ = ["LONGEST"]

_FILES = """
    test_attributions.py attributions.ipynb test_explore_scales.py test_every_explorer.py embeddings.ipynb
    test_hostile_names.py train_and_ablate.ipynb test_layout.py test_odd_names.py test_saved_page.py
    test_pretraining.py test_explorer_addons.py test_embeddings.py test_lifetime.py test_figure_layout.py
    test_training_kills.py test_retrieval_view.py test_explorer.py test_two_models.py test_figure_names.py
    test_host_model.py test_wheel.py test_cli.py test_documents.py test_embedding_explorer.py your_module.ipynb
"""
LONGEST = {name: place for place, name in enumerate(_FILES.split())}
"""Name of a file, and its place in the order; those that are not here take less than half a minute."""
