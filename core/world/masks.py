"""Where on the mean head hair grows, and how open to the sky each vertex is.

Used once, while packing. Positions are in decimetres of the mean head (y up, z forward); the constants below are read
off that head and only matter to looks.
"""

from __future__ import annotations

import numpy as np

EYE_Y, NOSE_BASE_Y, MOUTH_Y, CHIN_Y, TOP_Y = 6.97, 6.45, 6.27, 5.87, 8.07
MEAN_EYES = np.array([0.0, EYE_Y, 1.193])  # the frame the constants here are drawn in: where the middle of the eyes is,
MEAN_EYE_DISTANCE = 0.59  # and how far apart their centres are, decimetres
DEPTH_SIZE = 512


def ramp(x: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Smooth step from 0 at `start` to 1 at `stop` (which may be smaller)."""
    t = np.clip((x - start) / (stop - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def hair_masks(mean: np.ndarray) -> dict[str, np.ndarray]:
    """Beard, moustache, scalp, brow, lid and cheek masks, (V,) in 0..1.

    Args:
        mean: (V, 3) mean head.
    """
    x, y, z = np.abs(mean[:, 0]), mean[:, 1], mean[:, 2]
    # cheek line: from the corner of the nose down over the cheek, then up to the sideburn before the ear
    line = np.interp(x, [0.0, 0.22, 0.38, 0.55, 0.68, 0.75], [6.42, 6.42, 6.28, 6.36, 6.7, 6.95])
    cheek = ramp(line - y, -0.06, 0.07)
    neck = ramp(y, 5.58, 5.78) * ramp(z, 0.42, 0.6)
    lips = np.exp(-((x / 0.27) ** 4) - ((y - MOUTH_Y) / 0.095) ** 4)
    below_nose = ramp(NOSE_BASE_Y - y, 0.0, 0.05)
    beard = cheek * neck * (1 - lips) * np.where(x < 0.3, below_nose, 1.0)
    moustache = ramp(0.33 - x, 0.0, 0.08) * below_nose * ramp(y, MOUTH_Y + 0.05, MOUTH_Y + 0.11) * ramp(z, 1.0, 1.15)
    # hairline: forehead, temple, in front of the ear, behind it down to the nape
    front = np.interp(z, [-0.6, 0.0, 0.28, 0.5, 0.62, 0.9, 1.2, 1.45], [5.95, 6.15, 6.6, 6.9, 6.95, 7.35, 7.58, 7.62])
    temples = 0.16 * np.exp(-(((x - 0.42) / 0.14) ** 2)) * ramp(z, 0.7, 1.0)
    scalp = ramp(y - front - temples, -0.12, 0.16)
    ear = np.maximum(ramp(x, 0.70, 0.74), ramp(x, 0.60, 0.65) * ramp(z, 0.14, 0.24) * ramp(z, 0.66, 0.58))
    scalp = scalp * (1 - ear * ramp(y, 7.25, 7.1))
    eyes = np.exp(-(((x - 0.295) / 0.22) ** 4) - ((y - EYE_Y) / 0.13) ** 4) * ramp(z, 0.9, 1.1)
    brow = np.exp(-(((x - 0.3) / 0.22) ** 4) - ((y - EYE_Y - 0.22) / 0.08) ** 4) * ramp(z, 0.9, 1.1)
    tone = np.exp(-(((x - 0.42) / 0.15) ** 4) - ((y - 6.6) / 0.18) ** 4) * ramp(z, 0.8, 1.0)
    tone = np.maximum(tone, np.exp(-((x / 0.3) ** 4) - ((y - 7.35) / 0.12) ** 4) * ramp(z, 0.8, 1.0))
    plain = np.maximum(ramp(y, 6.12, 5.9), ramp(y, 6.5, 6.25) * ramp(z, 0.85, 0.65))
    return {
        "plain": plain, "beard": beard, "moustache": moustache, "scalp": scalp, "lips": lips * ramp(z, 1.0, 1.15),
        "brow": brow, "lid": eyes, "cheek": tone,
    }  # fmt: skip


def occlusion(vertices: np.ndarray, triangles: np.ndarray, directions: int = 96) -> np.ndarray:
    """Openness of each vertex to the sky of its own hemisphere, cosine weighted, (V,) in 0..1.

    Orthographic depth maps from all around; a vertex is open in a direction where nothing lies before it.
    """
    import moderngl  # only when packing

    context = moderngl.create_context(standalone=True, backend="egl")
    program = context.program(
        vertex_shader="#version 330\nin vec3 p; uniform mat4 m; void main(){ gl_Position = m * vec4(p, 1.0); }",
        fragment_shader="#version 330\nlayout(location=0) out float d; void main(){ d = gl_FragCoord.z; }",
    )
    target = context.texture((DEPTH_SIZE, DEPTH_SIZE), 1, dtype="f4")
    frame = context.framebuffer([target], context.depth_renderbuffer((DEPTH_SIZE, DEPTH_SIZE)))
    points = vertices.astype(np.float32)
    buffer = context.buffer(points.tobytes())
    mesh = context.vertex_array(
        program, [(buffer, "3f", "p")], index_buffer=context.buffer(triangles.astype("i4").tobytes())
    )
    face = np.cross(
        points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    )
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], face)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    middle, radius = (points.max(0) + points.min(0)) / 2, float(np.linalg.norm(points.max(0) - points.min(0))) / 2
    open_light, all_light = np.zeros(len(points)), np.full(len(points), 1e-6)
    context.enable(moderngl.DEPTH_TEST)
    for k in range(directions):
        height = 1 - (2 * k + 1) / directions
        turn = k * np.pi * (3 - np.sqrt(5))
        side = np.sqrt(1 - height * height)
        toward = np.array([side * np.cos(turn), height, side * np.sin(turn)])
        right = np.cross([0.0, 1.0, 0.0] if abs(height) < 0.9 else [1.0, 0.0, 0.0], toward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(toward, right), toward])
        matrix = np.eye(4)
        matrix[:3, :3] = rotation / radius
        matrix[2, :3] *= -1
        matrix[:3, 3] = -matrix[:3, :3] @ middle
        frame.use()
        frame.clear(1.0, 0.0, 0.0, 0.0)
        program["m"].write(matrix.T.astype("f4").tobytes())
        mesh.render()
        depth = np.frombuffer(target.read(), "f4").reshape(DEPTH_SIZE, DEPTH_SIZE)
        local = points @ matrix[:3, :3].T.astype("f4") + matrix[:3, 3].astype("f4")
        column = np.clip(((local[:, 0] + 1) / 2 * DEPTH_SIZE).astype(int), 0, DEPTH_SIZE - 1)
        row = np.clip(((local[:, 1] + 1) / 2 * DEPTH_SIZE).astype(int), 0, DEPTH_SIZE - 1)
        seen = (local[:, 2] + 1) / 2 <= depth[row, column] + 0.006
        cosine = np.maximum(normals @ toward, 0.0) * (0.65 + 0.35 * height)
        open_light += cosine * seen
        all_light += cosine
    context.release()
    return np.clip(open_light / all_light, 0.0, 1.0)


def vertex_masks(mean: np.ndarray, triangles: np.ndarray, occluders: np.ndarray) -> dict[str, np.ndarray]:
    """All per-vertex masks of the pack.

    Args:
        mean: (V, 3) mean head.
        triangles: the head's skin.
        occluders: triangles that cast occlusion.
    """
    masks = hair_masks(mean)
    used = np.unique(triangles)
    light = np.ones(len(mean))
    # vertex order of `mean` is kept: unused vertices (helpers) stay open
    light[used] = occlusion(mean, occluders)[used]
    masks["occlusion"] = light
    return masks
