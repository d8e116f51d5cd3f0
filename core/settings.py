"""What a person prefers, in a readable file that holds only what differs from the defaults.

Settings are what the command line would use too; where a window stood and which files were open last is window state
and lives in QSettings. An unknown key is kept out of the values but never a reason to refuse the file: an older program
may meet a newer file.
"""

import json
import os
import tempfile
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import platformdirs

from core.errors import SettingsUnreadable


@dataclass(frozen=True)
class Settings:
    """Preferences, immutable; ``dataclasses.replace`` makes a changed copy."""

    device: str = "auto"
    """Where networks run: "auto", "cpu", "cuda" or "mps"."""
    threads: int = 0
    """Threads for the networks; 0 leaves the choice to the program."""
    weights: str = "cameo-256"
    """Name of the weights, as ``python -m core weights list`` shows it."""
    detector: str = "mediapipe"
    """Which face detector looks for faces: "mediapipe" or "facexlib"."""
    mesh_format: str = "glb"
    """File type of an exported mesh: glb, obj, ply or stl."""
    mesh_resolution: int = 128
    """Grid points a side for an exported mesh."""
    turntable_format: str = "mp4"
    """File type of an exported turntable: mp4, webm or gif."""
    turntable_frames: int = 60
    """Pictures in an exported turntable."""

    @staticmethod
    def path() -> Path:
        """Where the settings file of this person lies, whether it exists or not."""
        return platformdirs.user_config_path("cameo", appauthor=False) / "settings.toml"

    @classmethod
    def load(cls, path: Path | None = None) -> "Settings":
        """Read the settings file; without one, the defaults.

        Raises:
            SettingsUnreadable: the file is there but cannot be read, is no TOML, or a value has the wrong type.
        """
        path = path or cls.path()
        try:
            overrides = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsUnreadable(
                f"The settings file {path} cannot be read: {error}.", hint="Correct it, or delete it to start anew."
            ) from error
        known = {field.name: type(field.default) for field in fields(cls)}
        for name, kind in known.items():
            if name in overrides and type(overrides[name]) is not kind:
                raise SettingsUnreadable(
                    f"In {path}, {name} must be of type {kind.__name__}, not {overrides[name]!r}.",
                    hint="Correct it, or delete the line to use the default.",
                )
        return cls(**{name: value for name, value in overrides.items() if name in known})

    def overrides(self) -> dict[str, str | int]:
        """Only what differs from the defaults."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    def save(self, path: Path | None = None) -> None:
        """Write the overrides beside the file and move them into place, so that no half file can be left."""
        path = path or self.path()
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{name} = {_toml(value)}\n" for name, value in self.overrides().items())
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _toml(value: str | int) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
