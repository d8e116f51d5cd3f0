"""Rows of the released family: thumbnail, hybrid pictures, surface; each beside the plain path.

The field holds a head (``core.bench.head``); everything else has made-up weights of the right sizes, so the pictures
mean nothing, but every product and every look-up is there. The slow twin of a hybrid picture is the paper's whole path
for one frame: the photo's view, its edited view, the new view, alignment and local features for both, and the decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.bench import head
from core.bench.made_up import draw, filled
from core.bench.rows import Row, row
from core.bench.surface_twins import compared, dense_surface
from core.bench.timing import alternately, peak_rss_mb, timed
from core.evaluation.metrics import psnr
from core.job import Job
from core.models.configuration import ModelConfig
from core.models.generator import Generator
from core.models.hybrid import HybridRenderer
from core.models.volume import look_at_origin, projection_matrix
from core.released.frozen_field import FrozenField
from core.released.tiers import Accuracy, EditTier, PhotoTier, Released
from core.rendering import blocks

__all__ = ["Official", "official_rows", "surface_row"]

# The photo's camera and the one that is turned to, yaw and pitch [rad].
PHOTO_VIEW, NEW_VIEW = (0.12, 0.04), (-0.35, 0.1)
# Standard deviations of other people's views: those of StyleSDF's training.
YAW_SPREAD, PITCH_SPREAD = 0.3, 0.15
# Largest weight that a ray of the thumbnail may leave out; pictures take the default.
THUMBNAIL_TOLERANCE = 0.25
# Rays at a time in the plain path: a third of a gigabyte of activations.
RAYS = 1024


@dataclass
class Official:
    """The networks, a photo, an edit and two cameras.

    Args:
        config: The family's sizes.
        generator: With a head in its field.
        accuracy: Of the fast twin.
        person: Whose head that is (``core.bench.head.Plan``); others than the mean are seen from elsewhere, too.
    """

    config: ModelConfig
    generator: Generator
    accuracy: Accuracy = field(default_factory=Accuracy)
    person: int = 0

    def __post_init__(self) -> None:
        with torch.device("meta"):
            network = HybridRenderer.build(self.config, RAYS)
        parts = {"local": "netLocal", "modulation": "netLocal", "aligner": "grid_align", "fusion": "Fuse_sft_block"}
        for name, part in parts.items():
            module = getattr(network, name)
            if module is not None:
                setattr(network, name, filled(partial(_itself, module), head.SALT, part))
        network.generator = self.generator
        self.network = network.eval()
        self.released = Released(self.network, self.accuracy)
        self.styles = head.latent(self.config)
        rows, dim = self.config.decoder_rows, self.config.generator.decoder.style_dim
        self.decoder_styles = torch.from_numpy(0.3 * draw(head.SALT, "w", "decoder", (dim,))).float()
        self.decoder_styles = self.decoder_styles.expand(1, rows, dim)
        moved = head.edit_direction(self.config)
        self.moved = (self.styles + moved[0], self.decoder_styles + moved[1])
        self.seen, self.turned = torch.tensor([PHOTO_VIEW]), torch.tensor([NEW_VIEW])
        if self.person:
            yaws, pitches = torch.from_numpy(draw(head.SALT, "views", str(self.person), (2, 2))).float()
            self.seen, self.turned = torch.stack((YAW_SPREAD * yaws, PITCH_SPREAD * pitches), dim=1)[:, None]
        self.photo = self._photo()

    def _photo(self) -> Tensor:
        """A photo that this head could be of: its own render, enlarged, with a pattern that the latents missed."""
        thumb = self.generator.render(self.styles, look_at_origin(*self.seen.T), ray_chunk=RAYS)
        side = round(thumb.rgb.shape[1] ** 0.5)
        picture = functional.interpolate(thumb.maps(side).rgb, size=256, mode="bilinear")
        pattern = torch.from_numpy(draw(head.SALT, "photo", "pattern", (1, 3, 64, 64))).float()
        return (picture + 0.1 * functional.interpolate(pattern, size=256, mode="bilinear")).clamp(-1.0, 1.0)

    # ------------------------------------------------------------------------------------------------------- twins

    def plain_picture(self, resolution: int | None) -> tuple[Tensor, Tensor]:
        """The paper's whole path for one frame: picture and thumbnail."""
        network, samples = self.network, self.generator.renderer.plain_samples
        view, other = look_at_origin(*self.seen.T), look_at_origin(*self.turned.T)
        fov = self.config.generator.volume.half_fov
        with torch.inference_mode():
            seen = network.geometry(self.styles, samples(view))
            edited = (*self.moved, network.geometry(self.moved[0], samples(view)))
            reference = network.encode_reference(
                self.photo, self.styles, self.decoder_styles, seen, projection_matrix(view, fov), edited
            )
            del seen, edited
            geometry = network.geometry(self.moved[0], samples(other))
            query = network.prepare_query(reference, geometry, projection_matrix(other, fov))
            return network.finish(reference, query, resolution=resolution).picture, query.thumb

    def tiers(self) -> tuple[PhotoTier, EditTier]:
        """What is made once a photo and once an edit."""
        source = self.released.photo_tier(self.photo, self.styles, self.decoder_styles, self.seen, Job.quiet())
        return source, self.released.edit_tier(source, self.moved, Job.quiet())


def official_rows(
    generator: Generator, config: ModelConfig, repeats: int, quick: bool, person: int = 0
) -> Iterator[Row]:
    """The rows but the surface's."""
    official = Official(config, generator, person=person)
    yield _thumbnail(official, repeats, quick)
    photo_ms, source = timed(
        lambda: official.released.photo_tier(
            official.photo, official.styles, official.decoder_styles, official.seen, Job.quiet()
        )
    )
    edit_ms, edited = timed(lambda: official.released.edit_tier(source, official.moved, Job.quiet()))
    sides = [side for side, _ in config.generator.decoder.channels]
    for side, ratio in ((256, 8.0), (1024, 4.0)):
        resolution = min(side, sides[-1])
        freeze_ms, _ = timed(lambda: edited.decoder(resolution))  # noqa: B023 (called at once)
        both = alternately(
            lambda: official.released.picture(edited, official.turned, Job.quiet(), resolution),  # noqa: B023
            lambda: official.plain_picture(resolution),  # noqa: B023
            repeats,
        )
        yield row(
            f"official_hybrid_{side}",
            both.fast_ms,
            {} if quick else {"ratio": (">=", ratio), "psnr_db": (">=", 36.0)},
            slow_ms=both.slow_ms,
            ratio=both.ratio,
            psnr_db=picture_psnr(both.fast.picture, both.slow[0]),
            fallen_share=both.fast.fallen,
            samples_a_ray=both.fast.samples,
            largest_left_out=both.fast.left_out,
            tolerance=official.accuracy.tolerance,
            photo_tier_ms=photo_ms,
            edit_tier_ms=edit_ms + freeze_ms,
            peak_rss_mb=peak_rss_mb(),
            note="fast: the camera tier (photo and edit tier beside it); slow: the whole path of one frame",
        )


def _itself(module: nn.Module) -> nn.Module:
    return module


def surface_row(generator: Generator, config: ModelConfig, resolution: int, quick: bool) -> Row:
    """The edited head's surface; float32 throughout, because signs decide."""
    styles = head.latent(config) + head.edit_direction(config)[0]
    asked = 0

    def fast() -> blocks.Surface:
        frozen = FrozenField(generator.field, styles)

        def sdf(points: Tensor) -> Tensor:
            nonlocal asked
            asked += len(points)
            return frozen.sdf(points)

        return blocks.surface_of(sdf, resolution, styles.device, Job.quiet())

    fast_ms, surface = timed(fast)
    peak = peak_rss_mb()
    slow_ms, dense = timed(
        lambda: dense_surface(lambda points: generator.field.sdf(points[None], styles)[0, :, 0], resolution)
    )
    same = compared((surface.vertices, surface.faces), dense)
    must = {"ratio": (">=", 15.0), "peak_rss_mb": ("<=", 2048.0), "topology_equal": ("==", True)}
    return row(
        "official_surface_128",
        fast_ms,
        {} if quick else must,
        slow_ms=slow_ms,
        ratio=slow_ms / fast_ms,
        topology_equal=same.topology_equal,
        max_vertex_error=same.max_vertex_error,
        points_share=asked / resolution**3,
        vertices=len(surface.vertices),
        resolution=resolution,
        peak_rss_mb=peak,
        note="once each; the peak is that before the dense twin",
    )


def picture_psnr(fast: Tensor, slow: Tensor) -> float:
    """In dB; made-up weights paint in any range: 98 % of the slow picture's pixels are brought to [-1, 1]."""
    low, high = (torch.quantile(slow.flatten()[:: max(1, slow.numel() // 10**6)], q) for q in (0.01, 0.99))
    scale = 2.0 / (high - low).clamp(min=1e-6)
    return psnr((fast - low) * scale - 1.0, (slow - low) * scale - 1.0)


def _thumbnail(official: Official, repeats: int, quick: bool) -> Row:
    """64² x 24 thumbnail and features under the edit."""
    released = Released(official.network, Accuracy(tolerance=THUMBNAIL_TOLERANCE))
    generator, styles = official.generator, official.moved[0]
    state_ms, state = timed(lambda: released.state(styles, Job.quiet()))
    pose = look_at_origin(*official.turned.T)

    def slow() -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            volume = generator.render(styles, pose, ray_chunk=RAYS)
            return volume.rgb[0], volume.feature[0]

    def fast() -> tuple[Tensor, Tensor, float, float, float]:
        with torch.inference_mode():
            one, rgb, feature = released.look(state, released.samples(official.turned), Job.quiet())
            count = len(one.depth)
            return rgb, feature, float(one.fallen.float().mean()), len(one.ray) / count, float(one.left_out.max())

    both = alternately(fast, slow, repeats)
    rgb, feature, fallen, count, left_out = both.fast
    return row(
        "official_g0",
        both.fast_ms,
        {} if quick else {"ratio": (">=", 8.0), "psnr_db": (">=", 38.0)},
        slow_ms=both.slow_ms,
        ratio=both.ratio,
        psnr_db=psnr(rgb, both.slow[0]),
        features_psnr_db=psnr(feature, both.slow[1]),
        fallen_share=fallen,
        samples_a_ray=count,
        largest_left_out=left_out,
        tolerance=THUMBNAIL_TOLERANCE,
        edit_tier_ms=state_ms,
        peak_rss_mb=peak_rss_mb(),
        note="fast: the camera tier; the edit tier (envelope, folded weights) is beside it",
    )
