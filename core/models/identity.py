"""A face's identity as 128 numbers: how Cameo measures, and trains for, "this is the same person".

The network is dlib's face recognition ResNet (``dlib_face_recognition_resnet_model_v1``, D. King, public domain), with
the weights as face-api publishes them. Distances are Euclidean: below 0.6 dlib calls two faces the same person, on
our photos different people lie near 0.8. It is differentiable, so it can be a loss; judge with something else then.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

IDENTITY_WEIGHTS = "dlib-face-embedding"  # its entry in the manifest
INPUT_SIZE = 150  # dlib trained on 150 px chips
MEAN = (122.782, 117.001, 104.298)  # dlib's input_rgb_image: mean of its training faces, per channel
# Left, top, side of dlib's chip in an FFHQ crop: dlib's mean eye corners and nose base (with its padding of 0.25) laid
# over the means of those landmarks in 471 nearly frontal aligned portraits; off by at most 0.8 % of the crop.
BOX = (0.1506, 0.2511, 0.7078)


class Affine(nn.Module):
    """A convolution followed by a per-channel scale and shift (dlib's frozen batch normalisation)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.scale = nn.Parameter(torch.ones(channels_out))
        self.shift = nn.Parameter(torch.zeros(channels_out))
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, Cin, H, W) to (B, Cout, H', W')."""
        x = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        return x * self.scale[:, None, None] + self.shift[:, None, None]


class Residual(nn.Module):
    """dlib's residual block; ``down`` halves the size, and zero-pads the shortcut's channels (no projection)."""

    def __init__(self, channels_in: int, channels_out: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = Affine(channels_in, channels_out, 3, 2 if down else 1, 0 if down else 1)
        self.conv2 = Affine(channels_out, channels_out, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, Cin, H, W) to (B, Cout, H', W')."""
        y = self.conv2(functional.relu(self.conv1(x)))
        if self.down:
            x = functional.avg_pool2d(x, 2, 2)
            rows, columns = x.shape[2] - y.shape[2], x.shape[3] - y.shape[3]
            y = functional.pad(y, (0, columns, 0, rows))
            x = functional.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return functional.relu(x + y)


class IdentityEmbedding(nn.Module):
    """dlib's ResNet-29 on FFHQ-framed crops.

    Shape:
        forward: (B, 3, S, S) in [0, 1], sRGB, FFHQ-framed (any S; 256 is usual) -> (B, 128), norm about 1.4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = Affine(3, 32, 7, 2, 0)
        plan = (
            ("conv32_1", 32, 32), ("conv32_2", 32, 32), ("conv32_3", 32, 32),
            ("conv64_down", 32, 64), ("conv64_1", 64, 64), ("conv64_2", 64, 64), ("conv64_3", 64, 64),
            ("conv128_down", 64, 128), ("conv128_1", 128, 128), ("conv128_2", 128, 128),
            ("conv256_down", 128, 256), ("conv256_1", 256, 256), ("conv256_2", 256, 256),
            ("conv256_down_out", 256, 256),
        )  # fmt: skip
        self.order = tuple(name for name, _, _ in plan)
        for name, channels_in, channels_out in plan:
            self.add_module(name, Residual(channels_in, channels_out, down="down" in name))
        self.fc = nn.Linear(256, 128, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "IdentityEmbedding":
        """Build the frozen network from its published tensors.

        Args:
            tensors: uint8 (with ``key:range`` = scale, minimum) or float tensors under this module's parameter names.

        Raises:
            RuntimeError: if a key is missing, left over, or of another shape.
        """
        state: dict[str, Tensor] = {}
        for key, value in tensors.items():
            if key.endswith(":range"):
                continue
            scale_minimum = tensors.get(f"{key}:range")
            value = value.float()
            state[key] = value if scale_minimum is None else value * scale_minimum[0] + scale_minimum[1]
        network = cls()
        network.load_state_dict(state, strict=True)
        return network.eval().requires_grad_(False)

    def chips(self, crops: Tensor) -> Tensor:
        """Cut dlib's 150 px chips out of FFHQ-framed crops: (B, 3, S, S) -> (B, 3, 150, 150), same value range."""
        size = crops.shape[-1]
        left, top, side = (value * size for value in BOX)
        # whole pixels of the crop: half a pixel of 256 moves the embedding less than anything else does
        x0, y0, extent = round(left), round(top), round(side)
        box = crops[:, :, y0 : y0 + extent, x0 : x0 + extent]
        return functional.interpolate(
            box, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True, align_corners=False
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Embed FFHQ-framed crops."""
        return self.embed_chips(self.chips(crops))

    def embed_chips(self, chips: Tensor) -> Tensor:
        """Embed dlib chips (B, 3, 150, 150) in [0, 1]."""
        x = (chips * 255.0 - self.get_buffer("mean")) / 256.0
        x = functional.max_pool2d(functional.relu(self.conv32_down(x)), 3, 2)
        for name in self.order:
            x = self.get_submodule(name)(x)
        return self.fc(x.mean(dim=(2, 3)))
