"""Three tiers: the plain path where nothing may be lost, near it elsewhere, and never the picture of another head."""

from __future__ import annotations

import pytest
import torch

from core.job import Job
from core.models.hybrid import HybridRenderer
from core.models.volume import look_at_origin, projection_matrix
from core.released.tiers import Accuracy, EditTier, PhotoTier, Released
from tests.released.toy_released import toy_hybrid, toy_latents

SEEN, ELSEWHERE = torch.tensor([[0.1, 0.05]]), torch.tensor([[-0.4, 0.1]])


@pytest.fixture(scope="module")
def network() -> HybridRenderer:
    return toy_hybrid()


def photo(seed: int = 0) -> torch.Tensor:
    small = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0
    return torch.nn.functional.interpolate(small, size=256, mode="bilinear")


def tiers(released: Released, edit: float = 0.5, seed: int = 0) -> tuple[PhotoTier, EditTier]:
    styles, decoder_styles = toy_latents(seed)
    source = released.photo_tier(photo(seed), styles, decoder_styles, SEEN, Job.quiet())
    moved = None if edit == 0.0 else (styles + edit * toy_latents(9)[0], decoder_styles + edit)
    return source, released.edit_tier(source, moved, Job.quiet())


def plainly(network: HybridRenderer, edit: float, angles: torch.Tensor, resolution: int) -> torch.Tensor:
    """The whole path, as the goldens prove it."""
    styles, decoder_styles = toy_latents()
    samples = network.generator.renderer.plain_samples
    view, other = (look_at_origin(a[:, 0], a[:, 1]) for a in (SEEN, angles))
    fov = network.generator.config.volume.half_fov
    seen = network.geometry(styles, samples(view))
    edited = None
    if edit != 0.0:
        moved = styles + edit * toy_latents(9)[0]
        edited = (moved, decoder_styles + edit, network.geometry(moved, samples(view)))
    reference = network.encode_reference(photo(), styles, decoder_styles, seen, projection_matrix(view, fov), edited)
    query = network.prepare_query(
        reference, network.geometry(reference.styles, samples(other)), projection_matrix(other, fov)
    )
    return network.finish(reference, query, resolution=resolution).picture


@pytest.mark.parametrize("edit", [0.0, 0.5])
def test_a_tolerance_of_zero_is_the_plain_path_bit_for_bit(network: HybridRenderer, edit: float) -> None:
    released = Released(network, Accuracy(tolerance=0.0))
    found = released.picture(tiers(released, edit)[1], ELSEWHERE, Job.quiet(), 128)
    assert torch.equal(found.picture, plainly(network, edit, ELSEWHERE, 128))


@pytest.mark.parametrize("edit", [0.0, 0.5])
def test_guided_pictures_are_near_the_plain_ones(network: HybridRenderer, edit: float) -> None:
    wanted = plainly(network, edit, ELSEWHERE, 128)
    for accuracy, allowed in ((Accuracy(0.005, low_field=False, low_pictures=False), 0.02), (Accuracy(0.02), 0.1)):
        released = Released(network, accuracy)
        found = released.picture(tiers(released, edit)[1], ELSEWHERE, Job.quiet(), 128)
        assert found.left_out <= accuracy.tolerance
        error = float((found.picture - wanted).square().mean().sqrt() / wanted.std())
        assert error < allowed


def test_whatever_changes_the_picture_is_that_of_a_fresh_start(network: HybridRenderer) -> None:
    released = Released(network)
    kept: dict[tuple[int, float], EditTier] = {}
    for seed, edit, yaw in ((0, 0.0, 0.1), (0, 0.5, 0.1), (1, 0.5, 0.1), (0, 0.5, -0.3), (0, 0.0, 0.1)):
        if (seed, edit) not in kept:
            kept[seed, edit] = tiers(released, edit, seed)[1]
        angles = torch.tensor([[yaw, 0.0]])
        fresh = Released(network)
        wanted = fresh.picture(tiers(fresh, edit, seed)[1], angles, Job.quiet(), 64)
        assert torch.equal(released.picture(kept[seed, edit], angles, Job.quiet(), 64).picture, wanted.picture)


def test_every_stage_reports(network: HybridRenderer) -> None:
    stages: set[str] = set()
    job = Job("", on_report=lambda _, stage: stages.add(stage))
    released = Released(network)
    styles, decoder_styles = toy_latents()
    source = released.photo_tier(photo(), styles, decoder_styles, SEEN, job.part(0.0, 0.3))
    head = released.edit_tier(source, (styles + 0.1, decoder_styles), job.part(0.3, 0.6))
    released.picture(head, ELSEWHERE, job.part(0.6, 1.0), 128)
    assert stages == {
        *("measuring the head", "looking at the head", "painting the head"),
        *("reading the photo", "painting the picture"),
    }
