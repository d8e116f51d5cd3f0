"""z to scene parameters: the documented, deterministic meaning of the 256 numbers.

Everything a head is follows from z ~ N(0, I): each attribute that a slider will move later is governed by one
coordinate (its label is monotone in it, the rest held), so that clean linear directions exist. Continuous wherever the
thing itself is continuous; categories come from thresholds on one coordinate or the largest of a few scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, sqrt

import numpy as np

Z_SIZE = 256

# the coordinates of the attributes: one each
SMILE, MOUTH_OPEN, AGE, GENDER, HAIR_LENGTH, HAIR_COLOUR, BANGS, BEARD = range(8)
EYEGLASSES, SKIN_TONE, WEIGHT, EYES_OPEN, BROWS = range(8, 13)

IDENTITY_BLOCKS: dict[str, slice] = {
    "attributes": slice(0, 16),  # see above; 13..15 unused
    "ancestry": slice(16, 20),  # scores of african, asian, caucasian features
    "shape": slice(20, 135),  # one coordinate a symmetric local change
    "asymmetry": slice(135, 143),  # left minus right of the largest local changes
    "skin": slice(143, 159),  # which detail texture, redness, shine, lips, wrinkle contrast, freckles
    "eyes": slice(159, 163),  # iris colour, its brightness, pupil
    "gaze": slice(163, 165),  # yaw and pitch of both eyes
    "brow_style": slice(165, 169),  # which brow, colour difference to the hair
    "hair_style": slice(169, 185),  # scores of the styles of the chosen length
    "hair_look": slice(185, 193),  # hue, greying, volume, shine, contrast
    "beard_style": slice(193, 199),  # full beard, moustache, goatee; length
    "glasses_style": slice(199, 207),  # width, height, roundness, rim, colour, lens
    "expression": slice(207, 223),  # what faces do beside smiling
    "light": slice(223, 247),  # key, fill, rim, ambient, exposure, colour temperature
    "clothes": slice(247, 252),  # reserved: sample pages only
    "spare": slice(252, 256),
}
EDITABLE: dict[str, tuple[str | int, ...]] = {
    # what one "attribute block" of an edit redraws: coordinates or whole blocks
    "expression": (SMILE, MOUTH_OPEN, EYES_OPEN, "expression", "gaze"),
    "smile": (SMILE,),
    "mouth": (MOUTH_OPEN, SMILE),
    "age": (AGE,),
    "gender": (GENDER,),
    "beard": (BEARD, "beard_style"),
    "hair colour": (HAIR_COLOUR,),
    "hair": (HAIR_LENGTH, BANGS, "hair_style"),
    "glasses": (EYEGLASSES, "glasses_style"),
    "skin tone": (SKIN_TONE,),
    "weight": (WEIGHT,),
    "brows": (BROWS,),
}
EDIT_WEIGHTS = {
    "expression": 6.0, "smile": 5.0, "mouth": 3.0, "age": 2.0, "gender": 2.0, "beard": 2.0, "hair colour": 1.5,
    "hair": 2.0, "glasses": 2.0, "skin tone": 0.7, "weight": 1.0, "brows": 0.8,
}  # fmt: skip

GLASSES_FROM = 0.85  # one head in five
AGE_RANGE = (0.54, 0.45)  # anny's age at the label 0 and its growth to the label 1: about 16 to 85 years

HAIR_STYLES: dict[str, tuple[str, ...]] = {
    "none": ("",),
    "short": ("short01", "short02", "short04", "crop", "afro", "short03"),
    "medium": ("bob02", "bob01", "short03", "ponytail01", "afro"),
    "long": ("long01", "bob01", "ponytail01", "braid01"),
}
MASCULINE_STYLES = ("short01", "short02", "short04", "crop")
FEMININE_STYLES = ("bob01", "bob02", "long01", "ponytail01", "braid01", "short03")


def phi(x: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * (1.0 + erf(x / sqrt(2.0)))


def logistic(x: float) -> float:
    """Smooth step from 0 to 1 around 0."""
    return 1.0 / (1.0 + exp(-x)) if x > -60 else 0.0


def positive(x: float, limit: float = 1.0) -> float:
    """Clip x to 0..limit."""
    return min(max(x, 0.0), limit)


@dataclass(frozen=True, eq=False)
class SceneParameters:
    """All that `core.world.scene` needs to build one head; made by `scene_parameters` only."""

    z: np.ndarray  # (256,) float32, where it came from
    phenotypes: dict[str, float]  # gender, age in 1/3..1, weight 0..1, african+asian+caucasian = 1
    shape: np.ndarray  # (115,) standard normal amounts of the symmetric local changes
    asymmetry: np.ndarray  # (8,)
    actions: dict[str, float]  # facial action -> 0..1
    smile: float  # 0..1
    teeth: float  # 0..1 how far the smile opens
    jaw: float  # 0..1
    eye_opening: float  # -1 closed .. 1 wide
    gaze: tuple[float, float]  # yaw, pitch of the eyes, radians
    skin_tone: float  # 0 lightest .. 1 darkest
    skin: np.ndarray  # (16,)
    iris: np.ndarray  # (4,)
    hair_length: float  # 0..1
    hair_style: str  # name of the hair mesh, "" for none
    scalp: float  # 0 shaved .. 1 dense short hair: colour of the scalp under or without hair
    hair_melanin: float  # 0 blond .. 1 black
    hair_grey: float  # 0..1
    hair_look: np.ndarray  # (8,)
    bangs: float  # 0..1
    brow: float  # 0 thin and faint .. 1 thick and dark
    brow_style: np.ndarray  # (4,)
    beard: float  # 0..1: stubble below about 0.45, shell geometry above
    beard_style: np.ndarray  # (6,)
    glasses: float  # 0 or 1
    glasses_style: np.ndarray  # (8,)
    light: np.ndarray  # (24,)


def expression_actions(z: np.ndarray, smile: float, teeth: float, jaw: float, opening: float) -> dict[str, float]:
    """Facial actions (name -> 0..1) of the main amounts and the sixteen secondary coordinates.

    Args:
        z: (16,) the block "expression": 0 press, 1 pucker, 2 frown, 3 brow raise, 4 brow down, 5 sneer, 6 asymmetry
            of the mouth, 7 cheek puff, 8 squint, 9 dimple, 10 funnel, 11 lip roll, 12 wink, 13..15 unused.
        smile: 0..1.
        teeth: 0..1.
        jaw: 0..1.
        opening: -1..1.
    """
    actions: dict[str, float] = {}

    def both(name: str, amount: float) -> None:
        for side in ("Left", "Right"):
            actions[name + side] = actions.get(name + side, 0.0) + amount

    lopsided = 0.18 * float(np.tanh(z[6]))
    actions["mouthSmileLeft"] = smile * (1 + lopsided)
    actions["mouthSmileRight"] = smile * (1 - lopsided)
    both("cheekSquint", 0.4 * smile)
    both("eyeSquint", 0.15 * smile + positive(0.25 * float(z[8]) - 0.15, 0.6))
    both("mouthUpperUp", 0.85 * teeth)
    both("mouthLowerDown", 0.42 * teeth)
    both("mouthDimple", positive(0.25 * float(z[9])) * smile)
    both("mouthStretch", 0.25 * teeth)
    actions["jawOpen"] = positive(jaw + 0.11 * teeth)
    calm = 1.0 - smile
    both("mouthPress", positive(0.5 * float(z[0]) - 0.2, 0.8) * calm * (1 - jaw))
    actions["mouthPucker"] = positive(0.5 * float(z[1]) - 0.6, 0.7) * calm
    both("mouthFrown", positive(0.35 * float(z[2]) - 0.2, 0.6) * calm * (1 - jaw))
    actions["mouthFunnel"] = positive(0.5 * float(z[10]) - 0.7, 0.6) * calm
    actions["browInnerUp"] = positive(0.33 * float(z[3]) + 0.1, 0.9)
    both("browOuterUp", positive(0.35 * float(z[3]) - 0.15, 0.8))
    both("browDown", positive(0.25 * float(z[4]) - 0.2, 0.6))
    both("noseSneer", positive(0.25 * float(z[5]) - 0.3, 0.4))
    actions["cheekPuff"] = positive(0.4 * float(z[7]) - 0.6, 0.5)
    actions["mouthRollLower"] = positive(0.3 * float(z[11]) - 0.35, 0.5) * (1 - teeth)
    if opening < 0:
        both("eyeBlink", min(1.0, -opening))
    else:
        both("eyeWide", 0.6 * opening)
    wink = float(z[12])
    if abs(wink) > 2.9:
        actions["eyeBlinkLeft" if wink > 0 else "eyeBlinkRight"] = 0.9
    return {name: positive(amount) for name, amount in actions.items() if amount > 1e-4}


def scene_parameters(z: np.ndarray) -> SceneParameters:
    """The scene that z means.

    Args:
        z: (256,) standard normal.
    """
    z = np.asarray(z, np.float32)
    block = {name: z[part].astype(np.float64) for name, part in IDENTITY_BLOCKS.items()}
    value = [float(x) for x in z[:16]]

    gender = logistic(3.2 * value[GENDER])
    age_share = phi(value[AGE])
    age = AGE_RANGE[0] + AGE_RANGE[1] * age_share**0.9
    weight = 0.5 + 0.42 * (2 * phi(value[WEIGHT]) - 1)
    scores = np.exp(1.6 * block["ancestry"][:3])
    african, asian, caucasian = scores / scores.sum()

    smile = positive(0.42 + 0.40 * value[SMILE])
    press = float(block["expression"][13])
    teeth = positive(2.2 * (smile - 0.36 - 0.08 * max(0.0, press)))
    jaw = positive(0.28 * (value[MOUTH_OPEN] - 0.35), 0.75)
    opening = float(np.clip(0.20 + 0.20 * value[EYES_OPEN] - (0.9 if value[EYES_OPEN] < -2.3 else 0.0), -1.0, 0.5))
    gaze_yaw, gaze_pitch = 0.16 * float(block["gaze"][0]), 0.08 * float(block["gaze"][1])
    far = exp(-0.25 * (block["gaze"][0] ** 2 + block["gaze"][1] ** 2))  # most people look into the camera
    gaze = (gaze_yaw * (1 - 0.6 * far), gaze_pitch * (1 - 0.6 * far))

    actions = expression_actions(block["expression"], smile, teeth, jaw, opening)
    for name, amount in (
        ("eyeLookOutLeft", gaze[0]), ("eyeLookInRight", gaze[0]), ("eyeLookInLeft", -gaze[0]),
        ("eyeLookOutRight", -gaze[0]), ("eyeLookUpLeft", gaze[1]), ("eyeLookUpRight", gaze[1]),
        ("eyeLookDownLeft", -gaze[1]), ("eyeLookDownRight", -gaze[1]),
    ):  # fmt: skip
        if amount > 0:
            actions[name] = positive(amount / 0.6)

    # hair: length by one coordinate, shifted by gender; style by scores among the meshes of that length
    length_score = value[HAIR_LENGTH] + 0.9 * (1 - 2 * gender)
    if length_score < -1.45:
        group = "none"
    elif length_score < 0.35:
        group = "short"
    elif length_score < 1.15:
        group = "medium"
    else:
        group = "long"
    styles = HAIR_STYLES[group]
    style_scores = block["hair_style"][: len(styles)] + np.array(
        [
            -1.5 * (1 - gender) * (name in MASCULINE_STYLES) - 1.5 * gender * (name in FEMININE_STYLES)
            + (5.0 * african - 4.2) * (name == "afro") + 0.4 * (name == "crop") - 1.0 * (name == "bob01")
            for name in styles
        ]
    )  # fmt: skip
    style = styles[int(np.argmax(style_scores))]
    tone = phi(value[SKIN_TONE] * 0.85 + 1.15 * (african - 0.33) * 1.4 - 0.25)
    melanin = phi(0.9 * value[HAIR_COLOUR] + 1.6 * african + 1.2 * asian + 1.2 * (tone - 0.35) - 0.3)
    grey = logistic(9.0 * (age_share - 0.88 + 0.12 * float(block["hair_look"][1])))

    beard = positive(0.5 * (value[BEARD] - 0.1)) * logistic(14.0 * (gender - 0.55))
    return SceneParameters(
        z=z,
        phenotypes={
            "gender": gender, "age": age, "weight": weight, "african": float(african), "asian": float(asian),
            "caucasian": float(caucasian),
        },
        shape=block["shape"],
        asymmetry=block["asymmetry"],
        actions=actions,
        smile=smile,
        teeth=teeth,
        jaw=jaw,
        eye_opening=opening,
        gaze=gaze,
        skin_tone=tone,
        skin=block["skin"],
        iris=block["eyes"],
        hair_length=phi(length_score / 1.35),
        hair_style=style,
        scalp=logistic(2.0 * (length_score + 2.2)) * (1 - 0.7 * positive(2 * (age_share - 0.75)) * gender),
        hair_melanin=melanin,
        hair_grey=grey,
        hair_look=block["hair_look"],
        bangs=phi(value[BANGS]),
        brow=phi(value[BROWS] + 0.5 * (2 * gender - 1)),
        brow_style=block["brow_style"],
        beard=beard,
        beard_style=block["beard_style"],
        glasses=float(value[EYEGLASSES] > GLASSES_FROM),
        glasses_style=block["glasses_style"],
        light=block["light"],
    )  # fmt: skip


LABELS = (
    "Smile", "Mouth open", "Age", "Gender", "Hair length", "Hair colour", "Bangs", "Beard", "Eyeglasses", "Skin tone",
    "Weight", "Eyes open", "Brows", "Gaze yaw", "Gaze pitch",
)  # fmt: skip


def labels(parameters: SceneParameters) -> dict[str, float]:
    """The exact attribute values of a head, in `LABELS` order.

    Ranges: 0..1, but Eyes open -1..1 and gaze in radians. Gender 1 = male; Hair colour 1 = light; Skin tone 1 = dark.
    """
    return {
        "Smile": parameters.smile,
        "Mouth open": positive(parameters.jaw),
        "Age": (parameters.phenotypes["age"] - AGE_RANGE[0]) / AGE_RANGE[1],
        "Gender": parameters.phenotypes["gender"],
        "Hair length": parameters.hair_length,
        "Hair colour": 1.0 - parameters.hair_melanin * (1 - parameters.hair_grey),
        "Bangs": parameters.bangs,
        "Beard": parameters.beard,
        "Eyeglasses": parameters.glasses,
        "Skin tone": parameters.skin_tone,
        "Weight": parameters.phenotypes["weight"],
        "Eyes open": parameters.eye_opening,
        "Brows": parameters.brow,
        "Gaze yaw": parameters.gaze[0],
        "Gaze pitch": parameters.gaze[1],
    }
