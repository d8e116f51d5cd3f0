"""Camera tier: one picture of a head from one camera.

Field at 64 px by guided rays, local branch, surface at half the picture's size, the photo's colours through
``core.visibility``, decoder, and the photo's own pixels on top at full resolution. Small pictures (while a hand drags)
leave out what cannot be seen at their size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.camera import FAR, HALF_FOV, NEAR, Camera
from core.frame import BACKDROP
from core.models.generator import Modulate
from core.models.networks import Networks
from core.models.volume import VolumeMaps
from core.rendering import surfaces
from core.rendering.additions import with_additions
from core.rendering.contours import Beside, Contours, beside_contours, contours, mixed_guide
from core.rendering.edited import EditedHead
from core.rendering.folded import FoldedField
from core.rendering.gaps import bridged
from core.rendering.hands import Pause, alone, both, resting, stepping
from core.rendering.hollows import hollowed
from core.rendering.hybrid import LOCAL_SIZE, hybrid_modulation
from core.rendering.integrals import integrate_geometry
from core.rendering.margins import continued
from core.rendering.mirrored import plausible
from core.rendering.outline import Rim, coverage, rim_of, with_rim
from core.rendering.patterns import bordered, patterned, rimmed, spared, unseen
from core.rendering.precision import Sdf, distance
from core.rendering.search import at_steps, located
from core.rendering.seen import Seen
from core.rendering.strays import without_strays
from core.rendering.tones import tones_at
from core.rendering.upsampling import along_surface, steps
from core.surface_maps import extended
from core.tensor_camera import camera_frame
from core.visibility import believed, blend, guide

# Pictures up to this side are previews: the decoder stops at its 128 px block and the query view is not re-aligned.
PREVIEW = 160
# Trust in the photo (a logit) that a wholly tuned decoder is given beyond its own.
SURE = 12.0
# Half the reach over which a deformation's slope is taken (world units): about a cell of its grid.
DIFFERENCE = 0.004
# The same where something is added to the field: teeth, and the lips before them.
FINE_DIFFERENCE = 0.0005
# Channels of the guide that a layer's decoder may look at: all, or the rendered alpha only (the generator by itself).
_KNOWING, _BLIND = (1.0,) * 6, (0.0, 0.0, 0.0, 0.0, 1.0, 0.0)


# Side of the pictures at which the query view is re-aligned: half of that in training, which nobody can tell apart
# (pictures of both are 50 dB from one another).
QUICK_SIZE = 128
# Alpha of the field's picture from which on a pixel of it is head and nothing else.
SOLID = 0.9


def angles_of(camera: Camera, device: torch.device) -> Tensor:
    """(1, 2) yaw and pitch of a camera."""
    return torch.tensor([[camera.yaw, camera.pitch]], dtype=torch.float32, device=device)


def render_layer(
    networks: Networks,
    head: EditedHead,
    camera: Camera,
    size: int,
    layer: str,
    *,
    plainly: bool = False,
    pause: Pause = resting,
) -> tuple[Tensor, Tensor]:
    """Render one layer.

    Args:
        networks: The model.
        head: The edit tier.
        camera: Where to look from.
        size: Side of the picture.
        layer: What to draw, one of ``core.frame.LAYERS``.
        plainly: Take the slow twin: every ray traced through the unfolded field, in float32 throughout.
        pause: Called between stages.

    Returns:
        Colours (3, size, size) in [-1, 1], straight, and alpha (1, size, size) in [0, 1].
    """
    angles = angles_of(camera, networks.device)
    draft = size <= PREVIEW
    view = _View(networks, head, angles, camera.half_fov, plainly=plainly, draft=draft, pause=pause)
    pause()
    if layer in ("normals", "depth"):
        return _geometry_layer(view, size, layer)
    generator = networks.generator
    field: Tensor | FoldedField = head.styles if plainly else head.shape.field.light
    if plainly and view.additions:
        field = head.shape.field  # Latents alone do not know what was added.
    if view.seen is not None:
        _, geometry, maps = view.seen
    else:
        geometry = integrate_geometry(
            generator, field, angles, view.found, camera.half_fov, head.source.deformation, fallback=not draft
        )
        maps = geometry.appearance(generator, field)
    pause()
    if not draft:
        _prepare(networks, head, size, pause)
    resolution = _decoded_size(networks, size)
    # Above the decoder's size the photo knows more than it: photo pixels are looked up at the picture's own resolution.
    drawn = max(size, resolution)
    trusted = maps.rgb.new_tensor(_KNOWING if layer == "picture" else _BLIND)[:, None, None]

    def modulated() -> Modulate | None:
        if draft or head.features is None:
            return None
        return hybrid_modulation(
            networks,
            head.features,
            head.source.angles,
            head.source.residual,
            maps,
            angles,
            camera.half_fov,
            LOCAL_SIZE if plainly else QUICK_SIZE,
        )

    def looked_up(surface: surfaces.SurfaceMap) -> dict[int, Tensor]:
        """The guide at both sizes. Coordinates need all their digits: float32 whatever the decoder takes."""
        layers = None if draft else view.contours(surface)
        view.layers = layers
        found = {}
        for side in {resolution, drawn}:
            seen = guide(head.view_for(side), surface.points, maps.alpha, size=side, target=angles)
            found[side] = mixed_guide(seen, view.beside(side), head.view_for(side), angles) * trusted
        return found

    fine = max(min(size, resolution) // 2, geometry.size)
    modulate: Modulate | None = None
    # Each hand has about half of what is left to know.
    if draft:
        surface = view.surface(fine)
        hints, rim = both(lambda: looked_up(surface), lambda: view.rim(surface.hit).distance)
    else:

        def coloured() -> tuple[dict[int, Tensor], surfaces.SurfaceMap, Tensor]:
            surface = view.surface(fine, guessing=True)
            pause()
            rim = view.rim(surface.hit)
            surface = with_rim(surface, rim, angles, camera.half_fov)
            pause()
            return looked_up(surface), surface, rim.distance

        (hints, surface, rim), modulate = both(coloured, modulated, pause)
    pause()
    textured = maps if modulate is None else geometry.appearance(generator, field, modulate)
    pause()
    if plainly:
        styles = head.decoder_styles
        decoded = generator.decoder(textured.feature, styles, guide=hints[resolution], resolution=resolution)
    else:
        decoded = head.painter.paint(textured.feature, hints[resolution], resolution, pause)
    pause()
    with alone():
        tuned = in_tune(
            decoded[:, :3],
            head.natural(maps),
            head.tones,
            # What a refinement tuned is the decoder's own picture, and that is what this layer shows of it.
            None if draft or (layer != "picture" and head.tuned > 0.0) else (surface.depth, view.layers),
            camera.half_fov,
        )
        # A refinement tunes colours; what the same activations then say of trust in the photo is chance.
        decoded = torch.cat((tuned, decoded[:, 3:4], decoded[:, 4:] + SURE * head.tuned), dim=1)
        painted = _resized(decoded, drawn)
        known = plausible(hints[drawn], painted[:, :3])
        picture, _ = blend(known, painted)
        # The surface says where the head ends: the decoder's alpha is as coarse there as the field's picture.
        alpha = coverage(rim, drawn, camera.half_fov)
        if layer == "picture":
            belief, own = believed(known, painted), painted[:, :3]
            if not draft:
                own = continued(picture, own, belief, surface.depth, alpha)
            share = alpha * (1.0 - belief)
            places, before = unseen(surface, share), own
            if head.border is not None:
                own = bordered(own, head.border, places, view.beside(drawn))
            if head.auricles is not None:
                own = bordered(own, head.auricles, places, view.beside(drawn))
                share = spared(share, places, head.auricles.covered(places.points, places.spacing))
            if patterns := head.source.patterns:
                own = patterned(own, patterns, places)
            if not draft:
                own = rimmed(before, own, places, share)
            own = hollowed(own, surface, share, camera.half_fov, view.layers)
            picture = picture + (1.0 - belief) * (own - painted[:, :3])
    if layer == "picture" and not draft:
        picture = bridged(picture, own, belief, surface.depth, alpha)
    with alone():
        for worn in head.worn(camera):
            picture, alpha = worn.worn(picture, alpha, surface.depth, surface.hit, angles, camera.half_fov)
        if size < drawn:
            premultiplied = functional.interpolate(torch.cat((picture * alpha, alpha), dim=1), size=size, mode="area")
            alpha = premultiplied[:, 3:]
            picture = premultiplied[:, :3] / alpha.clamp(min=1e-3)
        return picture[0].clamp(-1.0, 1.0), alpha[0]


def _prepare(networks: Networks, head: EditedHead, size: int, pause: Pause) -> None:
    """What is made once an edit, when first asked for: E1's features, the large source view."""
    if "features" not in vars(head) and networks.local is not None and networks.aligner is not None:
        with stepping(networks.aligner, pause), stepping(networks.local, pause):
            _ = head.features
        pause()
    if head.view_for(size) is not head.view:
        pause()


class _View:
    """The surface of a head from one camera, by the fast or the slow twin."""

    def __init__(
        self,
        networks: Networks,
        head: EditedHead,
        angles: Tensor,
        half_fov: float,
        *,
        plainly: bool,
        draft: bool,
        pause: Pause,
    ) -> None:
        self.angles, self.half_fov = angles, half_fov
        self.field, self.styles = networks.generator.field, head.styles
        self.deformation, self.additions = head.source.deformation, head.shape.field.additions
        self._estimate: Callable[[Tensor], Tensor] | None = None
        self._closely = None if plainly or draft else head.shape
        self._pause = pause
        self.seen: Seen | None = None
        self.layers: Contours | None = None
        """Its contours, once they were looked for."""
        self._beside: dict[int, Beside | None] = {}
        if plainly:
            undeformed = distance(self.field, head.styles)
            own = self.deformation
            whole = undeformed if own is None else own.sdf(undeformed)
            whole = with_additions(whole, self.additions)
            self.sdf: Sdf = without_strays(whole, head.shape.strays)
            self.exact = self.sdf
            self.found = surfaces.crossings(self.sdf, angles, half_fov)
        else:
            self.sdf = head.shape.light
            self.exact = head.shape.sdf  # What bfloat16 rounds off is a tenth of a slope's step.
            self._estimate = head.shape.distance
            known = draft and head.seen is not None and half_fov == HALF_FOV
            self.seen = head.seen if known and torch.equal(angles, head.source.angles) else None
            self.found = (
                self.seen.found if self.seen else located(head.shape, angles, half_fov, draft=draft, pause=pause)
            )

    def surface(self, size: int, *, guessing: bool = False) -> surfaces.SurfaceMap:
        """The surface at a side; the fast twin may guess where it bends evenly."""
        sdf, angles, fov = self.sdf, self.angles, self.half_fov
        surface = surfaces.refined_surface(
            sdf, angles, self.found, size, half_fov=fov, estimate=self._estimate, guessing=guessing
        )
        return (
            surface if self._closely is None else at_steps(self._closely, surface, self.found, angles, fov, self._pause)
        )

    def contours(self, surface: surfaces.SurfaceMap) -> Contours | None:
        """Where one part of a surface stands before another."""
        return contours(surface, self._estimate or partial(_read, self.sdf), self.sdf, self.angles, self.half_fov)

    def beside(self, size: int) -> Beside | None:
        """The pixels of a picture of that side that these contours pass."""
        if self.layers is None:
            return None
        if size not in self._beside:
            self._beside[size] = beside_contours(self.layers, size, self.angles, self.half_fov)
        return self._beside[size]

    def rim(self, hit: Tensor) -> Rim:
        """The outline of what was hit."""
        return rim_of(self._estimate or partial(_read, self.sdf), self.sdf, self.angles, hit, self.half_fov)


def _read(sdf: Sdf, points: Tensor) -> Tensor:
    """Distances (...) of points (..., 3): the slow twin of ``HeadShape.distance``."""
    return sdf(points.reshape(1, -1, 3)).reshape(points.shape[:-1])


def _resized(picture: Tensor, size: int) -> Tensor:
    return functional.interpolate(picture, size=(size, size), mode="bilinear", align_corners=False)


def in_tune(
    painted: Tensor,
    maps: VolumeMaps,
    tones: Tensor,
    fine: tuple[Tensor, Contours | None] | None = None,
    half_fov: float = HALF_FOV,
) -> Tensor:
    """The decoder's colours with the tones of field and photo: it paints the detail, they say how bright and warm.

    What the decoder has below the field's resolution is replaced by the field's own colours, shifted by what the photo
    says about them nearby; so the unseen side continues the photo, however well the decoder is trained.

    Args:
        painted: By the decoder.
        maps: The field's integrals.
        tones: How far the field's colours are off.
        fine: A finer map of the surface and its contours: colours are then enlarged along it, and do not end in steps.
        half_fov: Of the camera.

    Shape:
        painted (1, 3, S, S); maps at s x s, without modulation; tones (1, 3, C, C, C); depths (1, 1, f, f); returns
        (1, 3, S, S).
    """
    side, size = maps.alpha.shape[-1], painted.shape[-1]
    solid = (maps.alpha >= min(SOLID, float(maps.alpha.detach().amax()))).to(painted.dtype)
    density = maps.alpha.clamp(min=1e-3)
    points = (maps.xyz / density).flatten(2).transpose(1, 2)
    wanted = maps.rgb / density + tones_at(tones, points[0]).T.reshape(1, 3, side, side)
    wanted = extended(wanted.clamp(-1.0, 1.0), solid)
    found = extended(functional.interpolate(painted, size=(side, side), mode="area"), solid)
    # Beside the outline the decoder paints what it takes for a backdrop.
    inner = _resized(-functional.max_pool2d(-solid, 3, 1, 1), size)
    detail = inner * (painted - _resized(found, size))
    if fine is None or size % side:
        return _resized(wanted, size) + detail
    coarse = extended(maps.depth / density, solid)
    # The decoder paints steps as coarsely as it is told of them.
    smooth = along_surface(wanted, coarse, *fine, size, half_fov)
    return smooth + (1.0 - steps(coarse, size)) * detail


def _decoded_size(networks: Networks, size: int) -> int:
    """The decoder's block that is enough for a picture of this side."""
    sides = [side for side, _ in networks.config.generator.decoder.channels]
    if size > PREVIEW:
        return sides[-1]
    return next((side for side in sides if side >= min(size, 128)), sides[-1])


def _geometry_layer(view: _View, size: int, layer: str) -> tuple[Tensor, Tensor]:
    """Normals (camera frame, x right, y up, z towards the viewer, as colours) or depth (near is bright)."""
    side = min(size, 256)
    surface = view.surface(side)
    if layer == "depth":
        colours = ((FAR - surface.depth) / (FAR - NEAR) * 2.0 - 1.0).expand(-1, 3, -1, -1)
    else:
        points = surface.points.flatten(2).transpose(1, 2)
        _, rotation = camera_frame(view.angles)
        normals = _normals(view, points) @ rotation
        colours = normals.transpose(1, 2).reshape(1, 3, side, side)
    return _resized(colours, size)[0], coverage(view.rim(surface.hit).distance, size, view.half_fov)[0]


def _normals(view: _View, points: Tensor) -> Tensor:
    """Outward unit normals (1, N, 3) at surface points (1, N, 3): the distance's gradient."""
    own = view.deformation
    if own is None:
        _, gradient = view.field.sdf_with_gradient(points, view.styles)
    else:
        # The chain rule by differences: a deformation is smooth, and its grid has corners where derivatives jump.
        step = DIFFERENCE * torch.eye(3, device=points.device, dtype=points.dtype)
        slopes = [(own.source(points + one) - own.source(points - one)) / (2 * DIFFERENCE) for one in step]
        _, gradient = view.field.sdf_with_gradient(own.source(points), view.styles)
        gradient = torch.einsum("kbnc,bnc->bnk", torch.stack(slopes), gradient)
    for one in view.additions:
        near = one.near(points[0])
        if len(near):
            gradient = gradient.clone()
            gradient[0, near] = _slope(view.exact, points[0, near])
    return functional.normalize(gradient, dim=-1)


def _slope(sdf: Sdf, points: Tensor) -> Tensor:
    """Gradients (N, 3) of a distance at points (N, 3), by central differences."""
    step = FINE_DIFFERENCE * torch.eye(3, device=points.device, dtype=points.dtype)
    beside = torch.cat([points[None] + step[:, None], points[None] - step[:, None]])
    ahead, back = sdf(beside.reshape(1, -1, 3)).reshape(2, 3, -1)
    return ((ahead - back) / (2.0 * FINE_DIFFERENCE)).T


def to_pixels(colours: Tensor, alpha: Tensor) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bytes for the screen: colours over the backdrop (S, S, 3), and alpha (S, S)."""
    backdrop = torch.tensor(BACKDROP, dtype=colours.dtype, device=colours.device)[:, None, None]
    painted = (colours + 1.0) * 127.5 * alpha + backdrop * (1.0 - alpha)
    pixels = painted.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    return pixels.cpu().numpy(), (alpha[0] * 255.0).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
