import numpy as np
import pytest

from core.world.identity import (
    AGE,
    BANGS,
    BEARD,
    BROWS,
    EDIT_WEIGHTS,
    EDITABLE,
    EYEGLASSES,
    EYES_OPEN,
    GENDER,
    HAIR_COLOUR,
    HAIR_LENGTH,
    IDENTITY_BLOCKS,
    LABELS,
    MOUTH_OPEN,
    SKIN_TONE,
    SMILE,
    WEIGHT,
    Z_SIZE,
    labels,
    scene_parameters,
)

GOVERNORS = {
    "Smile": (SMILE, 1), "Mouth open": (MOUTH_OPEN, 1), "Age": (AGE, 1), "Gender": (GENDER, 1),
    "Hair length": (HAIR_LENGTH, 1), "Hair colour": (HAIR_COLOUR, -1), "Bangs": (BANGS, 1), "Beard": (BEARD, 1),
    "Eyeglasses": (EYEGLASSES, 1), "Skin tone": (SKIN_TONE, 1), "Weight": (WEIGHT, 1), "Eyes open": (EYES_OPEN, 1),
    "Brows": (BROWS, 1),
}  # fmt: skip


def draw(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=Z_SIZE).astype(np.float32)


def test_the_blocks_cover_every_coordinate_once():
    covered = np.concatenate([np.arange(Z_SIZE)[part] for part in IDENTITY_BLOCKS.values()])
    assert sorted(covered) == list(range(Z_SIZE))


def test_the_same_z_means_the_same_head():
    first, second = scene_parameters(draw(3)), scene_parameters(draw(3))
    assert labels(first) == labels(second)
    assert first.actions == second.actions


@pytest.mark.parametrize("name", GOVERNORS)
def test_a_label_is_monotone_in_its_own_coordinate(name: str):
    coordinate, sign = GOVERNORS[name]
    moved = False
    for seed in range(12):
        z = draw(seed)
        values = []
        for amount in np.linspace(-3, 3, 25):
            z[coordinate] = amount
            values.append(sign * labels(scene_parameters(z))[name])
        assert np.all(np.diff(values) >= -1e-9)
        moved |= values[-1] > values[0]
    assert moved


def test_labels_come_in_their_documented_order_and_are_finite():
    for seed in range(50):
        values = labels(scene_parameters(draw(seed)))
        assert tuple(values) == LABELS
        assert np.isfinite(list(values.values())).all()


def test_open_smiles_with_teeth_are_frequent():
    shown = np.mean([scene_parameters(draw(seed)).teeth > 0.2 for seed in range(400)])
    assert 0.35 < shown < 0.6


def test_nobody_feminine_has_a_full_beard():
    for seed in range(200):
        z = draw(seed)
        z[GENDER], z[BEARD] = -1.5, 3.0
        assert scene_parameters(z).beard < 0.05


def test_every_edit_names_coordinates_that_exist():
    assert set(EDITABLE) == set(EDIT_WEIGHTS)
    for parts in EDITABLE.values():
        for part in parts:
            assert part in IDENTITY_BLOCKS if isinstance(part, str) else 0 <= part < 16
