"""The document as the window sees it: a QObject around ``Session`` and its only mutator.

Every change is broadcast once with what changed and who did it, so that the slider that caused an edit does not answer
its own echo (Anki's rule). It knows no widget and no engine.
"""

from typing import Any

from PySide6.QtCore import QObject, Signal

from core.edit import LatentEdit
from core.photo import Photo
from core.session import Changes, Session


class SessionModel(QObject):
    """The open photo, its inversion, the edit and its history."""

    changed = Signal(object, object)
    """Changes, and the object that caused them or None."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = Session()

    @property
    def photo(self) -> Photo | None:
        """The open photo."""
        return self._session.photo

    @property
    def inversion(self) -> Any:
        """What was found in the photo; opaque here. None before the first photo."""
        return self._session.inversion

    @property
    def edit(self) -> LatentEdit:
        """The edit as it is shown."""
        return self._session.edit

    @property
    def undo_label(self) -> str:
        """What ``undo`` would take back, empty when there is nothing."""
        return self._session.undo_label

    @property
    def redo_label(self) -> str:
        """What ``redo`` would bring back, empty when there is nothing."""
        return self._session.redo_label

    def replace(self, photo: Photo, inversion: Any, initiator: object = None) -> None:
        """Swap in another photo in one step."""
        self._tell(self._session.replace(photo, inversion), initiator)

    def refine(self, inversion: Any, label: str, initiator: object = None) -> None:
        """Swap in another inversion of the same photo as one undo step."""
        self._tell(self._session.refine(inversion, label), initiator)

    def preview(self, edit: LatentEdit, initiator: object = None) -> None:
        """Show an edit without making it a step."""
        self._tell(self._session.preview(edit), initiator)

    def commit(self, label: str, initiator: object = None) -> None:
        """Make what is shown one undo step."""
        self._tell(self._session.commit(label), initiator)

    def undo(self) -> None:
        """Go back one step."""
        self._tell(self._session.undo(), None)

    def redo(self) -> None:
        """Go forward one step."""
        self._tell(self._session.redo(), None)

    def _tell(self, changes: Changes, initiator: object) -> None:
        if changes:
            self.changed.emit(changes, initiator)
