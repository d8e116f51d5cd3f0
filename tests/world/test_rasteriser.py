import numpy as np
import pytest

from core.camera import Camera
from core.world.assets import Pack
from core.world.identity import BEARD, EYEGLASSES, SMILE, Z_SIZE, scene_parameters
from core.world.parts import PARTS
from core.world.rasteriser import Renderer
from core.world.scene import Scene, build


def draw(seed: int, **fixed: float) -> np.ndarray:
    z = np.random.default_rng((31, seed)).normal(size=Z_SIZE).astype(np.float32)
    for index, value in fixed.items():
        z[int(index[1:])] = value
    return z


@pytest.fixture(scope="module")
def scene(pack: Pack) -> Scene:
    return build(pack, scene_parameters(draw(0, **{f"c{EYEGLASSES}": -1.0, f"c{BEARD}": -2.0})))


def test_depth_and_position_agree_with_the_camera_law(renderer: Renderer, scene: Scene):
    camera = Camera(yaw=0.4, pitch=-0.1)
    buffers = renderer.render(scene, camera.yaw, camera.pitch, other=scene)
    side = renderer.size // 2
    origin, directions = camera.rays(side)
    points = origin + directions * buffers.depth[..., None].astype(np.float64)
    same = (buffers.part > 0) & (np.abs(buffers.other_position).sum(-1) > 0)
    assert same.mean() > 0.2
    assert np.abs(points - buffers.other_position.astype(np.float64))[same].max() < 5e-4


def test_the_picture_covers_what_the_geometry_covers(renderer: Renderer, scene: Scene):
    buffers = renderer.render(scene, 0.2, 0.0)
    alpha = buffers.colour[..., 3].reshape(renderer.size // 2, 2, renderer.size // 2, 2).mean((1, 3)) / 255
    assert (np.abs(alpha - (buffers.part > 0)) > 0.6).mean() < 0.02
    assert buffers.colour[0, 0, 3] == 0


def test_normals_are_unit_and_face_the_camera(renderer: Renderer, scene: Scene):
    camera = Camera(yaw=-0.5)
    buffers = renderer.render(scene, camera.yaw, camera.pitch)
    skin = buffers.part == PARTS.index("skin")
    normals = buffers.normal[skin] / 127.0
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 0.02
    assert ((normals @ camera.position) > -0.1).mean() > 0.98


def test_vertex_ids_lie_where_their_pixels_are(renderer: Renderer, scene: Scene):
    buffers = renderer.render(scene, 0.0, 0.0)
    rows, columns = np.nonzero(buffers.vertex_id >= 0)
    seen, _ = Camera().project(scene.vertices[buffers.vertex_id[rows, columns]].astype(np.float64))
    pixels = (np.asarray(seen) + 1) / 2 * (renderer.size // 2) - 0.5
    distance = np.linalg.norm(pixels - np.stack([columns, rows], 1), axis=1)
    assert np.median(distance) < 3.0


def test_glasses_beard_and_teeth_appear_when_asked(renderer: Renderer, pack: Pack):
    on = build(
        pack, scene_parameters(draw(5, **{f"c{EYEGLASSES}": 2.0, f"c{BEARD}": 2.5, "c3": 1.5, f"c{SMILE}": 1.5}))
    )
    off = build(
        pack,
        scene_parameters(
            draw(5, **{f"c{EYEGLASSES}": -2.0, f"c{BEARD}": -2.5, "c3": 1.5, f"c{SMILE}": -2.0, "c1": -2.0})
        ),
    )
    for name, count in (("glasses", 10), ("beard", 50), ("teeth", 5)):
        number = PARTS.index(name)
        assert (renderer.render(on, 0.0, 0.0).part == number).sum() >= count
        assert (renderer.render(off, 0.0, 0.0).part == number).sum() <= 2


def test_a_picture_is_drawn_the_same_twice(renderer: Renderer, scene: Scene, pack: Pack):
    other = build(pack, scene_parameters(draw(8)))
    first = renderer.render(scene, 0.3, 0.1)
    renderer.render(other, 0.0, 0.0)
    second = renderer.render(scene, 0.3, 0.1)
    assert np.array_equal(first.colour, second.colour)
    assert np.array_equal(first.depth, second.depth)
