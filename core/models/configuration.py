"""Sizes of every network, as frozen values.

One family of classes serves the released StyleSDF + E3DGE networks and our own cameo-256; they differ only in the
instances at the end of this file. Nothing here imports torch, so that the sizes can be read (and hashed) anywhere.
Refuses to know where weights come from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2, radians

__all__ = [
    "CAMEO_256",
    "OFFICIAL_1024",
    "OFFICIAL_1024_2D",
    "OFFICIAL_1024_TRAINING",
    "PAPER_1024",
    "TOY",
    "AlignerConfig",
    "DecoderConfig",
    "EncoderConfig",
    "FieldConfig",
    "GeneratorConfig",
    "HeadConfig",
    "LocalConfig",
    "ModelConfig",
    "VolumeConfig",
]


@dataclass(frozen=True)
class FieldConfig:
    """FiLM-SIREN field (StyleSDF, Or-El et al. 2022, section 3.2).

    The signed distance is ``sdf_scale * affine(h)``, plus ``|x| - sdf_sphere_radius`` when that radius is given: a
    network whose output is a correction to a sphere starts as a head-sized ball instead of noise.
    """

    width: int = 256
    depth: int = 8  # geometry layers; one more layer makes colour
    style_dim: int = 256
    view_directions: bool = True
    sdf_scale: float = 1.0
    sdf_sphere_radius: float | None = None
    scene_radius: float = 0.12

    @property
    def rows(self) -> int:
        """Latent rows: one a geometry layer, one for colour."""
        return self.depth + 1


@dataclass(frozen=True)
class VolumeConfig:
    """Rays and integration (StyleSDF, equation 3). Depths are along the optical axis, in world units."""

    size: int = 64
    samples: int = 24
    near: float = 0.88
    far: float = 1.12
    half_fov: float = radians(6)
    force_background: bool = True  # the last sample takes what is left of a ray; alpha is then lost
    initial_beta: float = 0.1


@dataclass(frozen=True)
class DecoderConfig:
    """Style decoder: StyleGAN2 synthesis that starts at the field's feature map.

    ``channels`` lists (resolution, width) from the feature map's resolution to the picture's.
    """

    in_channels: int = 256
    channels: tuple[tuple[int, int], ...] = ((64, 512), (128, 256), (256, 128), (512, 64), (1024, 32))
    style_dim: int = 512
    mapping_in: int = 256
    mapping_layers: int = 5
    out_channels: int = 3
    guide_channels: int = 0
    idle_bias: bool = True  # released files carry a bias in every styled convolution that is never used

    @property
    def start_size(self) -> int:
        """Side of the feature map that comes in."""
        return self.channels[0][0]

    @property
    def image_size(self) -> int:
        """Side of the picture that goes out."""
        return self.channels[-1][0]

    @property
    def rows(self) -> int:
        """Latent rows: two at the first resolution, two a doubling."""
        return 2 * len(self.channels)


@dataclass(frozen=True)
class GeneratorConfig:
    """Mapping network, field, integration and decoder."""

    field: FieldConfig = FieldConfig()
    volume: VolumeConfig = VolumeConfig()
    decoder: DecoderConfig = DecoderConfig()
    z_dim: int = 256
    mapping_layers: int = 3


@dataclass(frozen=True)
class HeadConfig:
    """One style head of E0: a chain of stride-2 convolutions to one pixel, then a linear layer."""

    level: int  # 32, 64 or 128: which pyramid map it reads, at an input of 256
    width: int
    out: int
    convs: int


@dataclass(frozen=True)
class EncoderConfig:
    """E0: IR-SE backbone, feature pyramid, style heads (E3DGE, Lan et al. 2023, section 3.2)."""

    size: int = 256
    in_channels: int = 3
    stem: int = 64
    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    units: tuple[int, int, int, int] = (3, 4, 14, 3)
    se_reduction: int = 16
    pyramid: int = 512
    renderer_heads: tuple[HeadConfig, ...] = ()
    decoder_heads: tuple[HeadConfig, ...] = ()
    decoder_row_heads: tuple[int, ...] = ()  # which decoder head makes each decoder row
    pose_outputs: int = 0  # 0: the pose comes from elsewhere
    pose_hidden: int = 256
    quiet_heads: bool = False  # last linear layers start near zero, so that offsets do


@dataclass(frozen=True)
class LocalConfig:
    """E1: two stems and stacked hourglasses (PIFu's), and the texture modulation that reads them."""

    stem: int = 32
    entry: int = 64
    middle: int = 128
    channels: int = 256
    stacks: int = 4
    groups: int = 32
    stem_norm: str = "instance"  # "instance" | "batch"
    leftovers: bool = True  # released files carry tensors that no forward pass uses
    modulation: str = "resnet"  # "resnet" | "linear"
    quiet_modulation: bool = False


@dataclass(frozen=True)
class AlignerConfig:
    """E_ADA: the residual aligner of HFGI (Wang et al. 2022), without squeeze-and-excitation."""

    in_channels: int = 6
    channels: tuple[int, int, int, int] = (16, 32, 48, 64)
    units: int = 3
    out_channels: int = 3
    plain_head: bool = False  # end in a zero-initialised convolution instead of a normalised unit


@dataclass(frozen=True)
class ModelConfig:
    """All networks of one family.

    ``fusion`` False means the variant with 2D alignment only: no feature map of the photo's view, no fusion.
    """

    name: str
    generator: GeneratorConfig
    encoder: EncoderConfig
    local: LocalConfig = LocalConfig()
    aligner: AlignerConfig = AlignerConfig()
    fusion: bool = True
    quiet_fusion: bool = False
    shared_geometry: bool = False  # one latent for all geometry rows: E0's rows are averaged

    @property
    def renderer_rows(self) -> int:
        """Latent rows of the field."""
        return self.generator.field.rows

    @property
    def decoder_rows(self) -> int:
        """Latent rows of the decoder."""
        return self.generator.decoder.rows


def _chain(level: int) -> int:
    """Convolutions that bring a map of this side to one pixel."""
    return round(log2(level))


def _pyramid_heads(
    depth: int, decoder_rows: int, width: int, style: int, decoder_width: int, decoder_style: int
) -> tuple[tuple[HeadConfig, ...], tuple[HeadConfig, ...]]:
    """The paper's layout: 32² for geometry, 64² for colour, 128² for the decoder, one head a latent."""
    renderer = (HeadConfig(32, width, style, _chain(32)),) * depth + (HeadConfig(64, width, style, _chain(64)),)
    decoder = (HeadConfig(128, decoder_width, decoder_style, _chain(128)),) * decoder_rows
    return renderer, decoder


# The release differs from the paper: every field head reads 32² with seven convolutions, and the first decoder head
# serves all ten rows; the other nine lie idle in the file.
_OFFICIAL_ENCODER = EncoderConfig(
    renderer_heads=(HeadConfig(32, 256, 256, 7),) * 9,
    decoder_heads=(HeadConfig(128, 512, 512, 7),) * 3 + (HeadConfig(128, 512, 512, 8),) * 7,
    decoder_row_heads=(0,) * 10,
)
OFFICIAL_1024 = ModelConfig("e3dge-ffhq-1024", GeneratorConfig(), _OFFICIAL_ENCODER)
OFFICIAL_1024_2D = ModelConfig("e3dge-ffhq-1024-2d", GeneratorConfig(), _OFFICIAL_ENCODER, fusion=False)
# What the release's training scripts would build: batch norm in the stems, one linear layer as modulation.
OFFICIAL_1024_TRAINING = ModelConfig(
    "e3dge-ffhq-1024-training",
    GeneratorConfig(),
    _OFFICIAL_ENCODER,
    LocalConfig(stem_norm="batch", modulation="linear"),
)

_PAPER_HEADS = _pyramid_heads(8, 10, 256, 256, 512, 512)
PAPER_1024 = ModelConfig(
    "paper-1024",
    GeneratorConfig(),
    EncoderConfig(renderer_heads=_PAPER_HEADS[0], decoder_heads=_PAPER_HEADS[1], decoder_row_heads=tuple(range(10))),
)

_CAMEO_HEADS = _pyramid_heads(6, 6, 96, 256, 96, 256)
CAMEO_256 = ModelConfig(
    "cameo-256",
    GeneratorConfig(
        FieldConfig(width=128, depth=6, view_directions=False, sdf_scale=0.1, sdf_sphere_radius=0.1),
        VolumeConfig(force_background=False, initial_beta=0.01),
        DecoderConfig(
            in_channels=128,
            channels=((64, 128), (128, 64), (256, 32)),
            style_dim=256,
            mapping_layers=3,
            out_channels=5,  # red, green, blue, alpha logit, trust logit
            guide_channels=6,
            idle_bias=False,
        ),
    ),
    EncoderConfig(
        in_channels=4,
        stem=32,
        channels=(32, 64, 128, 192),
        units=(2, 3, 5, 2),
        pyramid=128,
        renderer_heads=_CAMEO_HEADS[0],
        decoder_heads=_CAMEO_HEADS[1],
        decoder_row_heads=tuple(range(6)),
        pose_outputs=6,
        quiet_heads=True,
    ),
    LocalConfig(stem=8, entry=32, middle=32, channels=64, stacks=1, groups=8, leftovers=False, quiet_modulation=True),
    AlignerConfig(channels=(8, 16, 24, 32), out_channels=5, plain_head=True),
    quiet_fusion=True,
    shared_geometry=True,
)

_TOY_HEADS = _pyramid_heads(2, 4, 8, 8, 8, 8)
TOY = ModelConfig(
    "toy",
    GeneratorConfig(
        FieldConfig(width=8, depth=2, style_dim=8, view_directions=False, sdf_scale=0.1, sdf_sphere_radius=0.1),
        VolumeConfig(size=64, samples=4, force_background=False, initial_beta=0.02),
        DecoderConfig(
            in_channels=8,
            channels=((64, 8), (128, 8)),
            style_dim=8,
            mapping_in=8,
            mapping_layers=2,
            out_channels=5,
            guide_channels=6,
            idle_bias=False,
        ),
        z_dim=8,
        mapping_layers=2,
    ),
    EncoderConfig(
        in_channels=4,
        stem=4,
        channels=(4, 8, 8, 8),
        units=(1, 1, 1, 1),
        se_reduction=4,
        pyramid=8,
        renderer_heads=_TOY_HEADS[0],
        decoder_heads=_TOY_HEADS[1],
        decoder_row_heads=tuple(range(4)),
        pose_outputs=6,
        pose_hidden=8,
        quiet_heads=True,
    ),
    LocalConfig(stem=4, entry=8, middle=8, channels=8, stacks=1, groups=2, leftovers=False, quiet_modulation=True),
    AlignerConfig(channels=(4, 8, 8, 8), units=1, out_channels=5, plain_head=True),
    quiet_fusion=True,
    shared_geometry=True,
)

_TOY_256_HEADS = _pyramid_heads(2, 6, 8, 8, 8, 8)
# The toy with cameo-256's shapes outside: codes of the world come in, pictures of 256 go out. Training is tried on it.
TOY_256 = replace(
    TOY,
    name="toy-256",
    generator=replace(
        TOY.generator,
        decoder=replace(TOY.generator.decoder, channels=((64, 8), (128, 8), (256, 8))),
        z_dim=256,
    ),
    encoder=replace(
        TOY.encoder,
        renderer_heads=_TOY_256_HEADS[0],
        decoder_heads=_TOY_256_HEADS[1],
        decoder_row_heads=tuple(range(6)),
    ),
)
