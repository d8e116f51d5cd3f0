"""The golden runs with our networks: inputs → every array that the files hold, under the same names.

Used twice: the tests compare the result with a folder, and ``make_second_folder`` writes one from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.bench.made_up import filled
from core.camera import Camera, azimuth_path, ellipsoid_path
from core.evaluation import metrics
from core.frustum import aligned_volume, depth_mesh, frustum_mesh
from core.models.arcface import ArcFace
from core.models.configuration import OFFICIAL_1024
from core.models.directions_io import OFFICIAL_ATTRIBUTES, apply_directions
from core.models.discriminator import ImageDiscriminator, VolumeDiscriminator
from core.models.encoder import Encoder
from core.models.generator import Generator, GeometryPass
from core.models.hybrid import HybridRenderer, Query, Reference, inside
from core.models.layers import ModulatedConv
from core.models.local import positional_encoding
from core.models.networks import Direction
from core.models.ops import biased_leaky_relu, upfirdn2d
from core.models.volume import VolumeOutput, project, projection_matrix
from tests.golden.inputs import EDITED, Arrays, Folder, image

RAYS = 1024  # at a time: a third of a gigabyte of activations
CROPS = ((480, 480), (0, 0), (300, 700))
HALF_FOV = OFFICIAL_1024.generator.volume.half_fov
FOREGROUND = 1.08  # depth that E3DGE takes for the head


def tensor(array: np.ndarray) -> Tensor:
    """An array of a folder as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(array))


def cameras(locations: Tensor) -> list[Camera]:
    """Cameras of (azimuth, elevation) rows."""
    return [Camera(float(yaw), float(pitch)) for yaw, pitch in locations]


def poses(locations: Tensor) -> Tensor:
    """Camera-to-world matrices from the one law. Shape: (n, 2) → (n, 3, 4)."""
    return torch.from_numpy(np.stack([camera.pose() for camera in cameras(locations)])).float()


def crops(picture: Tensor) -> Tensor:
    """The three stored windows of a 1024² picture."""
    return torch.stack([picture[0, :, row : row + 48, column : column + 48] for row, column in CROPS])


def pooled(picture: Tensor, size: int) -> Tensor:
    """Adaptive average pool."""
    return F.adaptive_avg_pool2d(picture, size)


def subset(grid: Tensor, step: int) -> Tensor:
    """Every ``step``-th ray in both picture axes. Shape: (B, side·side, …) → (B, n, n, …)."""
    side = round(grid.shape[1] ** 0.5)
    return grid.reshape(grid.shape[0], side, side, *grid.shape[2:])[:, ::step, ::step]


def scales(arrays: Arrays) -> dict[str, float]:
    """The stored strengths by attribute; the reference does not load the last one."""
    return {name: float(s) for name, s in zip(OFFICIAL_ATTRIBUTES, arrays["c_scales"], strict=True) if name in EDITED}


@contextmanager
def beta_of(generator: Generator, value: float) -> Iterator[None]:
    """Another density width for a while."""
    beta = generator.renderer.sigmoid_beta
    before = beta.detach().clone()
    beta.data.fill_(value)
    yield
    beta.data.copy_(before)


def rendered(prefix: str, generator: Generator, geometry: GeometryPass, volume: VolumeOutput) -> dict[str, Tensor]:
    """The arrays of one plain view."""
    maps = volume.maps(64)
    samples = geometry.samples
    _, directions, _ = _rays(geometry)
    return {
        f"{prefix}_thumb": maps.rgb,
        f"{prefix}_depth": maps.depth[:, 0],
        f"{prefix}_xyz": maps.xyz,
        f"{prefix}_features_s8": maps.feature[:, :, ::8, ::8],
        f"{prefix}_sdf_s8": subset(geometry.sdf, 8),
        f"{prefix}_weights_s8": subset(geometry.weights, 8)[..., None],
        f"{prefix}_points_s16": subset(samples.points, 16),
        f"{prefix}_viewdirs_s8": subset(samples.view, 8),
        f"{prefix}_rays_d_s8": subset(directions, 8),
        f"{prefix}_mask_s2": (maps.depth[:, 0] < FOREGROUND).float()[:, ::2, ::2],
    }


def _rays(geometry: GeometryPass) -> tuple[Tensor, Tensor, Tensor]:
    """Ray directions back from samples: the step between two samples over the step in depth."""
    samples = geometry.samples
    step = (samples.t[..., -1:] - samples.t[..., :1])[..., 0, None]
    directions = (samples.points[:, :, -1] - samples.points[:, :, 0]) / step
    return samples.points[:, :, 0], directions, samples.view


@torch.no_grad()
def generator_arrays(folder: Folder, given: Arrays) -> Iterator[tuple[str, Tensor]]:
    """Everything of ``generator.npz``."""
    network = filled(lambda: Generator(OFFICIAL_1024.generator), folder.salt, "g_ema")
    assert isinstance(network, Generator)
    z, mean_z = tensor(given["z"]), tensor(given["mean_z"])
    w = network.mapping(z)
    yield "w_renderer", w
    yield "w_decoder", network.decoder_latent(w)
    means = network.mean_latents(mean_z)
    yield "mean_w_renderer", means[0][None]
    yield "mean_w_decoder", means[1][None]
    locations = tensor(given["locations"])
    yield from camera_arrays(locations)
    styles, decoder_styles = network.styles(w), network.decoder_styles(w)
    for i in range(len(locations)):
        samples = network.renderer.plain_samples(poses(locations[i : i + 1]))
        geometry = network.renderer.geometry(styles, samples, RAYS)
        volume = network.renderer.appearance(geometry, styles, ray_chunk=RAYS)
        yield from rendered(f"v{i}", network, geometry, volume).items()
        features = volume.maps(64).feature
        picture = network.decoder(features, decoder_styles)
        yield f"v{i}_image_pool128", pooled(picture, 128)
        yield f"v{i}_image_crops", crops(picture)
        if i == 0:
            yield "v0_zeronoise_image_pool64", pooled(network.decoder(features, decoder_styles, noise=False), 64)
    first = poses(locations[:1])
    stored = (tensor(given["mean_w_renderer"])[0], tensor(given["mean_w_decoder"])[0])
    picture, volume = network.picture(*network.truncated(z, 0.7, stored), first, ray_chunk=RAYS)
    yield "trunc07_thumb", volume.maps(64).rgb
    yield "trunc07_image_pool64", pooled(picture, 64)
    wplus = tensor(given["wplus_renderer"]), tensor(given["wplus_decoder"])
    picture, volume = network.picture(*wplus, first, ray_chunk=RAYS)
    yield "wplus_thumb", volume.maps(64).rgb
    yield "wplus_image_pool64", pooled(picture, 64)
    yield "wplus_image_crops", crops(picture)
    with beta_of(network, 0.004):
        maps = network.render(styles, first, ray_chunk=RAYS).maps(64)
    yield "beta004_thumb", maps.rgb
    yield "beta004_depth", maps.depth[:, 0]
    yield "beta004_xyz", maps.xyz
    yield "beta004_mask", (maps.depth[:, 0] < FOREGROUND).float()
    points = tensor(given["query_pts"])[None]
    sample = network.field(points, styles, torch.zeros_like(points))
    sdf, gradient = network.field.sdf_with_gradient(points, styles)
    yield "query_sdf", sdf[0, :, 0]
    yield "query_rgbraw", sample.rgb_raw[0]
    yield "query_sdf_grad", gradient[0]


def camera_arrays(locations: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The stored camera values, from ``core.camera`` and from the differentiable twin."""
    views = cameras(locations)
    volume = OFFICIAL_1024.generator.volume
    count = len(views)
    yield "cam_poses", poses(locations)
    yield "cam_extrinsics", torch.from_numpy(np.stack([camera.extrinsics() for camera in views])).float()
    yield "cam_focal", torch.tensor([camera.focal(64) for camera in views]).reshape(count, 1, 1)
    yield "cam_near", torch.full((count, 1, 1), volume.near)
    yield "cam_far", torch.full((count, 1, 1), volume.far)
    scale = [2 * camera.focal(64) / 64 for camera in views]
    yield "cam_intrinsics", torch.stack([torch.diag(torch.tensor([s, s, 1.0])) for s in scale])
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(count, 1, 4)
    yield "cam_calibs", torch.cat([projection_matrix(poses(locations), HALF_FOV), bottom], dim=1)


def hybrid(folder: Folder) -> HybridRenderer:
    """The official hybrid renderer with the folder's weights."""
    with torch.device("meta"):
        network = HybridRenderer.build(OFFICIAL_1024, RAYS)
    salt = folder.salt
    modulation = "local_feat_to_tex_modulations_linear."
    renames = {key: modulation + key.removeprefix("linear.") for key in network.modulation.state_dict()}
    network.generator = filled(lambda: network.generator, salt, "g_ema")
    network.local = filled(lambda: network.local, salt, "netLocal")
    network.modulation = filled(lambda: network.modulation, salt, "netLocal", renames)
    network.aligner = filled(lambda: network.aligner, salt, "grid_align")
    fusion = network.fusion
    assert fusion is not None
    network.fusion = filled(lambda: fusion, salt, "Fuse_sft_block")
    return network.eval()


@torch.no_grad()
def e3dge_arrays(folder: Folder, given: Arrays) -> Iterator[tuple[str, Tensor]]:
    """Everything of ``e3dge.npz``."""
    photo = image(folder.image_phase)
    yield "image_corner", photo[0, :, :3, :3]
    yield "image_mean", photo.mean(dim=(2, 3))
    encoder = filled(lambda: Encoder(OFFICIAL_1024.encoder), folder.salt, "encoder")
    found = encoder(photo)
    yield "E0_offset_renderer", found.styles
    yield "E0_offset_decoder", found.decoder_styles
    yield "E0_p32_s8", encoder.pyramid(photo)[32][:, :, ::8, ::8]
    del encoder
    verdict = filled(VolumeDiscriminator, folder.salt, "vol_d")(pooled(photo, 64))
    yield "vd_gan_pred", verdict.logit
    yield "vd_viewpoint", verdict.viewpoint
    yield "a_pred_locations", verdict.viewpoint

    network = hybrid(folder)
    styles = found.styles + tensor(given["mean_latent_renderer"])
    decoder_styles = found.decoder_styles + tensor(given["mean_latent_decoder"])
    yield "a_w_renderer", styles
    yield "a_w_decoder", decoder_styles
    view, other = poses(verdict.viewpoint), poses(tensor(given["b_location"]))
    reference_projection, projection = projection_matrix(view, HALF_FOV), projection_matrix(other, HALF_FOV)
    plain = network.generator.renderer.plain_samples

    seen = network.geometry(styles, plain(view))
    reference = network.encode_reference(photo, styles, decoder_styles, seen, reference_projection)
    assert reference.features is not None
    yield "a_G0_thumb", reference.thumb
    yield "a_depth", network.depth_map(seen)[:, 0]
    yield "a_residual_pool64", pooled(reference.residual, 64)
    yield "E1_feat_shape", torch.tensor(reference.features.shape)
    yield "a_E1_feat_s8", reference.features[:, :, ::8, ::8]
    yield "a_E1_feat_c0_7", reference.features[:, :8]
    query = network.prepare_query(reference, seen, reference_projection)
    yield from query_arrays("a", network, reference, query)

    geometry = network.geometry(styles, plain(other))
    query = network.prepare_query(reference, geometry, projection)
    yield "b_G0_thumb", query.thumb
    yield "b_G0_depth", network.depth_map(geometry)[:, 0]
    yield from query_arrays("b", network, reference, query)

    flat = HybridRenderer(network.generator, network.local, network.modulation, network.aligner, None, RAYS)
    yield from query_arrays("d2donly", flat, reference._replace(features=None), query)
    del geometry, query, flat

    directions = {
        name: Direction(tensor(given[f"boundary_renderer_{name}"]), tensor(given[f"boundary_decoder_{name}"]))
        for name in EDITED
    }
    edited = apply_directions(styles, decoder_styles, directions, scales(given))
    yield "c_w_renderer", edited[0]
    yield "c_w_decoder", edited[1]
    at_photo = network.geometry(edited[0], plain(view))
    reference = network.encode_reference(photo, styles, decoder_styles, seen, reference_projection, (*edited, at_photo))
    assert reference.features is not None
    yield "c_edit_thumb_ref", reference.thumb
    yield "c_ref_ADA_pool64", pooled(reference.aligned, 64)
    yield "c_E1_feat_s8", reference.features[:, :, ::8, ::8]
    del seen, at_photo
    query = network.prepare_query(reference, network.geometry(edited[0], plain(other)), projection)
    yield "c_G0_thumb", query.thumb
    yield from query_arrays("c", network, reference, query)


def query_arrays(
    prefix: str, network: HybridRenderer, reference: Reference, query: Query
) -> Iterator[tuple[str, Tensor]]:
    """The arrays of one finished view."""
    yield f"{prefix}_ADA_pool64", pooled(query.aligned, 64)
    yield f"{prefix}_ADA_crop", query.aligned[0, :, 100:132, 100:132]
    points = query.geometry.samples.points
    shown = subset(points, 1)[:, 8::16, 8::16, ::6]
    flat = shown.reshape(1, -1, 3)
    visible = subset(query.visible, 1)[:, 8::16, 8::16, None].expand(*shown.shape[:-1], 1).reshape(1, -1, 1)
    local = network.local_features(reference, query, flat, visible)
    if local.visible is not None and local.f3d is not None:
        yield f"{prefix}_f2d_s16", torch.cat([local.f2d, local.visible], dim=-1).reshape(*shown.shape[:-1], -1)
        yield f"{prefix}_f3d_s16", local.f3d.reshape(*shown.shape[:-1], -1)
    features = torch.cat([local.fused, positional_encoding(flat)], dim=-1)
    yield f"{prefix}_localfeat_s16", features.reshape(*shown.shape[:-1], -1)
    modulation = torch.cat(network.modulation(local.fused, flat), dim=-1)
    yield f"{prefix}_mod_s16", modulation.reshape(*shown.shape[:-1], -1)
    source = reference.projection if network.fusion is not None else query.projection
    yield f"{prefix}_in_img_frac", inside(project(points.reshape(1, -1, 3), source)[0]).mean().reshape(1)
    output = network.finish(reference, query)
    yield f"{prefix}_thumb", output.volume.maps(64).rgb
    yield f"{prefix}_image_pool128", pooled(output.picture, 128)
    yield f"{prefix}_image_crops", crops(output.picture)


@torch.no_grad()
def mesh_arrays(folder: Folder, given: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Tensor]]:
    """Everything of ``mesh32.npz``."""
    network = filled(lambda: Generator(OFFICIAL_1024.generator), folder.salt, "g_ema")
    assert isinstance(network, Generator)
    location = torch.tensor([folder.mesh_view])
    yield "location", location
    samples = network.renderer.plain_samples(poses(location), 32, 32)
    styles = network.styles(network.mapping(tensor(given["z"])))
    geometry = network.renderer.geometry(styles, samples, RAYS)
    raw = subset(geometry.sdf, 1)
    xyz = geometry.xyz.transpose(1, 2).reshape(1, 3, 32, 32)
    radius = torch.linalg.vector_norm(subset(samples.points, 1), dim=-1, keepdim=True)
    field = 0.1 * (raw - raw.mean()) + (radius - 0.08)
    yield "sdf_raw", raw
    yield "sdf_field", field
    yield "xyz", xyz
    aligned = aligned_volume(field)
    yield "sdf_aligned", aligned
    vertices, faces = frustum_mesh(aligned[0])
    yield "mesh_vertices", tensor(vertices)
    yield "mesh_faces", tensor(faces)
    vertices, faces = depth_mesh(xyz[0])
    yield "depth_mesh_nv_nf", torch.tensor([len(vertices), len(faces)], dtype=torch.int32)
    yield "depth_mesh_first_vertices", tensor(vertices[:40])
    ordered = np.array(sorted(np.sort(faces, axis=1).tolist()), dtype=np.int32)
    yield "depth_mesh_faces_sorted", tensor(ordered[:200])


def modulated(given: Arrays, side: int, *, demodulate: bool = True, upsample: bool = False) -> Tensor:
    """A modulated convolution with stored weights."""
    weight = tensor(given[f"modconv_weight_k{side}"])
    layer = ModulatedConv(4, 3, side, 6, demodulate=demodulate, upsample=upsample)
    layer.weight.data.copy_(weight)
    layer.modulation.weight.data.copy_(tensor(given["modconv_mod_weight"]))
    layer.modulation.bias.data.copy_(tensor(given["modconv_mod_bias"]))
    result: Tensor = layer(tensor(given["modconv_x"]), tensor(given["modconv_style"]))
    return result


@torch.no_grad()
def misc_arrays(folder: Folder, given: Arrays) -> Iterator[tuple[str, Tensor]]:
    """Everything of ``misc.npz``."""
    x, kernel = tensor(given["ops_x"]), tensor(given["ops_kernel"])
    yield "ops_up2_pad21", upfirdn2d(x, kernel * 4, up=2, pad=(2, 1))
    yield "ops_down2_pad11", upfirdn2d(x, kernel, down=2, pad=(1, 1))
    yield "ops_blur_pad11", upfirdn2d(x, kernel, pad=(1, 1))
    yield "ops_blur_pad22", upfirdn2d(x, kernel, pad=(2, 2))
    yield "ops_asym", upfirdn2d(x, tensor(given["ops_asym_kernel"]), up=2, pad=(2, 1))
    bias = tensor(given["ops_flrelu_bias"])
    yield "ops_flrelu", biased_leaky_relu(x, bias)
    yield "ops_flrelu_scale1", biased_leaky_relu(x, bias, scale=1)
    yield "modconv_out_plain", modulated(given, 3)
    yield "modconv_out_up", modulated(given, 3, upsample=True)
    yield "modconv_out_nodemod", modulated(given, 1, demodulate=False)
    for name, path in (("azim", azimuth_path(9)), ("ellipsoid", ellipsoid_path(9))):
        rows = [(camera.yaw, camera.pitch, np.degrees(camera.half_fov)) for camera in path]
        yield f"trajectory_{name}_9", torch.tensor(rows, dtype=torch.float32)
    first, second = (image(phase) for phase in folder.misc_image_phases)
    pair = torch.cat([first, second])
    large = F.interpolate(pair, scale_factor=4, mode="nearest")
    yield "D1024_logits", filled(lambda: ImageDiscriminator(1024), folder.salt, "disc")(large)
    yield "D256_logits", filled(lambda: ImageDiscriminator(256, pool=True), folder.salt, "disc")(pair)
    embeddings = filled(ArcFace, folder.salt, "arcface")(pair)
    yield "arcface_emb", embeddings
    cosine = (embeddings[0].double() * embeddings[1].double()).sum()  # in float32 the difference to 1 has few digits
    yield "id_loss_0_vs_1", (1 - cosine).reshape(1).float()
    mixed = 0.8 * first + 0.2 * second
    yield "metric_mae", torch.tensor([metrics.mae(first, mixed)])
    yield "metric_l2", torch.tensor([metrics.l2(first, mixed)])
    yield "metric_psnr", torch.tensor([metrics.psnr(first, mixed)])
    yield "metric_ssim_reported", torch.tensor([metrics.ssim_e3dge(first, mixed)])
    values = metrics.ssim_map(first, mixed, window=5, sigma=1.5, dynamic_range=1.0)
    yield "metric_ssim_map_mean", values.mean().reshape(1)
