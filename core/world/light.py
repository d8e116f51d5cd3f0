"""Studio light: key, fill, rim and a sky, mostly well lit as portraits are; and the colours of skin, hair and eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.world.identity import SceneParameters, phi

# sRGB of human skin in photographs, light to dark, at even steps of the tone
SKIN_TONES = np.array(
    [
        (232, 192, 168), (228, 184, 156), (220, 172, 140), (206, 154, 120), (190, 133, 98), (160, 107, 77),
        (126, 82, 60), (96, 62, 47), (70, 46, 37),
    ]
) / 255.0  # fmt: skip
HAIR_TONES = np.array(
    [(205, 176, 128), (176, 137, 88), (134, 96, 62), (96, 65, 43), (62, 43, 32), (38, 28, 23), (23, 19, 18)]
) / 255.0  # fmt: skip
GREY_HAIR = np.array([196, 193, 190]) / 255.0
IRIS_TONES = np.array(
    [(58, 34, 20), (82, 50, 28), (112, 76, 42), (102, 92, 54), (88, 100, 84), (84, 106, 122), (94, 122, 146)]
) / 255.0  # fmt: skip


def linear(colour: np.ndarray) -> np.ndarray:
    """Linear light of sRGB 0..1 (gamma 2.2, the shader's own inverse)."""
    return np.asarray(colour, np.float64) ** 2.2


def tone(table: np.ndarray, position: float) -> np.ndarray:
    """Linear-light colour at position 0..1 of a table of sRGB colours."""
    at = np.linspace(0, 1, len(table))
    return np.stack([np.interp(position, at, linear(table)[:, channel]) for channel in range(3)])


def skin_colour(parameters: SceneParameters) -> np.ndarray:
    """Linear albedo of the skin (3,)."""
    base = tone(SKIN_TONES, parameters.skin_tone)
    warm = 0.06 * float(np.tanh(parameters.skin[2]))
    red = 0.05 * float(np.tanh(parameters.skin[3]))
    return base * np.exp([0.5 * warm + red, -0.3 * red, -warm])


def hair_colour(parameters: SceneParameters) -> np.ndarray:
    """Linear albedo of the hair (3,)."""
    base = tone(HAIR_TONES, parameters.hair_melanin)
    redness = max(0.0, float(np.tanh(parameters.hair_look[0] - 1.0))) * 0.5
    base = base * np.array([1 + redness, 1 - 0.15 * redness, 1 - 0.5 * redness])
    grey = linear(GREY_HAIR) * (0.75 + 0.25 * float(np.tanh(parameters.hair_look[2])))
    return base * (1 - parameters.hair_grey) + grey * parameters.hair_grey


def iris_colour(parameters: SceneParameters) -> np.ndarray:
    """Linear albedo of the iris (3,): light eyes go with light skin."""
    position = phi(float(parameters.iris[0]) - 1.6 * (parameters.skin_tone - 0.3) * 2)
    return tone(IRIS_TONES, position**1.6) * np.exp(0.2 * float(parameters.iris[1]))


@dataclass(frozen=True, eq=False)
class Light:
    """Directional lights fixed in the world, and a sky."""

    directions: np.ndarray  # (3, 3) unit vectors towards the lights: key, fill, rim
    colours: np.ndarray  # (3, 3) linear
    sky: np.ndarray  # (3,) ambient from above
    ground: np.ndarray  # (3,) ambient from below


def direction(yaw: float, pitch: float) -> np.ndarray:
    """Unit vector towards a light at yaw (0 = from the camera's side, + to +x) and pitch."""
    return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])


def temperature(amount: float) -> np.ndarray:
    """Colour of a light: positive = warm."""
    return np.exp(np.array([0.10, 0.0, -0.14]) * amount)


def light_of(parameters: SceneParameters) -> Light:
    """The light of a scene from its 24 coordinates.

    0 key yaw, 1 key pitch, 2 key to fill ratio, 3 key warmth, 4 fill yaw, 5 fill pitch, 6 fill warmth, 7 rim strength,
    8 rim side, 9 rim pitch, 10 ambient share, 11 exposure, 12 overall warmth, 13 ground bounce.
    """
    z = parameters.light
    key = direction(0.75 * float(np.tanh(0.8 * z[0])), 0.55 + 0.25 * float(np.tanh(z[1])))
    side = -np.sign(z[0]) if z[0] else 1.0
    fill = direction(side * (0.7 + 0.3 * float(np.tanh(z[4]))), 0.15 + 0.2 * float(np.tanh(z[5])))
    rim = direction(np.pi * (0.78 + 0.1 * float(np.tanh(z[9]))) * (1 if z[8] > 0 else -1), 0.5)
    exposure = np.exp(0.13 * float(z[11]))
    contrast = phi(float(z[2]))
    ambient = (0.36 + 0.20 * phi(float(z[10]))) * (1.1 - 0.35 * contrast)
    all_over = temperature(0.0 + 0.4 * float(z[12]))
    colours = np.stack(
        [
            (0.60 + 0.42 * contrast) * temperature(0.5 * float(z[3])),
            (0.40 - 0.28 * contrast) * temperature(-0.1 + 0.4 * float(z[6])),
            0.9 * max(0.0, float(np.tanh(0.7 * z[7]))) * np.ones(3),
        ]
    )
    sky = ambient * np.ones(3) * temperature(-0.1)
    ground = ambient * (0.5 + 0.2 * float(np.tanh(z[13]))) * temperature(0.5)
    return Light(
        np.stack([key, fill, rim]),
        colours * exposure * all_over,
        sky * exposure * all_over,
        ground * exposure * all_over,
    )
