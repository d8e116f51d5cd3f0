"""Laws of a session with a refined head: one undo step, the edit stays, and back is back."""

from __future__ import annotations

from typing import Any

import pytest

from core.edit import LatentEdit
from core.session import Changes, Session

SMILE = LatentEdit.none.with_strength("Smile", 1.0)


@pytest.fixture
def session() -> Session:
    made = Session()
    photo: Any = object()
    made.replace(photo, "head")
    made.preview(SMILE)
    made.commit("Smile")
    return made


def test_refining_is_one_step_that_can_be_undone_and_redone(session: Session) -> None:
    assert session.refine("refined", "Refine") == Changes.INVERSION | Changes.HISTORY
    assert (session.inversion, session.edit, session.undo_label) == ("refined", SMILE, "Refine")
    assert session.undo() == Changes.HISTORY | Changes.INVERSION
    assert (session.inversion, session.edit) == ("head", SMILE)
    assert session.redo() == Changes.HISTORY | Changes.INVERSION
    assert session.inversion == "refined"


def test_edits_after_it_keep_the_refined_head(session: Session) -> None:
    session.refine("refined", "Refine")
    session.preview(LatentEdit.none)
    session.commit("Reset")
    assert session.undo() == Changes.HISTORY | Changes.EDIT
    assert (session.inversion, session.edit) == ("refined", SMILE)
    session.undo()
    session.undo()
    assert (session.inversion, session.edit) == ("head", LatentEdit.none)


def test_the_same_head_is_no_step_and_another_photo_starts_anew(session: Session) -> None:
    assert session.refine(session.inversion, "Refine") == Changes(0)
    session.refine("refined", "Refine")
    photo: Any = object()
    session.replace(photo, "other")
    assert session.undo() == Changes(0)
    assert session.inversion == "other"
