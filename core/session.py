"""The document: one photo, what was found in it, the current edit and how it came about.

Every change is a method that says what changed, so that a window can be told once. History is a list of values, which
makes undo trivial and the command pattern unnecessary. A session never looks inside an inversion, so it needs no torch.
"""

from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

from core.edit import LatentEdit
from core.photo import Photo

HISTORY_LIMIT = 100
"""Undo steps kept: far more than anybody walks back, and still only a few kilobytes."""


class Changes(Flag):
    """What a method of ``Session`` changed. ``Changes(0)`` is nothing."""

    PHOTO = auto()
    INVERSION = auto()
    EDIT = auto()
    HISTORY = auto()


@dataclass(frozen=True)
class Step:
    """One entry of the history: head and edit as they were after the step, and what the step is called."""

    label: str
    edit: LatentEdit
    inversion: Any = None


class Session:
    """The document. Changed only through its methods, by one thread."""

    def __init__(self) -> None:
        self._photo: Photo | None = None
        self._inversion: Any = None
        self._edit = LatentEdit.none
        self._steps: list[Step] = [Step("", LatentEdit.none)]
        self._position = 0

    @property
    def photo(self) -> Photo | None:
        """The photo, None before the first."""
        return self._photo

    @property
    def inversion(self) -> Any:
        """What was found in the photo; opaque. None before the first photo."""
        return self._inversion

    @property
    def edit(self) -> LatentEdit:
        """The edit shown at present, which may not be committed yet."""
        return self._edit

    @property
    def undo_label(self) -> str:
        """What ``undo`` would take back; empty when there is nothing."""
        return self._steps[self._position].label if self._position > 0 else ""

    @property
    def redo_label(self) -> str:
        """What ``redo`` would bring back; empty when there is nothing."""
        return self._steps[self._position + 1].label if self._position + 1 < len(self._steps) else ""

    def replace(self, photo: Photo, inversion: Any) -> Changes:
        """Swap in another photo with its inversion, in one step; the edit and the history start anew."""
        self._photo = photo
        self._inversion = inversion
        self._edit = LatentEdit.none
        self._steps = [Step("", LatentEdit.none, inversion)]
        self._position = 0
        return Changes.PHOTO | Changes.INVERSION | Changes.EDIT | Changes.HISTORY

    def refine(self, inversion: Any, label: str) -> Changes:
        """Swap in another inversion of the same photo as one undo step; the edit stays, on the refined head."""
        if inversion is self._inversion:
            return Changes(0)
        self._inversion = inversion
        self._append(label)
        return Changes.INVERSION | Changes.HISTORY

    def preview(self, edit: LatentEdit) -> Changes:
        """Show an edit without making it a step yet, as while a slider is being dragged."""
        if edit == self._edit:
            return Changes(0)
        self._edit = edit
        return Changes.EDIT

    def commit(self, label: str) -> Changes:
        """Make the edit shown an undo step; steps that were undone are forgotten. Nothing if nothing changed."""
        if self._edit == self._steps[self._position].edit:
            return Changes(0)
        self._append(label)
        return Changes.HISTORY

    def _append(self, label: str) -> None:
        del self._steps[self._position + 1 :]
        self._steps.append(Step(label, self._edit, self._inversion))
        del self._steps[: -HISTORY_LIMIT - 1]
        self._position = len(self._steps) - 1

    def undo(self) -> Changes:
        """Go back one step; an edit that was only previewed goes back to the last step first."""
        if self._edit != self._steps[self._position].edit:
            self._edit = self._steps[self._position].edit
            return Changes.EDIT
        return self._move(-1)

    def redo(self) -> Changes:
        """Go forward one step that was undone."""
        return self._move(+1)

    def _move(self, direction: int) -> Changes:
        target = self._position + direction
        if not 0 <= target < len(self._steps):
            return Changes(0)
        self._position = target
        changed = Changes.HISTORY
        if self._steps[target].edit != self._edit:
            self._edit = self._steps[target].edit
            changed |= Changes.EDIT
        if self._steps[target].inversion is not self._inversion:
            self._inversion = self._steps[target].inversion
            changed |= Changes.INVERSION
        return changed
