"""In which directions heads differ in w, and how far: what a fit may change of a head that is still a head.

The numbers of w are no independent ones: among them there are directions in which heads differ by three hundred times
as much (in variance) as in others, and a step that is small number by number can lead to where no head lies. A fit that
asks for steps ``spread @ e`` with e ~ N(0, I) asks for what heads are likely to differ by.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.models.generator import Generator

COUNT = 10_000
"""Codes that the covariance is counted from, a fifth of a second."""


@torch.inference_mode(mode=False)
@torch.no_grad()
def latent_spread(generator: Generator, count: int = COUNT) -> Tensor:
    """The symmetric root of the covariance of w over seeded codes.

    Symmetric, because that root is one and the same on all machines, and because its coordinates stay as near to those
    of w as they can be.

    Args:
        generator: Whose mapping hands out w.
        count: Codes.

    Shape:
        returns (style_dim, style_dim).
    """
    device = next(generator.parameters()).device
    z = torch.randn(count, generator.config.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
    w = torch.cat([generator.mapping(part) for part in z.split(2048)]).float()
    variances, axes = torch.linalg.eigh(torch.cov(w.T))
    return (axes * variances.clamp_min(0.0).sqrt()) @ axes.T
