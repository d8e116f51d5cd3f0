"""The light of grazing skin: the photo's own from its camera, that of skin which faces it from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from core.rendering.evenly import FACING, RATIO, even_light
from core.tensor_camera import unproject
from core.visibility import SourceView, look_up, source_view
from tests.test_visibility import sphere_surface

AHEAD = torch.zeros(1, 2)
SIDE = 128
EVEN = torch.zeros(1, 3, 64, 64)
"""What a generator paints that knows of no shade."""


def _shaded(darkest: float = 0.0) -> tuple[SourceView, Tensor, Tensor, Tensor]:
    """A ball of freckled skin that gets darker towards its rims: view, photo, skin, and how far pixels face us."""
    depth, hit = sphere_surface(AHEAD, SIDE)
    view = source_view(torch.zeros(1, 3, SIDE, SIDE), depth, hit, hit, AHEAD)
    facing = view.normals[:, 2:].clamp(0.0, 1.0)
    light = darkest + (1.0 - darkest) * (facing / FACING).clamp(max=1.0)
    freckles = 1.0 + 0.05 * torch.sin(torch.arange(SIDE) * 2.5)
    skin = torch.tensor([0.7, 0.5, 0.4])[None, :, None, None]
    photo = 2.0 * skin * light * freckles - 1.0
    return replace(view, photo=photo), photo, hit, facing


def test_grazing_skin_gets_the_light_of_what_faces_the_camera_and_keeps_its_detail() -> None:
    view, photo, skin, facing = _shaded()
    light = even_light(view, photo, skin, skin, EVEN)
    assert light is not None
    faint = _shaded(0.85)
    weak = even_light(faint[0], faint[1], skin, skin, EVEN)
    assert weak is not None
    assert (weak - 1.0).abs().max() < 0.02, "so much photo and generator differ anyway"
    lit = replace(view, light=light).lit
    rim = ((facing > 0.35) & (facing < 0.5) & (skin > 0.5))[0, 0]
    before, after = ((one[0, 0][rim] + 1.0) * 0.5 for one in (photo, lit))
    assert before.mean() < 0.46, "of .7"
    assert 1.15 * before.mean() < after.mean() < 0.7
    assert after.std() > 0.02, "and freckled"
    middle = ((facing > 0.75) & (skin > 0.5))[0, 0]
    assert (lit - photo)[0, :, middle].abs().max() < 0.01, "what faces the camera stays"
    assert light.min() >= RATIO[0]
    assert light.max() <= RATIO[1]


def test_from_the_photos_own_camera_nothing_changes_and_from_elsewhere_it_does() -> None:
    view, photo, skin, facing = _shaded()
    view = replace(view, light=even_light(view, photo, skin, skin, EVEN))
    plain = replace(view, light=None)
    rim = ((facing > 0.45) & (facing < 0.5)).flatten().nonzero()[:, 0]
    points = _points(view)[:, rim]

    def brighter(target: Tensor | None, *, elsewhere: bool = False) -> float:
        with_light, without = (look_up(one, points, target=target, elsewhere=elsewhere)[0] for one in (view, plain))
        return float((with_light - without).mean())

    assert abs(brighter(AHEAD)) < 1e-6
    turned = [brighter(torch.tensor([[yaw, 0.0]])) for yaw in (0.1, 0.25, 0.5, 0.9)]
    assert turned == sorted(turned)
    assert turned[0] > 0.0
    assert abs(turned[2] - turned[3]) < 1e-6
    assert abs(brighter(None) - turned[3]) < 1e-6, "a mesh is looked at from anywhere"
    assert abs(brighter(AHEAD, elsewhere=True) - turned[3]) < 1e-6


def test_shade_that_the_generator_has_as_well_stays() -> None:
    view, photo, skin, facing = _shaded()
    alike = torch.nn.functional.interpolate(photo, size=(64, 64), mode="area") * 0.8 - 0.2  # another skin in that light
    light, even = (even_light(view, photo, skin, skin, own) for own in (alike, EVEN))
    assert light is not None
    assert even is not None
    rim = ((facing > 0.35) & (facing < 0.5) & (skin > 0.5)).expand_as(light)
    assert even[rim].mean() > 1.15
    assert light[rim].mean() < 1.0 + 0.4 * (float(even[rim].mean()) - 1.0)


def test_what_is_no_skin_keeps_its_light() -> None:
    view, photo, skin, _ = _shaded()
    half = skin.clone()
    half[..., SIDE // 2 :] = 0.0  # hair
    light = even_light(view, photo, half, skin, EVEN)
    assert light is not None
    assert (light[..., SIDE // 2 + 16 :] - 1.0).abs().max() < 1e-6
    assert (light[..., : SIDE // 2] - 1.0).abs().max() > 0.2
    assert even_light(view, photo, torch.zeros_like(skin), skin, EVEN) is None


def _points(view: SourceView) -> Tensor:
    return unproject(view.depth, view.angles, view.half_fov).flatten(2).transpose(1, 2)
