"""The document: every change says what changed, and can be taken back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.camera import Camera
from core.edit import ATTRIBUTES, LatentEdit
from core.frame import LAYERS, RenderRequest
from core.photo import Photo
from core.session import HISTORY_LIMIT, Changes, Session

PHOTO = Photo.from_pixels(np.zeros((4, 4, 3), np.uint8))
SMILE = LatentEdit.parse(["Smile=1"])
OLDER = SMILE.with_strength("Age", 1)


def test_a_new_photo_replaces_everything_in_one_step() -> None:
    session = Session()
    session.preview(SMILE)
    session.commit("Smile")
    changes = session.replace(PHOTO, "an inversion")
    assert changes == Changes.PHOTO | Changes.INVERSION | Changes.EDIT | Changes.HISTORY
    assert (session.photo, session.inversion, session.edit) == (PHOTO, "an inversion", LatentEdit.none)
    assert session.undo() == Changes(0)


def test_dragging_a_slider_is_one_step() -> None:
    session = Session()
    for strength in (0.1, 0.5, 1.0):
        assert session.preview(LatentEdit.none.with_strength("Smile", strength)) == Changes.EDIT
    assert session.preview(SMILE) == Changes(0)
    assert session.commit("Smile") == Changes.HISTORY
    assert session.commit("Smile") == Changes(0)
    assert session.undo_label == "Smile"
    assert session.undo() == Changes.HISTORY | Changes.EDIT
    assert session.edit == LatentEdit.none
    assert session.redo_label == "Smile"
    assert session.redo() == Changes.HISTORY | Changes.EDIT
    assert session.edit == SMILE


def test_undo_first_takes_back_what_was_only_previewed() -> None:
    session = Session()
    session.preview(SMILE)
    session.commit("Smile")
    session.preview(OLDER)
    assert session.undo() == Changes.EDIT
    assert session.edit == SMILE
    assert session.undo_label == "Smile"


def test_a_new_step_forgets_what_was_undone() -> None:
    session = Session()
    session.preview(SMILE)
    session.commit("Smile")
    session.undo()
    session.preview(OLDER)
    session.commit("Age")
    assert session.redo_label == ""
    assert session.redo() == Changes(0)


def test_history_is_bounded() -> None:
    session = Session()
    for step in range(HISTORY_LIMIT + 20):
        session.preview(LatentEdit.none.with_strength("Smile", (step % 7 + 1) / 8))
        session.commit(f"step {step}")
    undone = 0
    while session.undo():
        undone += 1
    assert undone == HISTORY_LIMIT


@given(st.lists(st.tuples(st.sampled_from([known.name for known in ATTRIBUTES]), st.floats(0, 1)), max_size=12))
def test_undoing_everything_and_redoing_everything_comes_back(steps: list[tuple[str, float]]) -> None:
    session = Session()
    for name, strength in steps:
        session.preview(session.edit.with_strength(name, strength))
        session.commit(name)
    end = session.edit
    while session.undo():
        pass
    assert session.edit == LatentEdit.none
    while session.redo():
        pass
    assert session.edit == end


def test_equal_requests_are_equal_so_that_a_cache_can_know_them() -> None:
    first, second = (RenderRequest("inversion", SMILE, Camera(0.1), 128) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first.layer in LAYERS


@pytest.mark.parametrize("bad", [{"size": 0}, {"layer": "x-ray"}])
def test_a_request_that_cannot_be_met_is_a_programming_mistake(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"pixel|layer"):
        RenderRequest(**({"inversion": None, "edit": SMILE, "camera": Camera(), "size": 8} | bad))
