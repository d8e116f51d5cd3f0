"""Asks what to write and where; its answer is one frozen spec. It writes nothing itself."""

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.edit import LatentEdit
from core.settings import Settings
from gui import theme

FORMATS: dict[str, tuple[tuple[str, str], ...]] = {
    "mesh": (
        ("glb", "GLB, for Blender, Unity, the web"),
        ("obj", "OBJ, understood everywhere"),
        ("ply", "PLY, with vertex colours"),
        ("stl", "STL, for 3D printing"),
    ),
    "turntable": (
        ("mp4", "MP4, plays everywhere"),
        ("webm", "WebM, for web pages"),
        ("gif", "GIF, for chats"),
    ),
    "picture": (("png", "PNG, lossless"), ("jpg", "JPEG, small"), ("webp", "WebP, smaller")),
}
"""Suffix and description by kind."""
RESOLUTIONS = ((96, "Draft (96)"), (128, "Standard (128)"), (192, "Fine (192)"), (256, "Finest (256)"))
SIDES = (256, 512, 1024)
"""Pixels a side; beyond the decoder's 256 the photo's own pixels make the difference."""
_TITLES = {"mesh": ("Mesh", "mesh"), "turntable": ("Turntable", "film"), "picture": ("Picture", "picture")}
DEFAULT_FPS = 25


@dataclass(frozen=True)
class ExportSpec:
    """What to write and where."""

    kind: str
    """mesh, turntable or picture."""
    path: Path
    """The file; its suffix is the format."""
    mesh_resolution: int = 128
    """Grid points a side for a mesh."""
    frames: int = 60
    """Pictures in a turntable."""
    fps: int = DEFAULT_FPS
    """Pictures a second."""
    size: int = 512
    """Pixels a side of a picture or turntable."""
    transparent: bool = True
    """Whether a picture keeps its alpha where the format has one."""


class ExportDialog(QDialog):
    """Edits an ``ExportSpec``.

    Args:
        kind: which page to open.
        folder: where files go by default.
        stem: name of the file without suffix.
        edit: what will be exported, for the note.
        parent: the owner.
    """

    def __init__(self, kind: str, folder: Path, stem: str, edit: LatentEdit, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self.setModal(True)
        self.setFixedWidth(540)
        self._stem = stem
        self._suffixes: dict[str, QComboBox] = {}
        self._sizes: dict[str, QComboBox] = {}
        self.destination = QLineEdit()
        self.destination.textChanged.connect(self._judge)
        self.pages = QStackedWidget()
        self.resolution = QComboBox()
        self.frames = QSpinBox()
        self.fps = QSpinBox()
        self.transparent = QCheckBox("Transparent background")
        self.note = QLabel()
        self.note.setProperty("role", "faint")
        self.note.setWordWrap(True)
        self.export_button = QPushButton("Export")
        self.export_button.setProperty("role", "primary")
        self.export_button.setDefault(True)
        self.export_button.clicked.connect(self.accept)
        self._kinds = QButtonGroup(self)
        self._build(edit)
        self._folder = folder
        self.choose_kind(kind)

    @property
    def kind(self) -> str:
        """Which page is open."""
        return tuple(_TITLES)[self.pages.currentIndex()]

    def spec(self) -> ExportSpec:
        """What the person chose."""
        return ExportSpec(
            kind=self.kind,
            path=self._path(),
            mesh_resolution=int(self.resolution.currentData()),
            frames=self.frames.value(),
            fps=self.fps.value(),
            size=int(self._sizes[self.kind].currentData()) if self.kind in self._sizes else 512,
            transparent=self.transparent.isChecked(),
        )

    def choose_kind(self, kind: str) -> None:
        """Open a page."""
        self.pages.setCurrentIndex(tuple(_TITLES).index(kind))
        self._kinds.button(self.pages.currentIndex()).setChecked(True)
        self._suggest()

    def choose_format(self, suffix: str) -> None:
        """Choose a format of the open page."""
        box = self._suffixes[self.kind]
        box.setCurrentIndex(box.findData(suffix))

    def prefer(self, settings: Settings) -> None:
        """Start from the person's settings."""
        for kind, suffix in (("mesh", settings.mesh_format), ("turntable", settings.turntable_format)):
            box = self._suffixes[kind]
            box.setCurrentIndex(max(0, box.findData(suffix)))
        nearest = min(range(len(RESOLUTIONS)), key=lambda n: abs(RESOLUTIONS[n][0] - settings.mesh_resolution))
        self.resolution.setCurrentIndex(nearest)
        self.frames.setValue(settings.turntable_frames)
        self._suggest()

    def _build(self, edit: LatentEdit) -> None:
        segments = QFrame()
        segments.setObjectName("segments")
        row = QHBoxLayout(segments)
        row.setContentsMargins(3, 3, 3, 3)
        row.setSpacing(2)
        for number, (kind, (title, sign)) in enumerate(_TITLES.items()):
            button = QToolButton()
            button.setText(title)
            button.setIcon(theme.icon(sign, "muted"))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setCheckable(True)
            button.setSizePolicy(theme.expanding())
            self._kinds.addButton(button, number)
            row.addWidget(button)
            self.pages.addWidget(self._page(kind))
        self._kinds.idClicked.connect(self._on_kind)
        browse = QToolButton()
        browse.setIcon(theme.icon("folder", "muted"))
        browse.setToolTip("Choose a folder and a name")
        browse.clicked.connect(self._browse)
        place = QHBoxLayout()
        place.setSpacing(6)
        place.addWidget(self.destination, 1)
        place.addWidget(browse)
        form = QFormLayout()
        form.setHorizontalSpacing(18)
        form.addRow(_label("Save as"), place)
        cancel = QPushButton("Cancel")
        cancel.clicked.connect(self.reject)
        what = QLabel(f"Exports the head as shown: {edit}." if not edit.is_empty else "Exports the unedited head.")
        what.setProperty("role", "faint")
        what.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(what, 1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(22, 20, 22, 20)
        column.setSpacing(16)
        column.addWidget(segments)
        column.addWidget(self.pages)
        column.addLayout(form)
        column.addWidget(self.note)
        column.addStretch(1)
        column.addLayout(buttons)

    def _page(self, kind: str) -> QWidget:
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.setHorizontalSpacing(18)
        form.setVerticalSpacing(10)
        box = QComboBox()
        for suffix, description in FORMATS[kind]:
            box.addItem(description, suffix)
        box.currentIndexChanged.connect(self._suggest)
        self._suffixes[kind] = box
        form.addRow(_label("Format"), box)
        if kind == "mesh":
            for number, title in RESOLUTIONS:
                self.resolution.addItem(title, number)
            self.resolution.setCurrentIndex(1)
            form.addRow(_label("Detail"), self.resolution)
        elif kind == "turntable":
            self.frames.setRange(2, 600)
            self.frames.setValue(60)
            self.fps.setRange(5, 60)
            self.fps.setValue(DEFAULT_FPS)
            self.fps.setSuffix(" per second")
            for spin in (self.frames, self.fps):
                spin.valueChanged.connect(self._judge)
            self._sizes[kind] = _size_box(256)
            form.addRow(_label("Size"), self._sizes[kind])
            form.addRow(_label("Pictures"), self.frames)
            form.addRow(_label("Speed"), self.fps)
        else:
            self._sizes[kind] = _size_box(512)
            form.addRow(_label("Size"), self._sizes[kind])
            self.transparent.setChecked(True)
            form.addRow(_label(""), self.transparent)
        return page

    def _on_kind(self, number: int) -> None:
        self.pages.setCurrentIndex(number)
        self._suggest()

    def _suggest(self) -> None:
        """Put a path of the chosen kind and format, in the folder that was chosen last."""
        if self.destination.text():
            self._folder = self._path().parent
            self._stem = self._path().stem
        self.destination.setText(str(self._folder / f"{self._stem}.{self._suffix()}"))
        self.transparent.setEnabled(self._suffixes["picture"].currentData() != "jpg")
        self._judge()

    def _suffix(self) -> str:
        return str(self._suffixes[self.kind].currentData())

    def _path(self) -> Path:
        return Path(self.destination.text().strip()).expanduser()

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Export", str(self._path()), f"*.{self._suffix()}")
        if chosen:
            self.destination.setText(str(Path(chosen).with_suffix(f".{self._suffix()}")))

    def _judge(self) -> None:
        """Say beforehand what could surprise."""
        path = self._path()
        words, usable = "", True
        if path.suffix.lstrip(".").lower() != self._suffix():
            words, usable = f"The name has to end with .{self._suffix()}.", False
        elif not path.parent.is_dir():
            words, usable = "This folder does not exist.", False
        elif path.is_dir():
            words, usable = "This is a folder.", False
        elif path.exists():
            words = "This file exists and will be replaced."
        elif self.kind == "turntable":
            words = f"{self.frames.value() / self.fps.value():.1f} seconds, as a loop."
        self.note.setText(words)
        self.export_button.setEnabled(usable)


def _size_box(usual: int) -> QComboBox:
    box = QComboBox()
    for side in SIDES:
        box.addItem(f"{side} × {side}", side)
    box.setCurrentIndex(SIDES.index(usual))
    return box


def _label(text: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("role", "muted")
    label.setMinimumWidth(72)
    return label
