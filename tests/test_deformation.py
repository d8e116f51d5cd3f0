"""A head's own deformation: laws of the value, and that its fit brings a head onto a matte."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from core.alignment import Framing
from core.camera import HALF_FOV, Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.models.configuration import TOY
from core.models.generator import Generator
from core.models.volume import RaySamples
from core.photo import Photo
from core.refinement import contour
from core.refinement.wanted_outline import AROUND
from core.rendering.deformation import Deformation
from core.rendering.folded import FoldedField
from core.rendering.frames import render_layer
from core.rendering.precision import distance
from core.rendering.solids import EXTENT
from core.tensor_camera import project

ASTRONAUT = Path(__file__).parent / "data" / "astronaut.jpg"


def _bent(amount: float = 0.004, size: int = 9) -> Deformation:
    """Everything is shown this much further to the right, above the middle."""
    displacement = torch.zeros(size, size, size, 3)
    axis = torch.linspace(-EXTENT, EXTENT, size)
    displacement[..., 0] = -amount * (axis > 0).float()[None, :, None]
    return Deformation(displacement)


def test_no_displacement_leaves_every_place_where_it_is() -> None:
    points = torch.rand(50, 3) * 0.2 - 0.1
    assert torch.equal(Deformation(torch.zeros(5, 5, 5, 3)).source(points), points)


def test_the_axes_of_the_grid_are_those_of_the_world() -> None:
    size = 5
    displacement = torch.zeros(size, size, size, 3)
    displacement[4, 2, 2] = torch.tensor((0.001, 0.002, 0.003))  # at x = EXTENT, y = z = 0
    moved = Deformation(displacement).source(torch.tensor([[EXTENT, 0.0, 0.0], [0.0, EXTENT, 0.0]]))
    assert torch.allclose(moved[0], torch.tensor((EXTENT + 0.001, 0.002, 0.003)))
    assert torch.allclose(moved[1], torch.tensor((0.0, EXTENT, 0.0)))


def test_folded_and_plain_fields_are_deformed_alike() -> None:
    torch.manual_seed(0)
    field = Generator(TOY.generator).renderer.network
    styles = torch.randn(1, field.config.rows, field.config.style_dim)
    points = torch.rand(1, 200, 3) * 0.2 - 0.1
    bent = _bent()
    with torch.inference_mode():
        folded = FoldedField(field, styles, bent)
        assert torch.allclose(folded.sdf(points), bent.sdf(distance(field, styles))(points), atol=1e-6)
        h = folded.hidden(points[0])
        assert torch.allclose(folded.sdf_from(h, points[0]), folded.sdf(points)[0], atol=1e-6)


def test_a_pass_of_deformed_samples_is_placed_where_the_head_is() -> None:
    torch.manual_seed(0)
    generator = Generator(TOY.generator)
    styles = torch.randn(1, TOY.generator.field.rows, TOY.generator.field.style_dim)
    points = torch.rand(1, 6, 4, 3) * 0.1 - 0.05
    samples = RaySamples(points, torch.ones(1, 6, 4), torch.full((1, 6, 4), 0.01), torch.zeros(1, 6, 3))
    bent = _bent(0.02)
    with torch.inference_mode():
        placed = bent.placed(generator.renderer.geometry(styles, bent.samples(samples)), samples)
    assert torch.equal(placed.samples.points, points)
    assert torch.allclose(placed.xyz, (placed.weights[..., None] * points).sum(dim=2), atol=1e-6)


@pytest.fixture(scope="module")
def reconstructed() -> tuple[Engine, Inversion]:
    """The embedded weights, and the astronaut's head."""
    engine = Engine.open(device="cpu")
    return engine, engine.invert(Photo.load(ASTRONAUT), Job.quiet())


def test_fast_and_slow_twin_draw_the_same_deformed_head(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    assert inversion.deformation is not None
    head = engine.tiers.head(inversion, LatentEdit.none)
    with torch.inference_mode():
        fast, fast_alpha = render_layer(engine.tiers.networks, head, Camera(0.3, 0.0), 128, "picture")
        slow, slow_alpha = render_layer(engine.tiers.networks, head, Camera(0.3, 0.0), 128, "picture", plainly=True)
    error = ((fast * fast_alpha - slow * slow_alpha) ** 2).mean()
    assert 10.0 * np.log10(4.0 / float(error)) > 34.0


def test_the_deformation_brings_the_head_onto_the_photo(reconstructed: tuple[Engine, Inversion]) -> None:
    """Without it the astronaut's hair is trimmed by some pixels: her mean difference is .048."""
    _, inversion = reconstructed
    assert inversion.metrics["mae"] < 0.038


def test_a_crown_beyond_the_picture_is_where_the_photo_has_it(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    person, known = inversion.aligned.around(Photo.load(ASTRONAUT), Framing(), AROUND)
    assert known[14:40].all(), "the photo shows more than the picture"
    wide = Camera(inversion.camera.yaw, inversion.camera.pitch, math.atan(AROUND * math.tan(HALF_FOV)))
    normals = engine.render(RenderRequest(inversion, LatentEdit.none, wide, 256, "normals")).pixels.astype(int)
    head = np.abs(normals - normals[0, 0]).sum(2) > 12
    columns = np.flatnonzero(person[30] > 0.5)  # a little below where the picture ends
    tops = [np.argmax(mask[:, columns], axis=0) for mask in (person > 0.5, head)]
    assert len(columns) > 30, "the picture cuts this head off"
    assert np.abs(tops[0] - tops[1]).mean() < 3.0  # .8; 10.4 where nobody looks beyond the picture


def test_the_chin_stays_where_the_photo_has_it(reconstructed: tuple[Engine, Inversion]) -> None:
    """Outlines of hair and neck pull at it from afar: it was eight pixels of 256 too low."""
    engine, inversion = reconstructed
    networks, source = engine.tiers.networks, engine.tiers.head(inversion, LatentEdit.none).source
    assert networks.landmarks is not None
    assert networks.landmark_indices is not None
    assert source.deformation is not None
    assert source.marks is not None
    chin = networks.landmark_indices.tolist().index(152)
    with torch.inference_mode():
        tip = source.deformation.placed_back(networks.landmarks(source.styles[:, 0])[:, chin])
        place = (project(tip[None], source.angles)[0][0, 0] + 1.0) * 0.5
    assert 256.0 * float((place - source.marks[152]).norm()) < 3.5


def test_only_hair_meets_hair_from_far_off() -> None:
    """An ear that was matched with hair behind it grew to twice its size."""
    side = contour.SIDE
    photo, own = torch.zeros(1, 1, side, side), torch.zeros(1, 1, side, side)
    photo[..., : side // 2, :], own[..., : side // 4, :] = 1.0, 1.0
    hair = contour._Hair(photo, own, torch.ones_like(own), torch.ones_like(own))
    # Contour points to the right of what they bound, in four rows.
    places = np.array([[100.0, row, 1.0, 0.0] for row in (10, 25, 50, 100)])
    assert hair.joins(places, places).tolist() == [True, True, False, False]
    # A point on the edge of the head is asked a little inside.
    own[..., 99:] = 0.0
    assert hair.joins(places, places).tolist() == [True, True, False, False]
