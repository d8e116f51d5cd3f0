"""Sliders, undo and redo: one drag is one step, because only letting go commits."""

from core.edit import LatentEdit, attribute
from gui.session_model import SessionModel


class EditOperations:
    """Changes the edit of the session.

    Args:
        session: the document.
    """

    def __init__(self, session: SessionModel) -> None:
        self._session = session

    def preview(self, name: str, strength: float, initiator: object = None) -> None:
        """Show a strength while a slider moves."""
        if self._session.inversion is not None:
            self._session.preview(self._session.edit.with_strength(name, strength), initiator)

    def commit(self, name: str, initiator: object = None) -> None:
        """Make the change one step, named after its slider."""
        self._session.commit(attribute(name).label, initiator)

    def reset(self) -> None:
        """All sliders back to zero, as one step."""
        self._session.preview(LatentEdit.none)
        self._session.commit("Reset")
