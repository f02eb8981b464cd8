"""Evaluation, ablation, training of add-ons on a data set."""
