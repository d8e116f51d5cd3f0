"""Laws of the latents' spread: it is the root of their covariance, one and the same each time, and fits obey it."""

from __future__ import annotations

import torch

from core.models.networks import Networks
from core.models.spread import latent_spread
from core.refinement.landmarks import Likely, as_array
from tests.toy_head import toy_networks


def test_it_is_the_symmetric_root_of_the_covariance() -> None:
    generator = toy_networks().generator
    root = latent_spread(generator, 4000)
    z = torch.randn(4000, generator.config.z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        covariance = torch.cov(generator.mapping(z).T)
    assert torch.allclose(root @ root, covariance, atol=1e-5 * float(covariance.abs().max()) + 1e-7)
    assert torch.allclose(root, root.T, atol=1e-6)
    assert torch.equal(root, latent_spread(generator, 4000))


def test_networks_know_it_also_where_it_is_first_asked_for_during_inference() -> None:
    networks: Networks = toy_networks()
    with torch.inference_mode():
        root = networks.latent_spread
    assert not root.is_inference()
    assert networks.latent_spread is root


def test_steps_of_a_fit_lie_where_heads_differ() -> None:
    likely = Likely(torch.diag(torch.tensor([2.0, 0.0, 1.0])), 0.5)
    unknown = as_array(torch.tensor([1.0, 5.0, -1.0]))
    assert likely.step(unknown).tolist() == [1.0, 0.0, -0.5]
    assert likely.slope(unknown).tolist() == [1.0, 0.0, -0.5], "the transpose of a symmetric root is itself"
