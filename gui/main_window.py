"""The window's layout: bars, panels, views. It builds and places widgets; what they do is connected in ``app``."""

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QMenuBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.edit import ATTRIBUTES
from gui import theme
from gui.actions import MENUS, TABLE, Actions
from gui.session_model import SessionModel
from gui.view_state import ViewState
from gui.widgets.attribute_panel import AttributePanel
from gui.widgets.banner import Banner
from gui.widgets.camera_panel import CameraPanel
from gui.widgets.drop_area import DropArea
from gui.widgets.job_bar import JobBar
from gui.widgets.mesh_view import OpenGLFacts
from gui.widgets.photo_panel import PhotoPanel
from gui.widgets.refine_panel import RefinePanel
from gui.widgets.stage import Stage
from gui.widgets.welcome import Welcome

FIRST_SIZE = QSize(1440, 900)
SMALLEST_SIZE = QSize(1024, 640)
RIGHT_PX = 300
BANNER_PX = 720
TOP_BAR_PX = 52
STATUS_BAR_PX = 34
BEFORE_KEYS = (Qt.Key.Key_Backslash, Qt.Key.Key_B)
"""Held to see the head without edits: the habit of photo editors, and a key that every keyboard has."""


class MainWindow(QMainWindow):
    """Everything that can be seen.

    Args:
        session: what the panels show.
        view: what the camera panel shows.
        opengl: None leaves the mesh view out and puts a notice in its place.
        sample: path of the sample portrait.
    """

    closing = Signal()
    """The window is about to go."""
    before_held = Signal(bool)
    """The key for "before" went down or up."""

    def __init__(self, session: SessionModel, view: ViewState, opengl: OpenGLFacts | None, sample: Path) -> None:
        super().__init__()
        self.setWindowTitle("Cameo")
        self.setWindowIcon(theme.icon("cameo"))
        self.setMinimumSize(SMALLEST_SIZE)
        self.resize(FIRST_SIZE)
        self.actions_table = Actions(self)
        self.addActions(self.actions_table.all())
        self.banner = Banner()
        self.job_bar = JobBar()
        self.welcome = Welcome(sample)
        self.photo_panel = PhotoPanel(session)
        self.attribute_panel = AttributePanel(session, ATTRIBUTES)
        self.camera_panel = CameraPanel(view)
        self.refine_panel = RefinePanel(session)
        self.stage = Stage(view, opengl)
        self.layer_button = self._layer_button()
        self.before_button = self._before_button()
        self.export_button = self._export_button()
        self.export_menu = self._export_menu()
        self.facts = QLabel()
        self.facts.setProperty("role", "faint")
        self.status = QLabel()
        self.status.setProperty("role", "faint")
        for button in (self.layer_button, self._tool("compare"), self._tool("home")):
            self.stage.frame_pane.add_tool(button)
        if self.stage.mesh_view is not None:
            for name in ("wireframe", "normals"):
                self.stage.mesh_pane.add_tool(self._tool(name))
        self.area = DropArea()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.welcome)
        self.pages.addWidget(self._editor())
        column = QVBoxLayout(self.area)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._top_bar())
        column.addWidget(self.pages, 1)
        column.addWidget(self._status_bar())
        self.banner.setParent(self.area)
        self.setCentralWidget(self.area)

    def show_editor(self, *, on: bool) -> None:
        """The views and panels, or the page to drop a photo on."""
        self.pages.setCurrentIndex(1 if on else 0)

    def place_banner(self) -> None:
        """Put the banner at the top of the work, in the middle."""
        width = min(BANNER_PX, self.area.width() - 48)
        self.banner.setFixedSize(width, self.banner.height_for(width))
        self.banner.move((self.area.width() - width) // 2, TOP_BAR_PX + 14)
        self.banner.raise_()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the banner in the middle."""
        super().resizeEvent(event)
        self.place_banner()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The key for "before" works as long as it is held."""
        if event.key() in BEFORE_KEYS and not event.isAutoRepeat():
            self.before_held.emit(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """The key for "before" was let go."""
        if event.key() in BEFORE_KEYS and not event.isAutoRepeat():
            self.before_held.emit(False)
        else:
            super().keyReleaseEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Vanish at once, then let work end."""
        self.hide()
        self.closing.emit()
        event.accept()
        QApplication.quit()

    def _top_bar(self) -> QWidget:
        bar = QFrame()
        bar.setObjectName("topBar")
        bar.setFixedHeight(TOP_BAR_PX)
        sign = QLabel()
        sign.setPixmap(_brand(24, self.devicePixelRatioF()))
        name = QLabel("Cameo")
        name.setProperty("role", "brand")
        row = QHBoxLayout(bar)
        row.setContentsMargins(14, 0, 12, 0)
        row.setSpacing(6)
        row.addWidget(sign)
        row.addWidget(name)
        row.addSpacing(10)
        row.addWidget(self._menu_bar(), 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        row.addWidget(self._segments("layout_both", "layout_picture", "layout_mesh"), 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        for tool in (self._tool("undo"), self._tool("redo"), self.before_button):
            row.addWidget(tool)
        row.addSpacing(8)
        row.addWidget(self._tool("open"))
        row.addSpacing(4)
        row.addWidget(self.export_button)
        return bar

    def _menu_bar(self) -> QMenuBar:
        bar = QMenuBar()
        bar.setNativeMenuBar(False)
        bar.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        layers = QMenu("Layer")
        for title in MENUS:
            menu = bar.addMenu(title)
            for spec in TABLE:
                if spec.menu == title:
                    if spec.text == "-":
                        menu.addSeparator()
                    else:
                        menu.addAction(self.actions_table[spec.name])
        for spec in TABLE:
            if spec.menu == "Layer":
                layers.addAction(self.actions_table[spec.name])
        self._layers = layers
        self.layer_button.setMenu(layers)
        return bar

    def _status_bar(self) -> QWidget:
        bar = QFrame()
        bar.setObjectName("statusBar")
        bar.setFixedHeight(STATUS_BAR_PX)
        row = QHBoxLayout(bar)
        row.setContentsMargins(14, 0, 14, 0)
        row.addWidget(self.job_bar)
        row.addWidget(self.status)
        row.addStretch(1)
        row.addWidget(self.facts)
        return bar

    def _editor(self) -> QWidget:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(16)
        column.addWidget(self.attribute_panel)
        column.addWidget(_rule())
        column.addWidget(self.camera_panel)
        column.addWidget(_rule())
        column.addWidget(self.refine_panel)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        right = QFrame()
        right.setObjectName("rightPanel")
        right.setFixedWidth(RIGHT_PX)
        outer = QVBoxLayout(right)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        editor = QWidget()
        row = QHBoxLayout(editor)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.photo_panel)
        row.addWidget(self.stage, 1)
        row.addWidget(right)
        return editor

    def _tool(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(self.actions_table[name])
        button.setIconSize(QSize(20, 20))
        button.setMinimumSize(32, 30)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _segments(self, *names: str) -> QFrame:
        frame = QFrame()
        frame.setObjectName("segments")
        frame.setFixedHeight(36)
        row = QHBoxLayout(frame)
        row.setContentsMargins(3, 3, 3, 3)
        row.setSpacing(2)
        for name in names:
            button = self._tool(name)
            button.setIconSize(QSize(16, 16))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            row.addWidget(button)
        return frame

    def _layer_button(self) -> QToolButton:
        button = QToolButton()
        button.setIcon(theme.icon("layers", "muted"))
        button.setIconSize(QSize(20, 20))
        button.setMinimumSize(32, 30)
        button.setToolTip("What is shown: picture, normals, depth")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _before_button(self) -> QToolButton:
        button = QToolButton()
        button.setIcon(theme.icon("eye", "muted"))
        button.setIconSize(QSize(20, 20))
        button.setToolTip(self.actions_table["before"].toolTip())
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _export_button(self) -> QPushButton:
        button = QPushButton("Export")
        button.setProperty("role", "primary")
        button.setIcon(theme.icon("export", "on_accent"))
        button.setToolTip("Save mesh, turntable or picture (Ctrl+E)")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _export_menu(self) -> QMenu:
        menu = QMenu(self)
        for name in ("export_mesh", "export_turntable", "export_picture"):
            menu.addAction(self.actions_table[name])
        return menu


def _rule() -> QFrame:
    line = QFrame()
    line.setObjectName("rule")
    return line


def _brand(side: int, ratio: float) -> QPixmap:
    return theme.pixmap("cameo", side, "text", ratio)
