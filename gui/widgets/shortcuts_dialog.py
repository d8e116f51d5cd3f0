"""Every key at a glance, made from the actions it is given."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from gui import theme

HANDS = (
    ("Drag a view, arrow keys", "Turn the head"),
    ("Wheel over a view", "Zoom"),
    ("Double-click a view", "Photo's view"),
    ("Double-click a slider", "Back to zero"),
    ("Hold B or \\", "Show the head without edits"),
)
"""What is done with the mouse, or by holding a key, and therefore is no action."""
_ROWS = 13


class ShortcutsDialog(QDialog):
    """A table of keys.

    Args:
        keys: (keys, what they do).
        parent: the owner.
    """

    def __init__(self, keys: tuple[tuple[str, str], ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(9)
        for number, (shortcut, words) in enumerate((*keys, *HANDS)):
            row, place = number % _ROWS, 2 * (number // _ROWS)
            label = QLabel(shortcut)
            label.setFont(theme.font(12, figures=True))
            label.setStyleSheet(
                f"background: {theme.COLOURS['raised']}; border: 1px solid {theme.COLOURS['line_strong']};"
                " border-radius: 4px; padding: 2px 7px; font-size: 12px;"
            )
            meaning = QLabel(words)
            meaning.setProperty("role", "muted")
            grid.addWidget(label, row, place, Qt.AlignmentFlag.AlignRight)
            grid.addWidget(meaning, row, place + 1)
        grid.setColumnMinimumWidth(2, 60)
        title = QLabel("Keyboard and mouse")
        title.setProperty("role", "brand")
        column = QVBoxLayout(self)
        column.setContentsMargins(26, 22, 30, 26)
        column.setSpacing(18)
        column.addWidget(title)
        column.addLayout(grid)
