"""What is known of the generator's latents: their statistics, and the landmarks that belong to them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from core.models.encoder import EncoderOutput
from core.models.generator import Generator
from core.models.landmarks import LandmarkRegressor

LANDMARK_RATE, LANDMARK_DECAY, LANDMARK_NOISE = 1e-3, 0.3, 0.3
"""AdamW's rate and decay for the landmark network, and what its latents are disturbed by (deviations). With a third of
the noise, a thirtieth of the decay and three times the draws it knew 32,000 heads by heart: others were 2.07
thousandths off instead of 1.81."""


@dataclasses.dataclass(frozen=True, eq=False)
class Latents:
    """Statistics of the generator's latents: means and standard deviation.

    Shape:
        w_mean, w_std: (style_dim,). s_mean: (rows_d, decoder_style_dim). s_std: same.
    """

    w_mean: Tensor
    w_std: Tensor
    s_mean: Tensor
    s_std: Tensor

    def of(self, found: EncoderOutput) -> tuple[Tensor, Tensor]:
        """E0's answer as latents: styles (N, rows, style_dim) and decoder styles (N, rows_d, D).

        The geometry rows share their mean, as in the product: the field only ever saw one latent for all of them, and
        rows of their own were seen to leave what it knows.
        """
        styles = found.styles.float() * self.w_std + self.w_mean
        shared = styles[:, :-1].mean(1, keepdim=True).expand(-1, styles.shape[1] - 1, -1)
        return torch.cat([shared, styles[:, -1:]], 1), found.decoder_styles.float() * self.s_std + self.s_mean


@torch.no_grad()
def latent_statistics(generator: Generator, count: int = 20000, seed: int = 0) -> Latents:
    """Means and deviations over ``count`` seeded z."""
    device = next(generator.parameters()).device
    z = torch.randn(count, generator.config.z_dim, generator=torch.Generator().manual_seed(seed)).to(device)
    w = generator.mapping(z)
    s = generator.decoder_styles(w)
    return Latents(w.mean(0), w.std(0) + 1e-3, s.mean(0), s.std(0) + 1e-3)


def fit_landmarks(
    generator: Generator, z: Tensor, landmarks: Tensor, steps: int = 3000, batch: int = 256
) -> LandmarkRegressor:
    """Fits the landmark network on the world's exact landmarks.

    Args:
        generator: Whose latents it reads.
        z: Codes of heads (N, 256); the more heads, the better it does on others.
        landmarks: Theirs (N, L, 3), world frame.
        steps: Of Adam.
        batch: Heads a step.
    """
    latents = latent_statistics(generator)
    regressor = LandmarkRegressor(len(latents.w_mean), landmarks.shape[1]).to(z.device)
    regressor.mean.copy_(landmarks.mean(0))
    regressor.w_mean.copy_(latents.w_mean)
    regressor.w_std.copy_(latents.w_std)
    optimiser = torch.optim.AdamW(regressor.parameters(), LANDMARK_RATE, weight_decay=LANDMARK_DECAY)
    with torch.no_grad():
        w = torch.cat([generator.mapping(part) for part in z.split(4096)])
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = LANDMARK_RATE * (1 - step / steps) + 1e-6
        index = torch.randint(0, len(z), (batch,), device=z.device)
        # What E0 and landmarks ask for lies beside the codes of heads.
        near = w[index] + torch.randn_like(w[index]) * latents.w_std * LANDMARK_NOISE
        loss = (regressor(near) - landmarks[index]).abs().mean() * 100
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return regressor.requires_grad_(False).eval()


def landmark_misfit(generator: Generator, regressor: LandmarkRegressor, z: Tensor, landmarks: Tensor) -> float:
    """How far the network's landmarks are from true ones, mean over heads and landmarks (world units)."""
    with torch.no_grad():
        return float((regressor(generator.mapping(z)) - landmarks).norm(dim=-1).mean())
