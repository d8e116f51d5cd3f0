"""Camera tier: one picture of a head from one camera.

Field at 64 px by guided rays, local branch, surface at half the picture's size, the photo's colours through
``core.visibility``, decoder, and the photo's own pixels on top at full resolution. Small pictures (while a hand drags)
leave out what cannot be seen at their size.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, NEAR, Camera
from core.frame import BACKDROP
from core.models.networks import Networks
from core.rendering import surfaces
from core.rendering.edited import EditedHead
from core.rendering.hybrid import hybrid_modulation
from core.rendering.precision import distance, low_precision
from core.visibility import blend, camera_frame, guide

# Pictures up to this side are previews: the decoder stops at its 128 px block and the query view is not re-aligned.
PREVIEW = 160


def angles_of(camera: Camera, device: torch.device) -> Tensor:
    """(1, 2) yaw and pitch of a camera."""
    return torch.tensor([[camera.yaw, camera.pitch]], dtype=torch.float32, device=device)


def render_layer(networks: Networks, head: EditedHead, camera: Camera, size: int, layer: str) -> tuple[Tensor, Tensor]:
    """Render one layer.

    Returns:
        Colours (3, size, size) in [-1, 1], straight, and alpha (1, size, size) in [0, 1].
    """
    field = networks.generator.field
    angles = angles_of(camera, networks.device)
    found = surfaces.crossings(distance(field, head.styles), angles, camera.half_fov)
    if layer in ("normals", "depth"):
        return _geometry_layer(networks, head, angles, camera, found, size, layer)
    geometry = surfaces.integrate_geometry(networks.generator, head.styles, angles, found, camera.half_fov)
    maps = geometry.appearance(networks.generator, head.styles)
    if size > PREVIEW and head.features is not None:
        modulate = hybrid_modulation(
            networks, head.features, head.source.angles, head.source.residual, maps, angles, camera.half_fov
        )
        maps = geometry.appearance(networks.generator, head.styles, modulate)
    resolution = _decoded_size(networks, size)
    if layer == "picture":
        side = max(min(size, resolution) // 2, geometry.size)
        exact = distance(field, head.styles)
        surface = surfaces.refined_surface(exact, angles, found, side, half_fov=camera.half_fov)
        hints = guide(head.view_for(resolution), surface.points, maps.alpha, size=resolution, target=angles)
    else:
        surface = None
        hints = maps.rgb.new_zeros(1, 6, resolution, resolution)
        hints[:, 4:5] = functional.interpolate(maps.alpha, size=resolution, mode="bilinear", align_corners=False)
    with low_precision(networks.device):
        decoded = networks.generator.decoder(maps.feature, head.decoder_styles, guide=hints, resolution=resolution)
    decoded = decoded.float()
    if size > resolution:
        # The photo knows more than the decoder: its pixels are looked up again at the picture's own resolution.
        decoded = functional.interpolate(decoded, size=size, mode="bilinear", align_corners=False)
        if surface is None:
            hints = functional.interpolate(hints, size=size, mode="bilinear", align_corners=False)
        else:
            hints = guide(head.view_for(size), surface.points, maps.alpha, size=size, target=angles)
    picture, alpha = blend(hints, decoded)
    if size < picture.shape[-1]:
        premultiplied = functional.interpolate(torch.cat((picture * alpha, alpha), dim=1), size=size, mode="area")
        alpha = premultiplied[:, 3:]
        picture = premultiplied[:, :3] / alpha.clamp(min=1e-3)
    return picture[0].clamp(-1.0, 1.0), alpha[0]


def _decoded_size(networks: Networks, size: int) -> int:
    """The decoder's block that is enough for a picture of this side."""
    sides = [side for side, _ in networks.config.generator.decoder.channels]
    if size > PREVIEW:
        return sides[-1]
    return next((side for side in sides if side >= min(size, 128)), sides[-1])


def _geometry_layer(
    networks: Networks,
    head: EditedHead,
    angles: Tensor,
    camera: Camera,
    found: surfaces.Crossings,
    size: int,
    layer: str,
) -> tuple[Tensor, Tensor]:
    """Normals (camera frame, x right, y up, z towards the viewer, as colours) or depth (near is bright)."""
    field = networks.generator.field
    side = min(size, 256)
    exact = distance(field, head.styles)
    surface = surfaces.refined_surface(exact, angles, found, side, half_fov=camera.half_fov)
    if layer == "depth":
        colours = ((FAR - surface.depth) / (FAR - NEAR) * 2.0 - 1.0).expand(-1, 3, -1, -1)
    else:
        points = surface.points.flatten(2).transpose(1, 2)
        _, gradient = field.sdf_with_gradient(points, head.styles)
        _, rotation = camera_frame(angles)
        normals = functional.normalize(gradient @ rotation, dim=-1)
        colours = normals.transpose(1, 2).reshape(1, 3, side, side)
    both = torch.cat((colours, surface.hit), dim=1)
    both = functional.interpolate(both, size=size, mode="bilinear", align_corners=False)
    return both[0, :3], both[0, 3:]


def to_pixels(colours: Tensor, alpha: Tensor) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bytes for the screen: colours over the backdrop (S, S, 3), and alpha (S, S)."""
    backdrop = torch.tensor(BACKDROP, dtype=colours.dtype, device=colours.device)[:, None, None]
    painted = (colours + 1.0) * 127.5 * alpha + backdrop * (1.0 - alpha)
    pixels = painted.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    return pixels.cpu().numpy(), (alpha[0] * 255.0).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
