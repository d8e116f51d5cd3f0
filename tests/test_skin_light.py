"""How light skin is beside the photo: as its face is, in the light that its two halves tell, and in nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from core.rendering.skin_light import LEAN, RATIO, SIDE, SkinLight, skin_light
from core.rendering.tones import tone_volume, tones_at
from core.tensor_camera import unproject
from core.visibility import SourceView, source_view
from tests.test_visibility import sphere_surface

SIZE = 128
AHEAD = torch.zeros(1, 2)
OWN = torch.zeros(1, 3, 64, 64)  # 0.5 of white
ALL = torch.ones(1, 1, 64, 64)


def _ball() -> tuple[SourceView, Tensor, Tensor]:
    """A view of a ball, its points, and where it is."""
    depth, hit = sphere_surface(AHEAD, SIZE)
    view = source_view(torch.zeros(1, 3, SIZE, SIZE), depth, hit, hit, AHEAD)
    return view, unproject(depth, AHEAD), hit


def test_how_light_a_skin_is_is_told_by_the_face_alone() -> None:
    view, points, _ = _ball()
    photo = torch.full((1, 3, 256, 256), -1.0)
    photo[:, 0, 64:192, 64:192] = 0.5
    photo[:, 1:, 64:192, 64:192] = -0.5
    face = torch.zeros(1, 1, SIZE, SIZE)
    face[..., 32:96, 32:96] = 1.0
    found = skin_light(photo, OWN, ALL, face, None, points, view)
    torch.testing.assert_close(found.ratio, torch.tensor([1.5, 0.5, 0.5]))
    assert not found.lean.any(), "nobody knows what is skin"
    black = skin_light(torch.full((1, 3, 256, 256), -1.0), OWN, ALL, face, None, points, view)
    assert (black.ratio == RATIO[0]).all()


def test_without_a_face_skin_is_taken_as_it_is() -> None:
    view, points, hit = _ball()
    found = skin_light(torch.ones(1, 3, 256, 256), OWN, ALL, torch.zeros(1, 1, SIZE, SIZE), hit, points, view)
    torch.testing.assert_close(found.at(torch.randn(5, 3)), torch.ones(5, 3))


def test_a_face_in_shade_on_one_side_says_so_of_that_side_and_what_is_on_both_says_nothing() -> None:
    view, points, hit = _ball()
    side = (points[:, :1] / SIDE).clamp(-1.0, 1.0)
    lean = torch.tensor([0.2, 0.3, 0.4])[None, :, None, None]
    blush = 1.0 - 0.3 * (side.abs() > 0.4).float()  # darker on both cheeks
    even = 0.45 * blush.expand(-1, 3, -1, -1)
    for sign in (1.0, -1.0, 0.0):
        photo = 2.0 * even * (sign * lean * side).exp() - 1.0
        found = skin_light(photo, OWN, ALL, hit, hit, points, view)
        torch.testing.assert_close(found.lean, sign * lean.flatten(), atol=0.05, rtol=0.0)
        # Lips and a patch on one side are no light.
        photo[..., 60:70, 70:80] = -0.9
        again = skin_light(photo, OWN, ALL, hit, hit, points, view)
        torch.testing.assert_close(again.lean, found.lean, atol=0.03, rtol=0.0)
    ours = torch.nn.functional.interpolate(2.0 * even * (lean * side).exp() - 1.0, size=(64, 64), mode="area")
    photo = 2.0 * even * (lean * side).exp() - 1.0
    assert skin_light(photo, ours, ALL, hit, hit, points, view).lean.abs().max() < 0.05, "the generator has it as well"
    strong = 2.0 * even * (4.0 * lean * side).exp().clamp(max=2.0) - 1.0
    assert skin_light(strong, OWN, ALL, hit, hit, points, view).lean.max() <= LEAN


def test_half_a_face_says_nothing_of_its_light() -> None:
    view, points, hit = _ball()
    photo = torch.full((1, 3, SIZE, SIZE), -0.2)
    half = hit * (points[:, :1] > 0.0)
    photo = torch.where(half > 0.5, 0.5, photo)
    assert not skin_light(photo, OWN, ALL, hit, half, points, view).lean.any()


def test_a_side_is_as_light_as_its_side_and_a_mirror_image_is_in_the_light_of_its_own() -> None:
    light = SkinLight(torch.full((3,), 0.8), torch.full((3,), 0.5))
    places = torch.tensor([[0.08, 0.0, 0.0], [-0.08, 0.0, 0.0], [0.0, 0.0, 0.08]])
    bright, dark, middle = light.at(places)
    assert bright[0] > middle[0] > dark[0]
    torch.testing.assert_close(bright * dark, middle * middle)
    colours, skin = 2.0 * 0.3 * light.at(places) - 1.0, torch.ones(3, 1)
    mirrored = light.across(colours, places, skin)
    torch.testing.assert_close(mirrored[:2], colours[:2].flip(0))
    torch.testing.assert_close(mirrored[2], colours[2])
    torch.testing.assert_close(light.across(colours, places, 0.0 * skin), colours)


def test_tones_of_mirror_images_are_what_is_said_of_them() -> None:
    """A photo of one half of a ball: the other half is told by its mirror image, in its own light."""
    points = torch.nn.functional.normalize(torch.randn(6000, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    points, trust = points * 0.08, (points[:, :1] > 0.1).float()
    told = [
        tone_volume(points, torch.full((6000, 3), 0.3), trust, mirrored=mirrored)
        for mirrored in (None, torch.full((6000, 3), -0.2))
    ]
    far = points[points[:, 0] < -0.04]
    assert (tones_at(told[0], far) - 0.3).abs().max() < 1e-4
    assert (tones_at(told[1], far) + 0.2).abs().max() < 0.05
    near = points[points[:, 0] > 0.04]
    assert (tones_at(told[1], near) - 0.3).abs().max() < 0.05
