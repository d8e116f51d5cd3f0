"""What a stranger sees of the portrait in this repository: hair at the back, glasses, an aged face, a mouth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
import torch

from core.camera import Camera
from core.edit import LatentEdit
from core.engine import Engine
from core.frame import RenderRequest
from core.inversion import Inversion
from core.job import Job
from core.photo import Photo
from core.refinement.passes import Body, field_maps, prepare
from core.rendering import drawing, edited, frames, repaint, source
from core.rendering.arch import Arch
from core.rendering.border import Border
from core.rendering.hair_tone import COOL, hair_tone
from core.rendering.tresses import Tresses
from core.surface import SurfaceMesh
from core.tensor_camera import camera_frame

SIZE = 192


@pytest.fixture(scope="module")
def reconstructed() -> tuple[Engine, Inversion]:
    engine = Engine.open(device="cpu")
    return engine, engine.invert(Photo.load(Path(__file__).parent / "data" / "astronaut.jpg"), Job.quiet())


def picture(engine: Engine, inversion: Inversion, yaw: float = 0.0, **edit: float) -> np.ndarray:
    changed = LatentEdit.none
    for name, strength in edit.items():
        changed = changed.with_strength(name.replace("_", " "), strength)
    camera = Camera(inversion.camera.yaw + yaw, inversion.camera.pitch)
    return engine.render(RenderRequest(inversion, changed, camera, SIZE, "picture")).pixels.astype(float)


def test_hair_that_no_photo_shows_has_the_colour_of_the_hair_that_it_shows(
    reconstructed: tuple[Engine, Inversion],
) -> None:
    engine, inversion = reconstructed
    source = engine.tiers.source(inversion)
    assert source.behind is not None
    usual = (source.behind.tone.numpy() + 1.0) * 0.5
    back = picture(engine, inversion, 1.2)[40:90, 150:185].mean(axis=(0, 1)) / 255.0
    assert np.abs(back - usual).max() < 0.12


def test_hair_that_no_photo_shows_is_dyed_with_the_rest(reconstructed: tuple[Engine, Inversion]) -> None:
    red, green, blue = picture(*reconstructed, yaw=1.2, Age=1.0)[40:90, 150:185].mean(axis=(0, 1))
    assert abs(green - 0.5 * (red + blue)) < 8  # grey; olive where fair hair's tone was added to it
    barely, not_at_all = (picture(*reconstructed, yaw=1.2, **edit)[40:90, 150:185] for edit in ({"Age": 0.02}, {}))
    assert np.abs(barely - not_at_all).mean() < 3  # a slider that leaves 0 makes no jump


def test_glasses_are_drawn_around_the_eyes_and_nowhere_else(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    before, after = picture(engine, inversion), picture(engine, inversion, Eyeglasses=1.0)
    changed = np.abs(after - before).max(axis=2) > 40
    assert 0.005 < changed.mean() < 0.05
    rows = np.flatnonzero(changed.any(axis=1))
    assert rows.min() > 0.35 * SIZE
    assert rows.max() < 0.65 * SIZE


def test_a_mesh_wears_its_glasses_and_stays_closed(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    glasses = LatentEdit.none.with_strength("Eyeglasses", 1.0)
    bare, worn = (engine.mesh(inversion, edit, 40, Job.quiet()) for edit in (LatentEdit.none, glasses))
    assert len(worn.vertices) > len(bare.vertices)
    assert bare.watertight == worn.watertight


def test_the_photo_lies_on_the_mesh_where_its_vertices_have_its_colours(
    reconstructed: tuple[Engine, Inversion],
) -> None:
    """Places are right if the photo shows there what vertices that it saw are coloured with, and not beside them."""
    engine, inversion = reconstructed
    mesh = engine.mesh(inversion, LatentEdit.none.with_strength("Smile", 1.0), 128, Job.quiet())
    assert mesh.texture is not None
    seen = mesh.texture.shares > 250
    assert 0.1 < seen.mean() < 0.6
    pixels = mesh.texture.pixels.astype(np.float32)
    size = np.array(pixels.shape[1::-1])

    def off(shift: float) -> float:
        column, row = np.clip((mesh.texture.places[seen] + shift) * size, 0, size - 1).astype(int).T
        return float(np.abs(pixels[row, column] - mesh.colours[seen]).mean())

    assert off(0.0) < 0.6 * min(off(0.02), off(-0.02))
    back = mesh.vertices[:, 2] < -0.05
    assert (mesh.texture.shares[back] == 0).all()


def test_age_greys_hair_and_leaves_the_forehead_its_skin(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    before, after = picture(engine, inversion), picture(engine, inversion, Age=1.0)
    colour = [np.ptp(one, axis=2) for one in (before, after)]  # how far from grey
    hair, brow = (slice(12, 50), slice(70, 130)), (slice(76, 84), slice(86, 106))
    assert colour[1][hair].mean() < 0.6 * colour[0][hair].mean()
    assert colour[1][brow].mean() > 0.7 * colour[0][brow].mean()


def test_a_smile_leaves_the_eyes_alone(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    plain, smiling = (picture(engine, inversion, **edit) for edit in ({}, {"Smile": 1.0}))
    eyes, mouth = (slice(82, 96), slice(54, 138)), (slice(120, 150), slice(70, 122))
    assert np.abs(smiling - plain)[eyes].mean() < 0.35 * np.abs(smiling - plain)[mouth].mean()


def nothing(*_: object) -> None:
    """No region."""


def first(one: object, *_: object) -> object:
    """What came in."""
    return one


def second(_: object, one: object, *__: object) -> object:
    """What came in second."""
    return one


@pytest.mark.parametrize(
    ("room", "part", "instead", "sliders"),
    [
        (edited, "with_lids_kept", second, {"Smile": 2.0}),  # at 1 a step of brightness too little on this head
        (edited, "with_lips_kept", second, {"Smile": 1.0}),
        (drawing, "lips", nothing, {"Smile": 1.0}),
        (repaint, "with_wrinkles", first, {"Age": 1.0}),
        (repaint, "bearded", first, {"Bangs": 1.0}),
    ],
)
def test_each_part_of_an_edit_shows(
    reconstructed: tuple[Engine, Inversion],
    monkeypatch: pytest.MonkeyPatch,
    room: ModuleType,
    part: str,
    instead: Callable[..., object],
    sliders: dict[str, float],
) -> None:
    _, inversion = reconstructed
    with_it = picture(*reconstructed, **sliders)
    monkeypatch.setattr(room, part, instead)
    without = picture(Engine.open(device="cpu"), inversion, **sliders)
    assert np.abs(with_it - without).max() > 12


@pytest.mark.parametrize("part", ["mixed_guide", "continued", "bridged"])
def test_a_turned_head_is_drawn_with_its_contours_margins_and_strips(
    reconstructed: tuple[Engine, Inversion], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Each of them changes some of the picture, and not much of it; none of them a frame while the hand moves."""
    engine, inversion = reconstructed
    with_it, draft = picture(engine, inversion, 0.45), drafted(engine, inversion)
    plain = {
        "mixed_guide": lambda found, *_: found,
        "continued": lambda _, own, *__: own,
        "bridged": lambda one, *_: one,
    }
    monkeypatch.setattr(frames, part, plain[part])
    without = picture(engine, inversion, 0.45)
    changed = (np.abs(with_it - without).max(axis=2) > 8).mean()
    assert 0.001 < changed < 0.15
    assert np.array_equal(draft, drafted(engine, inversion))


class Changed(NamedTuple):
    """By how much a part that is left out changes pixels from in front and from the side, and vertices of the mesh."""

    front: np.ndarray
    side: np.ndarray
    vertices: np.ndarray
    mesh: SurfaceMesh


def left_out(reconstructed: tuple[Engine, Inversion], yaw: float, leave_out: Callable[[], None]) -> Changed:
    """What it changes; previews change as well."""
    engine, inversion = reconstructed

    def looked() -> tuple[list[np.ndarray], np.ndarray, SurfaceMesh]:
        mesh = engine.mesh(inversion, LatentEdit.none, 128, Job.quiet())
        return [picture(engine, inversion, at) for at in (0.0, yaw)], drafted(engine, inversion), mesh

    pictures, draft, mesh = looked()
    leave_out()
    others, other_draft, other_mesh = looked()
    front, side = (np.abs(one - other).max(axis=2) for one, other in zip(pictures, others, strict=True))
    assert not np.array_equal(draft, other_draft)
    return Changed(front, side, np.abs(mesh.colours.astype(int) - other_mesh.colours).max(axis=1), mesh)


def test_hair_behind_has_strands_and_the_photo_stays_as_it_is(
    reconstructed: tuple[Engine, Inversion], monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain(_: Tresses, points: torch.Tensor, __: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(points[:, :1])

    found = left_out(reconstructed, 1.1, lambda: monkeypatch.setattr(Tresses, "shade", plain))
    assert (found.side > 8).mean() > 0.05
    assert (found.front > 8).mean() < 0.01
    differing = found.vertices > 8
    assert differing[found.mesh.vertices[:, 2] < -0.04].mean() > 0.2
    assert found.mesh.texture is not None
    assert differing[found.mesh.texture.shares > 250].mean() < 0.002


def test_hair_that_no_photo_shows_ends_and_the_photo_stays_as_it_is(
    reconstructed: tuple[Engine, Inversion], monkeypatch: pytest.MonkeyPatch
) -> None:
    def smeared(_: Border, own: torch.Tensor, *__: torch.Tensor) -> torch.Tensor:
        return own

    assert reconstructed[0].tiers.source(reconstructed[1]).border is not None
    found = left_out(reconstructed, 0.9, lambda: monkeypatch.setattr(Border, "drawn", smeared))
    assert (found.side > 16).mean() > 0.01
    assert (found.front > 8).mean() < 0.01
    assert (found.vertices > 16).mean() > 0.01


def test_dyed_hair_of_a_tuned_head_is_not_blue_in_its_mesh_either(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    teal = torch.tensor([[-0.3, 0.0, 0.1]])
    aged = engine.tiers.head(inversion, LatentEdit.none.with_strength("Age", 1.0))
    tuned = dataclasses.replace(aged, tuned=1.0)
    assert torch.equal(aged.natural_colours(teal), teal)
    red, _, blue = tuned.natural_colours(teal)[0].tolist()
    assert blue - red == pytest.approx(COOL, abs=1e-5)  # her hair is brown
    plain = dataclasses.replace(tuned, edit=LatentEdit.none)
    assert torch.equal(plain.natural_colours(teal), teal)


def test_a_shaven_head_that_shines_has_no_border(
    reconstructed: tuple[Engine, Inversion], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, inversion = reconstructed
    monkeypatch.setattr(source, "hair_tone", lambda *asked: hair_tone(*asked)._replace(seen=False))
    found = Engine.open(device="cpu").tiers.source(inversion)
    assert found.behind is not None
    assert found.border is None


def test_the_border_takes_part_in_edits(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    head = engine.tiers.head
    kept, longer, aged, darker = (
        head(inversion, LatentEdit.none.with_strength(name, strength)).border
        for name, strength in (("Smile", 1.0), ("Hair length", 0.4), ("Age", 1.0), ("Skin tone", 1.0))
    )
    plain = head(inversion, LatentEdit.none).border
    assert plain is not None
    assert plain is engine.tiers.source(inversion).border
    for border, grown in ((kept, 0.0), (longer, 0.4), (aged, 0.0), (darker, 0.0)):
        assert border is not None
        assert border.grown == pytest.approx(grown)
    assert kept is not None
    assert aged is not None
    assert darker is not None
    shifts = [(one.tones - plain.tones)[0, :6].mean(dim=(1, 2, 3)) for one in (kept, aged, darker)]
    assert shifts[0].abs().max() < 0.06
    assert shifts[1][3:].abs().max() > 0.1, "grey hair"
    assert (shifts[2][:3] < -0.03).all(), "darker skin"
    assert shifts[2][:3].mean() < -0.1
    assert shifts[2][3:].abs().max() == 0.0


def drafted(engine: Engine, inversion: Inversion) -> np.ndarray:
    camera = Camera(inversion.camera.yaw + 0.45, inversion.camera.pitch)
    return engine.render(RenderRequest(inversion, LatentEdit.none, camera, 128, "picture")).pixels


def test_an_open_mouth_is_dark_below_its_teeth(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    mouth = (slice(110, 170), slice(80, 112))
    shut, wide = (picture(engine, inversion, Mouth_open=strength)[mouth].mean(axis=2) for strength in (0.0, 1.0))
    assert (wide < 70).sum() > (shut < 70).sum() + 60
    assert (wide > 180).sum() > 30


def test_a_refinement_tunes_the_decoder_on_the_features_that_pictures_are_drawn_from(
    reconstructed: tuple[Engine, Inversion],
) -> None:
    engine, inversion = reconstructed
    source, generator = engine.tiers.source(inversion), engine.tiers.networks.generator
    with torch.no_grad():
        styles, angles = source.styles.clone(), source.angles.clone()
        kept, traced = (
            field_maps(generator, styles, prepare(generator, styles, angles, Body.of(source), frozen=frozen)).feature
            for frozen in (True, False)
        )
    shown = source.maps.feature
    off, far_off = (float((one - shown).abs().mean()) for one in (kept, traced))
    assert off < 0.005
    assert far_off > 3.0 * off


def test_shorter_hair_is_not_bleached(reconstructed: tuple[Engine, Inversion]) -> None:
    """The generator shows more of the scalp, and what stays had become fair: a fourteenth of her hair by over .3."""
    engine, inversion = reconstructed
    with torch.inference_mode():
        whole = engine.tiers.head(inversion, LatentEdit.none)
        shorter = engine.tiers.head(inversion, LatentEdit.none.with_strength("Hair length", -1.0))
    parting = whole.source.parting
    assert parting is not None
    hair = torch.nn.functional.interpolate(parting.photo * parting.above, size=256, mode="bilinear")[0, 0] > 0.95
    changed = (shorter.view.photo - whole.view.photo).abs().amax(dim=1)[0]
    assert float((changed[hair] > 0.3).float().mean()) < 0.02


def test_teeth_stand_behind_the_lips_and_lips_before_them(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    source = engine.tiers.source(inversion)
    arch = source.arch
    assert arch is not None, "the portrait smiles"
    with torch.inference_mode():
        # Along a line down the middle of the mouth, a millimetre a step.
        position, rotation = camera_frame(source.angles)
        down = torch.arange(-0.016, 0.017, 0.001)
        across = (arch.centre - position[0]) @ rotation[0]
        begin = position[0] + rotation[0] @ torch.tensor([across[0], across[1], across[2] + 0.04])
        starts = begin - down[:, None] * rotation[0, :, 1]
        t = torch.arange(0.0, 0.07, 0.0005)
        points = starts[:, None] - rotation[0, :, 2] * t[:, None]
        inside = (source.shape.sdf(points.reshape(1, -1, 3)) < 0.0).reshape(len(down), -1)
    assert inside.any(dim=1).all(), "no way through the mouth"
    depth = t[inside.to(torch.int8).argmax(dim=1)]
    between = torch.lerp(depth[9], depth[27], (torch.arange(14, 20) - 9) / 18.0)
    behind = (depth[14:20] - between).mean()
    assert 0.001 < float(behind) < 0.006, "behind the line from lip to lip, and not a centimetre"


def test_an_edit_has_the_teeth_of_its_own_lips(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    source = engine.tiers.source(inversion)
    assert source.arch is not None
    wide = []
    with torch.inference_mode():
        for strength in (-1.0, 1.0):
            edit = LatentEdit.none.with_strength("Mouth open", strength)
            made = edited.edited_head(engine.tiers.networks, source, edit).shape.field.additions
            wide.append(max((-float(one.outline.min()) for one in made if isinstance(one, Arch)), default=0.0))
    own = -float(source.arch.outline.min())
    assert 0.0 < wide[0] < own < wide[1]
    assert wide[1] > 1.3 * own
    assert wide[1] > 1.3 / 0.7 * wide[0]  # 2.5


def test_without_landmarks_in_the_photo_no_edit_opens_a_mouth(reconstructed: tuple[Engine, Inversion]) -> None:
    engine, inversion = reconstructed
    blind = dataclasses.replace(engine.tiers.source(inversion), marks=None, arch=None)
    with torch.inference_mode():
        made = edited.edited_head(engine.tiers.networks, blind, LatentEdit.none.with_strength("Age", 0.01))
    assert not any(isinstance(one, Arch) for one in made.shape.field.additions)


@pytest.fixture(scope="module")
def refined(reconstructed: tuple[Engine, Inversion]) -> Inversion:
    engine, inversion = reconstructed
    return engine.refine(inversion, "fast", Job.quiet(), passes=60)


def test_a_refined_head_s_own_colours_are_those_that_were_tuned(
    reconstructed: tuple[Engine, Inversion], refined: Inversion
) -> None:
    assert refined.refinement is not None
    assert refined.refinement.delta.share == 1.0
    tuned = refined.refinement.report["curve"][-1]["mae"]
    assert reconstructed[0].own_figures(refined)["mae"] < 1.06 * tuned


def test_sliders_of_colour_do_on_a_refined_head_what_they_did_before(
    reconstructed: tuple[Engine, Inversion], refined: Inversion
) -> None:
    """Tuned colours say little else than the photo: what an edit does to them comes from the generator before that."""
    engine, inversion = reconstructed
    assert engine.tiers.source(refined).plain is not None
    assert engine.tiers.source(inversion).plain is None
    for name in ("Skin tone", "Hair colour"):
        edit = LatentEdit.none.with_strength(name, 1.0)
        moved = []
        for one in (inversion, refined):
            plain, edited = (
                engine.render(RenderRequest(one, state, Camera(0.9, inversion.camera.pitch), 192)).pixels.astype(int)
                for state in (LatentEdit.none, edit)
            )
            moved.append(np.abs(edited - plain).mean())
        assert moved[1] > 0.75 * moved[0], (name, moved)
