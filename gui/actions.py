"""Everything a person can do, as one table: text, shortcut, icon, tip, menu, and when it makes sense.

Menus, tool bar, shortcuts and the list of shortcuts all come from here. What an action does is connected in ``app``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

from gui import theme


@dataclass(frozen=True)
class Situation:
    """What decides whether an action makes sense."""

    has_head: bool = False
    busy: bool = False
    edited: bool = False
    undo_label: str = ""
    redo_label: str = ""


def _always(situation: Situation) -> bool:
    return True


def _with_head(situation: Situation) -> bool:
    return situation.has_head


def _when_edited(situation: Situation) -> bool:
    return situation.edited


def _with_undo(situation: Situation) -> bool:
    return bool(situation.undo_label)


def _with_redo(situation: Situation) -> bool:
    return bool(situation.redo_label)


@dataclass(frozen=True)
class ActionSpec:
    """One row of the table."""

    name: str
    text: str
    menu: str
    """Which menu it is in; rows with text "-" are separators."""
    shortcuts: tuple[str, ...] = ()
    icon: str = ""
    tip: str = ""
    enabled: Callable[[Situation], bool] = _always
    checkable: bool = False
    group: str = ""
    """Checkable actions of one group exclude each other."""


TABLE: tuple[ActionSpec, ...] = (
    ActionSpec("open", "Open photo…", "File", ("Ctrl+O",), "open", "Open a photo of a face"),
    ActionSpec("paste", "Paste photo", "File", ("Ctrl+V",), "paste", "Take the picture from the clipboard"),
    ActionSpec("sample", "Open sample portrait", "File", (), "face", "A portrait rendered by Cameo's own world"),
    ActionSpec("-1", "-", "File"),
    ActionSpec(
        "export_mesh", "Export mesh…", "File", ("Ctrl+E",), "mesh", "Save the head as GLB, OBJ, PLY or STL", _with_head
    ),
    ActionSpec(
        "export_turntable",
        "Export turntable…",
        "File",
        ("Ctrl+T",),
        "film",
        "Save a video of the turning head",
        _with_head,
    ),
    ActionSpec(
        "export_picture",
        "Export picture…",
        "File",
        ("Ctrl+S",),
        "picture",
        "Save the picture as it is shown",
        _with_head,
    ),
    ActionSpec("-2", "-", "File"),
    ActionSpec("quit", "Quit", "File", ("Ctrl+Q",)),
    ActionSpec("undo", "Undo", "Edit", ("Ctrl+Z",), "undo", "Take back the last change", _with_undo),
    ActionSpec("redo", "Redo", "Edit", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "Bring back what was undone", _with_redo),
    ActionSpec("-3", "-", "Edit"),
    ActionSpec(
        "reset_edit",
        "Reset all sliders",
        "Edit",
        ("Ctrl+Backspace",),
        "reset",
        "Back to the reconstruction",
        _when_edited,
    ),
    ActionSpec("cancel", "Stop", "Edit", ("Esc",), "close", "Stop what is being worked on, or dismiss the message"),
    ActionSpec(
        "layout_both",
        "Picture and mesh",
        "View",
        ("1",),
        "both",
        "Picture and mesh side by side",
        _with_head,
        True,
        "layout",
    ),
    ActionSpec(
        "layout_picture",
        "Picture only",
        "View",
        ("2",),
        "picture",
        "Only the neural picture",
        _with_head,
        True,
        "layout",
    ),
    ActionSpec("layout_mesh", "Mesh only", "View", ("3",), "mesh", "Only the mesh", _with_head, True, "layout"),
    ActionSpec("-4", "-", "View"),
    ActionSpec(
        "compare",
        "Compare with photo",
        "View",
        ("C",),
        "compare",
        "Lay the photo over one half of the picture",
        _with_head,
        True,
    ),
    ActionSpec(
        "before", "Show before (hold)", "View", (), "eye", "Hold to see the head without edits (hold B)", _with_head
    ),
    ActionSpec(
        "home", "Photo's view", "View", ("R", "Home"), "home", "Look from where the photo was taken", _with_head
    ),
    ActionSpec("-5", "-", "View"),
    ActionSpec(
        "layer_picture",
        "Picture",
        "Layer",
        (),
        "picture",
        "The head with the photo's own colours",
        _with_head,
        True,
        "layer",
    ),
    ActionSpec(
        "layer_normals", "Normals", "Layer", (), "normals", "Where the surface faces", _with_head, True, "layer"
    ),
    ActionSpec("layer_depth", "Depth", "Layer", (), "layers", "How far the surface is", _with_head, True, "layer"),
    ActionSpec(
        "layer_generator",
        "Generator alone",
        "Layer",
        (),
        "sliders",
        "Without the photo's own colours",
        _with_head,
        True,
        "layer",
    ),
    ActionSpec("wireframe", "Wireframe", "View", ("W",), "wireframe", "Show the mesh's edges", _with_head, True),
    ActionSpec(
        "normals",
        "Colour mesh by normals",
        "View",
        ("N",),
        "normals",
        "Colour the mesh by where it faces",
        _with_head,
        True,
    ),
    ActionSpec("-6", "-", "View"),
    ActionSpec("zoom_in", "Zoom in", "View", ("Ctrl++", "Ctrl+="), "", "Or turn the wheel over a view", _with_head),
    ActionSpec("zoom_out", "Zoom out", "View", ("Ctrl+-",), "", "Or turn the wheel over a view", _with_head),
    ActionSpec("full_screen", "Full screen", "View", ("F11",)),
    ActionSpec("shortcuts", "Keyboard shortcuts", "Help", ("F1", "?"), "keyboard", "Every key at a glance"),
    ActionSpec("about", "About Cameo", "Help"),
)
"""The table, in the order of the menus."""

MENUS = ("File", "Edit", "View", "Help")


class Actions(QObject):
    """The table turned into QActions.

    Args:
        parent: the window, which makes the shortcuts work in all of it.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._made: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        self._situation: Situation | None = None
        for spec in TABLE:
            if spec.text != "-":
                self._made[spec.name] = self._make(spec, parent)
        self.refresh(Situation())

    def __getitem__(self, name: str) -> QAction:
        return self._made[name]

    def all(self) -> tuple[QAction, ...]:
        """Every action."""
        return tuple(self._made.values())

    def refresh(self, situation: Situation) -> bool:
        """Enable what makes sense now, and say what undo would undo.

        Returns:
            Whether the situation is another one; a slider that moves asks sixty times a second.
        """
        if situation == self._situation:
            return False
        self._situation = situation
        for spec in TABLE:
            if spec.name in self._made:
                self._made[spec.name].setEnabled(spec.enabled(situation))
        for name, word, label in (("undo", "Undo", situation.undo_label), ("redo", "Redo", situation.redo_label)):
            text = f"{word} {label}".strip()
            self._made[name].setText(text)
            self._made[name].setToolTip(tip_of(text, self._made[name]))
        return True

    def _make(self, spec: ActionSpec, parent: QObject) -> QAction:
        action = QAction(spec.text, parent)
        action.setObjectName(spec.name)
        action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
        action.setCheckable(spec.checkable)
        if spec.icon:
            action.setIcon(theme.icon(spec.icon, "muted"))
        action.setToolTip(tip_of(spec.tip or spec.text, action))
        if spec.group:
            group = self._groups.setdefault(spec.group, QActionGroup(self))
            group.addAction(action)
        return action


def all_keys() -> tuple[tuple[str, str], ...]:
    """Every shortcut with what it does, in the order of the table."""
    native = QKeySequence.SequenceFormat.NativeText
    return tuple(
        (QKeySequence(spec.shortcuts[0]).toString(native), spec.text.rstrip("…")) for spec in TABLE if spec.shortcuts
    )


def tip_of(text: str, action: QAction) -> str:
    """A tip with the shortcut behind it."""
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    return f"{text} ({keys})" if keys else text
