"""The loss of training, against a plain loop."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from mswin_viz.model.training.losses import ReidLoss


def test_the_loss_is_the_weighted_sum_of_smoothed_cross_entropy_and_batch_hard_triplets() -> None:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(11, 5, generator=generator)
    labels = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]
    loss = ReidLoss(5, 4).eval()
    unit = F.normalize(features, dim=1).numpy().astype(np.float64)
    triplets = []
    for i, label in enumerate(labels):
        distances = [float(np.linalg.norm(unit[i] - other)) for other in unit]
        farthest = max(distances[j] for j in range(11) if labels[j] == label and j != i)
        nearest = min(distances[j] for j in range(11) if labels[j] != label)
        triplets.append(max(0.0, farthest - nearest + 0.3))
    logs = F.log_softmax(loss.identity(features), dim=1).detach().numpy()
    identity = -np.mean(
        [0.9 * row[label] + 0.1 * row.mean() for row, label in zip(logs, labels, strict=True)]
    )
    np.testing.assert_allclose(
        float(loss(features, torch.tensor(labels)).detach()), 0.25 * identity + np.mean(triplets), rtol=1e-5
    )
