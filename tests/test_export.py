"""Laws of the writers: what is written opens again, and a failed or cancelled export leaves what was there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import trimesh
from PIL import Image

from core import export
from core.camera import Camera
from core.edit import LatentEdit
from core.errors import Cancelled, ExportFailed
from core.frame import Frame, RenderRequest
from core.surface import SurfaceMesh


def a_box() -> SurfaceMesh:
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    colours = np.linspace(0, 255, 3 * len(box.vertices)).reshape(-1, 3).astype(np.uint8)
    return SurfaceMesh(box.vertices, box.faces, box.vertex_normals, colours)


def some_frames(count: int, size: int = 48) -> Iterator[Frame]:
    for index in range(count):
        pixels = np.full((size, size, 3), 60, dtype=np.uint8)
        pixels[8:40, index + 4 : index + 24] = (200, 120, 80)
        request = RenderRequest(None, LatentEdit.none, Camera(), size)
        yield Frame(pixels, np.full((size, size), 255, np.uint8), request, 1.0, False)


@pytest.mark.parametrize("suffix", export.MESH_FORMATS)
def test_a_written_mesh_opens_again_with_its_shape_and_colours(tmp_path: Path, suffix: str) -> None:
    mesh, path = a_box(), tmp_path / f"mesh.{suffix}"
    export.write_mesh(mesh, path)
    again = trimesh.load(path, force="mesh", process=suffix == "stl")
    assert len(again.faces) == len(mesh.faces)
    assert again.bounds == pytest.approx(np.array([mesh.vertices.min(0), mesh.vertices.max(0)]), abs=1e-6)
    assert again.volume == pytest.approx(0.001, rel=1e-4)
    if suffix != "stl":
        assert np.abs(again.visual.vertex_colors[:, :3].astype(int) - mesh.colours).max() <= 1


@pytest.mark.parametrize("suffix", export.TURNTABLE_FORMATS)
def test_a_written_turntable_opens_again_with_all_its_frames(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"turntable.{suffix}"
    export.write_turntable(some_frames(12), path, fps=25)
    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == 12
    originals = [frame.pixels for frame in some_frames(12)]
    errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(decoded, originals, strict=True)]
    assert max(errors) < 8


def test_no_gpl_encoder_is_ever_chosen() -> None:
    names = {name for encoders in export._ENCODERS.values() for name, _ in encoders}
    assert not names & {"libx264", "libx264rgb", "libx265", "libxvid"}
    assert export.encoder_for("mp4")[0] in names


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_written_picture_opens_again(tmp_path: Path, suffix: str) -> None:
    pixels = np.full((10, 12, 3), (10, 100, 200), dtype=np.uint8)
    export.write_picture(pixels, tmp_path / f"a.{suffix}")
    again = np.asarray(Image.open(tmp_path / f"a.{suffix}").convert("RGB"))
    assert np.abs(again.astype(int) - pixels).max() <= 4


def test_an_export_cancelled_midway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "turntable.mp4"
    path.write_bytes(b"old")

    def cancelled() -> Iterator[Frame]:
        yield from some_frames(3)
        raise Cancelled

    with pytest.raises(Cancelled):
        export.write_turntable(cancelled(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_kinds_empty_turntables_and_forbidden_places_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="does not name a kind of mesh"):
        export.write_mesh(a_box(), tmp_path / "mesh.fbx")
    with pytest.raises(ExportFailed, match="at least one frame"):
        export.write_turntable(some_frames(0), tmp_path / "t.mp4")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ExportFailed, match="could not be written") as caught:
        export.write_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "file" / "a.png")
    assert caught.value.hint
