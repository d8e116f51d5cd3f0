"""Laws of pictures: guided rays equal plain ones, an empty edit is no edit, sizes and layers are what was asked for."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from core.camera import FAR, NEAR, Camera
from core.edit import LatentEdit
from core.frame import LAYERS
from core.kernels import Layers, plainly
from core.models.configuration import FieldConfig
from core.models.field import Field
from core.models.guided import surface_samples, trace_surface
from core.models.networks import Networks
from core.models.volume import VolumeMaps, samples_on_rays
from core.rendering import edited, folded, frames, integrals, regions, search, shape, surfaces
from core.rendering.folded import CHUNK, FoldedField
from core.rendering.precision import packed
from core.rendering.repaint import _repainted
from core.rendering.source import SourceHead, source_head
from core.tensor_camera import rays
from tests.toy_head import toy_networks

ANGLES = torch.tensor([[0.3, -0.1]])


@pytest.fixture(scope="module")
def networks() -> Networks:
    return toy_networks()


@pytest.fixture(scope="module")
def source(networks: Networks) -> SourceHead:
    generator = torch.Generator().manual_seed(3)
    photo = torch.rand(1, 3, 8, 8, generator=generator) * 2 - 1
    sizes = [torch.nn.functional.interpolate(photo, size=size, mode="bicubic").clamp(-1, 1) for size in (256, 512)]
    styles = 0.3 * torch.randn(1, 3, 8, generator=generator)
    decoder_styles = 0.3 * torch.randn(1, 4, 8, generator=generator)
    with torch.inference_mode():
        return source_head(networks, sizes[0], sizes[1], torch.ones(1, 1, 512, 512), styles, decoder_styles, ANGLES)


def ball(points: Tensor) -> Tensor:
    """A ball with an ear, so that some rays cross twice."""
    ear = (points - points.new_tensor((0.085, 0.0, 0.01))).norm(dim=-1, keepdim=True) - 0.012
    return torch.minimum(points.norm(dim=-1, keepdim=True) - 0.08, ear)


def test_tracing_coarse_to_fine_finds_what_tracing_every_ray_finds() -> None:
    asked = 0

    def counted(points: Tensor) -> Tensor:
        nonlocal asked
        asked += points.shape[1]
        return ball(points)

    found = surfaces.crossings(counted, ANGLES)
    origin, directions = rays(ANGLES, 64)
    depth, gap = trace_surface(ball, origin, directions, steps=40)
    hit = gap[0] <= 0
    assert (found.hit == hit).float().mean() > 0.995
    both = found.hit & hit
    assert (found.depth - depth[0])[both].abs().max() < 5e-4
    assert asked < 12 * 64 * 64 * 0.7


def test_samples_around_the_crossing_lie_where_training_puts_them(networks: Networks) -> None:
    styles = torch.zeros(1, 3, 8)

    def sdf(points: Tensor) -> Tensor:
        return networks.generator.field.sdf(points, styles)

    found = surfaces.crossings(sdf, ANGLES)
    head = integrals.integrate_geometry(networks.generator, styles, ANGLES, found)
    origin, directions = rays(ANGLES, 64)
    t, deltas = surface_samples(sdf, origin, directions, steps=30, fine=integrals.FINE, spacing=integrals.SPACING)
    ((geometry, active),) = head.parts
    hits = found.hit[active]
    assert (geometry.samples.t[0] - t[0, active])[hits].abs().max() < 1e-3
    assert torch.allclose(geometry.samples.deltas[0], deltas[0, active])


def test_guided_integrals_equal_those_of_many_plain_samples_inside_the_silhouette(networks: Networks) -> None:
    generator, styles = networks.generator, torch.zeros(1, 3, 8)
    found = surfaces.crossings(lambda points: generator.field.sdf(points, styles), ANGLES)
    maps = integrals.integrate_geometry(generator, styles, ANGLES, found).appearance(generator, styles)
    origin, directions = rays(ANGLES, 64)
    t = torch.linspace(0.88, 1.12, 481)[None, None, :-1]
    samples = samples_on_rays(origin, directions, torch.zeros_like(directions), t, end=1.12, endless=False)
    plain = generator.renderer(styles, samples, ray_chunk=512).maps(64)
    # Not at the rim: a grazing ray's soft density is longer than six samples; training takes the same six.
    inside = torch.nn.functional.avg_pool2d((maps.alpha > 0.95).float(), 7, 1, 3) == 1
    assert inside.float().mean() > 0.3
    assert (maps.alpha - plain.alpha)[inside].abs().max() < 0.03
    assert (maps.rgb - plain.rgb)[inside.expand(-1, 3, -1, -1)].abs().mean() < 0.01
    assert (maps.depth / maps.alpha - plain.depth / plain.alpha)[inside].abs().mean() < 2e-3


def test_the_folded_field_is_the_field() -> None:
    torch.manual_seed(4)
    config = FieldConfig(width=32, depth=3, style_dim=8, view_directions=False, sdf_scale=0.1, sdf_sphere_radius=0.1)
    field, styles = Field(config), torch.randn(1, 4, 8)
    points = 0.24 * torch.rand(2 * CHUNK + 5, 3) - 0.12
    with torch.inference_mode():
        folded, plain = FoldedField(field, styles), field(points[None], styles)
        hidden = folded.hidden(points)
        feature, colour = folded.appearance(hidden)
        assert torch.allclose(folded.sdf(points[None]), plain.sdf, atol=1e-6)
        assert torch.allclose(folded.sdf_from(hidden, points), plain.sdf[0], atol=1e-6)
        assert torch.allclose(feature, plain.feature[0], atol=1e-4)
        assert torch.allclose(colour, plain.rgb_raw[0], atol=1e-4)
        assert folded.sdf(points[None, :0]).shape == (1, 0, 1)


def test_half_precision_layers_are_asked_for_few_numbers_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    # oneDNN keeps a product for every number of rows: 200 MB after two minutes of dragging.
    monkeypatch.setattr(folded, "has_fast_bfloat16", lambda device: True)
    asked: list[Tensor] = []

    def seen(points: Tensor, layers: Layers) -> Tensor:
        asked.append(points)
        return plainly(points, layers)

    monkeypatch.setattr(folded, "plainly", seen)
    light = FoldedField(Field(FieldConfig(width=8, depth=3)), torch.randn(1, 4, 256)).light
    counts = [1, 63, 64, 65, *range(100, CHUNK, 37), CHUNK]
    points = 0.2 * torch.rand(CHUNK, 3) - 0.1
    with torch.inference_mode():
        for count in counts:
            hidden = light.hidden(points[:count])
            assert hidden.shape == (count, 8)
            feature, colour = light.appearance(hidden)
            assert feature.shape == (count, 8)
            assert colour.shape == (count, 3)
        plain = plainly(points[:100], light._layers)
        assert torch.equal(light.hidden(points[:100]), plain)
    assert len(counts) > 200
    assert len({len(rows) for rows in asked}) <= 50


class EaredBall(FoldedField):
    """A ball with an ear, with a sheet before it that is thinner than a cell of the volume."""

    def __init__(self) -> None:
        self.additions, self.beyond = (), None

    @property
    def light(self) -> FoldedField:  # type: ignore[override]
        return self

    def sdf(self, points: Tensor) -> Tensor:
        sheet = (points[..., 2:] - 0.1).abs() - 0.0015
        sheet = torch.maximum(sheet, points[..., :2].norm(dim=-1, keepdim=True) - 0.03)
        return torch.minimum(ball(points), sheet)


@pytest.mark.parametrize("yaw", [0.0, 0.3, 1.2, -0.9])
def test_rays_that_read_the_volume_find_what_rays_through_the_field_find(
    monkeypatch: pytest.MonkeyPatch, yaw: float
) -> None:
    monkeypatch.setattr("core.rendering.shape.FoldedField", lambda *_: EaredBall())
    head = shape.head_shape(Field(FieldConfig(width=8, depth=1)), torch.zeros(1, 2, 256), None)
    angles = torch.tensor([[yaw, 0.1]])
    found = search.located(head, angles)
    origin, directions = rays(angles, 64)
    t = torch.arange(NEAR, FAR, 0.0005)
    truth = head.sdf((origin[0] + directions[0, :, None] * t[:, None]).reshape(1, -1, 3)).reshape(4096, -1) < 0
    hit = truth.any(dim=1)
    assert (found.hit == hit).float().mean() > 0.998
    both = hit & found.hit
    wrong = (found.depth - t[truth.to(torch.int8).argmax(dim=1)]).abs()[both]
    assert (wrong < 1e-3).float().mean() > 0.995


class NosedBall(EaredBall):
    """A ball with a smaller one that floats before it: from the side it stands before the cheek behind."""

    def sdf(self, points: Tensor) -> Tensor:
        nose = (points - points.new_tensor((0.0, 0.0, 0.105))).norm(dim=-1, keepdim=True) - 0.012
        return torch.minimum(points.norm(dim=-1, keepdim=True) - 0.07, nose)


@pytest.mark.parametrize("yaw", [0.2, 0.45, -0.35])
def test_beside_steps_every_pixel_is_looked_for(monkeypatch: pytest.MonkeyPatch, yaw: float) -> None:
    monkeypatch.setattr("core.rendering.shape.FoldedField", lambda *_: NosedBall())
    head = shape.head_shape(Field(FieldConfig(width=8, depth=1)), torch.zeros(1, 2, 256), None)
    angles, size = torch.tensor([[yaw, 0.1]]), 128
    coarse = search.located(head, angles)
    plain = surfaces.refined_surface(head.light, angles, coarse, size, estimate=head.distance)
    found = search.at_steps(head, plain, coarse, angles)
    origin, directions = rays(angles, size)
    t = torch.arange(NEAR, FAR, 0.0005)
    truth = head.sdf((origin[0] + directions[0, :, None] * t[:, None]).reshape(1, -1, 3)).reshape(size * size, -1) < 0
    depth = t[truth.to(torch.int8).argmax(dim=1)]

    def wrong(one: surfaces.SurfaceMap) -> int:
        both = truth.any(dim=1) & (one.hit.flatten() > 0)
        return int(((one.depth.flatten() - depth).abs()[both] > 2e-3).sum())

    assert wrong(found) < 0.25 * wrong(plain)
    points = (origin[0] + directions[0] * found.depth.reshape(-1, 1)).T.reshape(1, 3, size, size)
    assert torch.allclose(found.points, points, atol=1e-5)
    changed = (found.depth != plain.depth).flatten() & (plain.hit.flatten() > 0) & (found.hit.flatten() > 0)
    assert 0.0 < changed.float().mean() < 0.3, "only beside steps"


def test_fast_and_slow_twin_draw_the_same_head(networks: Networks, source: SourceHead) -> None:
    with torch.inference_mode():
        for edit in (LatentEdit.none, LatentEdit.none.with_strength("Smile", 1.0)):
            head = edited.edited_head(networks, source, edit)
            for yaw, size in ((0.0, 96), (0.7, 128), (-1.0, 200)):
                fast, slow = (
                    frames.render_layer(networks, head, Camera(yaw, 0.1), size, "picture", plainly=plainly)
                    for plainly in (False, True)
                )
                error = (fast[0] * fast[1] - slow[0] * slow[1]).square().mean()
                assert 10 * torch.log10(4 / error) > 36


def test_the_refined_surface_lies_on_the_surface() -> None:
    found = surfaces.crossings(ball, ANGLES)
    surface = surfaces.refined_surface(ball, ANGLES, found, 128)
    on = surface.hit[0, 0] > 0
    distance = ball(surface.points.flatten(2).transpose(1, 2)).reshape(128, 128).abs()
    assert distance[on].quantile(0.98) < 2e-4
    assert 0.35 < on.float().mean() < 0.55
    assert torch.isfinite(surface.points).all()


def test_an_empty_edit_is_the_photo_tier_bit_for_bit(networks: Networks, source: SourceHead) -> None:
    plain = edited.edited_head(networks, source, LatentEdit.none)
    assert plain.styles is source.styles
    assert plain.view is source.view
    zero = LatentEdit.none.with_strength("Smile", 1.0).with_strength("Smile", 0.0)
    with torch.inference_mode():
        pictures = [
            frames.render_layer(networks, edited.edited_head(networks, source, edit), Camera(0.2), 128, "picture")[0]
            for edit in (LatentEdit.none, zero)
        ]
    assert torch.equal(pictures[0], pictures[1])


def test_an_edit_moves_latents_along_its_direction_and_changes_the_picture(
    networks: Networks, source: SourceHead
) -> None:
    edit = LatentEdit.none.with_strength("Smile", 1.5)
    styles, decoder_styles = edited.edited_latents(networks, source, edit)
    assert torch.allclose(styles - source.styles, 1.5 * networks.directions["Smile"].renderer)
    assert torch.allclose(decoder_styles - source.decoder_styles, 1.5 * networks.directions["Smile"].decoder)
    unknown = LatentEdit.none.with_strength("Age", 1.0)
    assert torch.equal(edited.edited_latents(networks, source, unknown)[0], source.styles)
    with torch.inference_mode():
        before = edited.edited_head(networks, source, LatentEdit.none)
        after = edited.edited_head(networks, source, edit)
        pictures = [frames.render_layer(networks, head, Camera(), 128, "picture")[0] for head in (before, after)]
    assert (pictures[0] - pictures[1]).abs().max() > 0.05


def test_the_smaller_the_edit_the_smaller_the_change(networks: Networks, source: SourceHead) -> None:
    differences = []
    with torch.inference_mode():
        rest = edited.edited_head(networks, source, LatentEdit.none).view
        for strength in (1e-4, 1.0):
            view = edited.edited_head(networks, source, LatentEdit.none.with_strength("Smile", strength)).view
            differences.append(((view.photo - rest.photo).abs() * rest.weight.amax()).mean().item())
    assert differences[0] < 1e-3
    assert differences[1] > 10 * differences[0]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("size", [96, 200, 320])
def test_every_layer_comes_at_the_size_asked_for(networks: Networks, source: SourceHead, layer: str, size: int) -> None:
    with torch.inference_mode():
        head = edited.edited_head(networks, source, LatentEdit.none)
        colours, alpha = frames.render_layer(networks, head, Camera(0.4, 0.1), size, layer)
    assert colours.shape == (3, size, size)
    assert alpha.shape == (1, size, size)
    assert torch.isfinite(colours).all()
    assert colours.abs().max() <= 1
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    pixels, mask = frames.to_pixels(colours, alpha)
    assert pixels.shape == (size, size, 3)
    assert mask.shape == (size, size)


def test_where_the_decoder_trusts_it_the_photo_stands_in_the_picture(networks: Networks, source: SourceHead) -> None:
    trusting = dataclasses.replace(networks, generator=toy_networks().generator)
    with torch.inference_mode():
        for layer in (trusting.generator.decoder.to_rgb1, *trusting.generator.decoder.to_rgbs):
            layer.conv.weight[:, 3:5] = 0.0
            layer.bias[:, 3:5] = 0.0
        trusting.generator.decoder.to_rgb1.bias[:, 3:5] = 20.0
        head = edited.edited_head(trusting, source, LatentEdit.none)
        camera = Camera(*(float(angle) for angle in ANGLES[0]))
        picture, alpha = frames.render_layer(trusting, head, camera, 256, "picture")
        centre = slice(96, 160)
        photo = torch.nn.functional.interpolate(source.photo, size=128, mode="area")
        photo = torch.nn.functional.interpolate(photo, size=256, mode="bilinear")[0]
    assert (picture - photo)[:, centre, centre].abs().mean() < 0.05
    assert alpha[0, centre, centre].min() > 0.99


def test_a_change_that_is_not_meant_leaves_the_photo_as_it_is() -> None:
    photo, before, after = (torch.rand(1, 3, 16, 16) * 2 - 1 for _ in range(3))
    assert torch.allclose(_repainted(photo, before, after, torch.zeros(1, 1, 16, 16)), photo)


def test_a_beard_on_a_fair_cheek_is_as_brown_as_the_generator_paints_it() -> None:
    def flat(*colour: float) -> torch.Tensor:
        return (torch.tensor(colour)[None, :, None, None] * 2 - 1).expand(1, 3, 64, 64)

    cheek, skin, hair = flat(0.96, 0.82, 0.78), flat(0.79, 0.6, 0.52), flat(0.3, 0.22, 0.18)
    painted = (_repainted(cheek, skin, hair, torch.ones(1, 1, 64, 64)) + 1) / 2
    red, green, blue = painted[0, :, 32, 32].tolist()
    assert red > green > blue, "the difference of the generator's colours would leave blue above green"
    assert 0.25 < red < 0.5


def test_dark_hair_that_is_lightened_keeps_its_contrast_and_skin_is_only_raised() -> None:
    strands = 0.1 + 0.02 * torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0)).clamp(-2.0, 2.0)
    photo = (2.0 * strands - 1.0).expand(1, 3, 256, 256)
    before, after = (torch.full((1, 3, 256, 256), 2.0 * bright - 1.0) for bright in (0.1, 0.17))
    whole = torch.ones(1, 1, 256, 256)
    plain, hair = (
        (_repainted(photo, before, after, whole, share)[0, 0] + 1.0) / 2.0 for share in (None, torch.ones_like(whole))
    )
    assert hair.mean() == pytest.approx(float(plain.mean()), abs=0.003)
    contrast = [float(one.std() / one.mean()) for one in (strands, plain, hair)]
    assert contrast[1] < 0.7 * contrast[0]
    assert contrast[2] == pytest.approx(contrast[0], rel=0.1)
    half = _repainted(photo, before, after, whole, torch.cat((0.0 * whole[..., :128], whole[..., 128:]), dim=3))
    torch.testing.assert_close((half[0, 0, :, :128] + 1.0) / 2.0, plain[:, :128])


def test_paint_stays_where_the_attribute_can_be() -> None:
    height = torch.linspace(0.08, -0.08, 16)[None, None, :, None].expand(1, 1, 16, 16)
    place = torch.cat((torch.zeros_like(height), height, torch.zeros_like(height)), dim=1)
    flat = torch.ones(1, 1, 16, 16)
    maps = VolumeMaps(flat.expand(1, 3, 16, 16), flat, flat, place, flat)
    beard, both = (regions.region(LatentEdit.parse(texts), maps) for texts in (["Beard=1"], ["Beard=1", "Age=1"]))
    assert not beard[..., :6, :].any()
    assert bool((beard[..., 10:, :] == 1).all())
    assert bool((both == 1).all())


def test_a_map_whose_batch_has_an_odd_stride_is_laid_out_anew() -> None:
    """oneDNN takes such a map for another layout; the numbers stay, and what is right already is left as it is."""
    rows = torch.randn(64, 24, generator=torch.Generator().manual_seed(0))
    odd = rows.T.reshape(1, 24, 8, 8)[:, 4:20].to(torch.float64)
    assert odd.stride(0) != odd[0].numel() or not odd.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        laid = packed(odd)
        assert laid.stride() == (16 * 64, 1, 8 * 16, 16)
        assert torch.equal(laid, odd)
        assert packed(laid) is laid
    assert packed(odd) is odd  # where gradients are wanted
