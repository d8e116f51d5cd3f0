"""What this program is, in five lines."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui import theme


class AboutDialog(QDialog):
    """Name, purpose, model, promise, licence.

    Args:
        model: what the open model is called and where it runs.
        parent: the owner.
    """

    def __init__(self, model: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About Cameo")
        sign = QLabel()
        sign.setPixmap(theme.pixmap("cameo", 64, "text", self.devicePixelRatioF()))
        title = QLabel("Cameo")
        title.setProperty("role", "title")
        words = QVBoxLayout()
        words.setSpacing(6)
        words.addWidget(title)
        for text, role in (
            ("One portrait photo becomes a 3D head you can turn, edit and export.", "lead"),
            (f"Model: {model}", "muted"),
            ("Your photos never leave this computer.", "muted"),
            ("Licence: Apache-2.0. Typeface: Inter, SIL Open Font License.", "muted"),
        ):
            label = QLabel(text)
            label.setProperty("role", role)
            words.addWidget(label)
        close = QPushButton("Close")
        close.clicked.connect(self.accept)
        row = QHBoxLayout()
        row.setSpacing(22)
        row.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words)
        column = QVBoxLayout(self)
        column.setContentsMargins(28, 26, 28, 22)
        column.setSpacing(18)
        column.addLayout(row)
        column.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)
