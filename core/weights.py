"""The registry of weights: name -> files, hashes, licence, purpose, and the input contract they were trained for.

Everything is read from ``manifest.json`` in the weights folder; this file opens no weights and knows no network. A file
is located cheaply (it is there and has the right length) on every start, and verified by its hash when asked.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.camera import CameraLimits
from core.errors import WeightsCorrupt, WeightsMissing

MANIFEST = "manifest.json"
PURPOSES = ("head", "alignment", "identity", "evaluation", "training")
"""What weights may be for; "evaluation" and "training" are never needed to use the program."""
_CHUNK = 1 << 20


def default_folder() -> Path:
    """The ``weights`` folder that comes with the program."""
    return Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True)
class WeightsFile:
    """One file of some weights."""

    path: str
    """Relative to the weights folder, with forward slashes."""
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        parts = Path(self.path).parts
        if not self.path or Path(self.path).is_absolute() or ".." in parts:
            raise ValueError(f"{self.path!r} does not stay within the weights folder")


@dataclass(frozen=True)
class InputContract:
    """What a model was trained for; the engine keeps to it."""

    size: int
    """Side of the picture that goes in and comes out, in pixels."""
    limits: CameraLimits
    """Cameras it was trained for."""
    attributes: tuple[str, ...] = ()
    """Names of the attributes it can edit."""


@dataclass(frozen=True)
class WeightsEntry:
    """One named set of weights."""

    name: str
    purpose: str
    """One of ``PURPOSES``."""
    licence: str
    """SPDX expression, or words where there is none."""
    files: Mapping[str, WeightsFile]
    """Role -> file; which roles there are is agreed with the code that loads them."""
    origin: str = ""
    """Where the file comes from, for a person."""
    contract: InputContract | None = None
    """None for helper networks, whose sizes are part of the code that runs them."""

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES:
            raise ValueError(f"unknown purpose {self.purpose!r} of {self.name}, known: {', '.join(PURPOSES)}")
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files.values())


@dataclass
class Registry:
    """The weights of one folder.

    Args:
        folder: holds ``manifest.json`` and the files it names; the program's own by default.
    """

    folder: Path = field(default_factory=default_folder)

    def list(self) -> tuple[WeightsEntry, ...]:
        """All entries, by name. A folder without a manifest has none.

        Raises:
            WeightsCorrupt: the manifest cannot be understood.
        """
        path = self.folder / MANIFEST
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise _corrupt_manifest(path, error) from error
        try:
            return tuple(_entry_from(name, document["weights"][name]) for name in sorted(document["weights"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _corrupt_manifest(path, error) from error

    def entry(self, name: str) -> WeightsEntry:
        """The entry of that name.

        Raises:
            WeightsMissing: there is none.
            WeightsCorrupt: the manifest cannot be understood.
        """
        entries = {entry.name: entry for entry in self.list()}
        if name not in entries:
            heads = (entry.name for entry in entries.values() if entry.purpose == "head")
            known = ", ".join(heads) or "no models of heads"
            raise WeightsMissing(f"There are no weights called “{name}”.", hint=f"Installed are: {known}.")
        return entries[name]

    def locate(self, name: str) -> dict[str, Path]:
        """Role -> path of every file. Each exists and has the right length; its hash is not computed.

        Raises:
            WeightsMissing: the name is unknown or a file is not there.
            WeightsCorrupt: a file has the wrong length, or the manifest cannot be understood.
        """
        return {role: path for role, path, _ in self._present(self.entry(name))}

    def verify(self, name: str) -> None:
        """Compute the hash of every file.

        Raises:
            WeightsMissing: the name is unknown or a file is not there.
            WeightsCorrupt: a file is not the one that the manifest describes.
        """
        for _, path, file in self._present(self.entry(name)):
            found = _sha256(path)
            if found != file.sha256:
                raise _corrupt_file(name, path, f"its SHA-256 is {found}, expected {file.sha256}")

    def add(
        self,
        name: str,
        files: Mapping[str, Path | str],
        *,
        purpose: str,
        licence: str,
        origin: str = "",
        contract: InputContract | None = None,
    ) -> WeightsEntry:
        """Describe files that lie in the folder already, and write the manifest; an entry of that name is replaced.

        Args:
            name: name of the entry.
            files: role -> path, relative to the folder.
            purpose: one of ``PURPOSES``.
            licence: SPDX expression, or words where there is none.
            origin: where the files come from, for a person.
            contract: what a head model was trained for.

        Returns:
            The entry with sizes and hashes.

        Raises:
            WeightsMissing: a file is not there.
        """
        described = {}
        for role, relative in files.items():
            path = self.folder / relative
            if not path.is_file():
                raise WeightsMissing(f"The weights file {path} is not there.", hint="Put it there first.")
            described[role] = WeightsFile(Path(relative).as_posix(), _sha256(path), path.stat().st_size)
        added = WeightsEntry(name, purpose, licence, described, origin, contract)
        entries = {entry.name: entry for entry in self.list()} | {name: added}
        _write_manifest(self.folder / MANIFEST, entries.values())
        return added

    def _present(self, entry: WeightsEntry) -> Iterator[tuple[str, Path, WeightsFile]]:
        for role, file in entry.files.items():
            path = self.folder / file.path
            if not path.is_file():
                raise WeightsMissing(
                    f"{path.name}, a file of the weights “{entry.name}”, is not there.",
                    hint="Get the program again, or put the file back into the weights folder.",
                )
            length = path.stat().st_size
            if length != file.bytes:
                raise _corrupt_file(entry.name, path, f"it has {length} bytes, expected {file.bytes}")
            yield role, path, file


def _corrupt_file(name: str, path: Path, reason: str) -> WeightsCorrupt:
    return WeightsCorrupt(
        f"{path.name}, a file of the weights “{name}”, is damaged: {reason}.", hint="Get the file again."
    )


def _corrupt_manifest(path: Path, error: Exception) -> WeightsCorrupt:
    return WeightsCorrupt(f"The list of weights {path} cannot be understood: {error!r}.", hint="Get the program again.")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _entry_from(name: str, document: dict[str, Any]) -> WeightsEntry:
    contract = document.get("contract")
    return WeightsEntry(
        name=name,
        purpose=document["purpose"],
        licence=document["licence"],
        files={role: WeightsFile(**file) for role, file in document["files"].items()},
        origin=document.get("origin", ""),
        contract=None if contract is None else _contract_from(contract),
    )


def _contract_from(document: dict[str, Any]) -> InputContract:
    limits = CameraLimits(**{key: float(value) for key, value in document["limits"].items()})
    return InputContract(int(document["size"]), limits, tuple(document.get("attributes", ())))


def _write_manifest(path: Path, entries: Iterable[WeightsEntry]) -> None:
    weights = {}
    for entry in sorted(entries, key=lambda entry: entry.name):
        document: dict[str, Any] = {"purpose": entry.purpose, "licence": entry.licence, "origin": entry.origin}
        if entry.contract is not None:
            document["contract"] = asdict(entry.contract)
        document["files"] = {role: asdict(file) for role, file in entry.files.items()}
        weights[entry.name] = document
    text = json.dumps({"version": 1, "weights": weights}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
