"""The registry of weights: what it lists is there, whole, and described."""

import json
from pathlib import Path

import pytest

from core.camera import CameraLimits
from core.errors import CameoError, WeightsCorrupt, WeightsMissing
from core.weights import InputContract, Registry, WeightsEntry, WeightsFile, default_folder

CONTRACT = InputContract(256, CameraLimits(1.6, -0.5, 0.7), ("Smile", "Age"))


FREE = {"Apache-2.0", "MIT", "BSD-3-Clause", "BSL-1.0", "CC0-1.0"}
"""Licences under which a file may be shipped."""


def add_tiny(registry: Registry) -> None:
    files = {"net": "tiny/net.bin"}
    registry.add("tiny", files, purpose="head", licence="Apache-2.0", origin="a test", contract=CONTRACT)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "net.bin").write_bytes(b"0123456789")
    registry = Registry(tmp_path)
    registry.add(
        "tiny", {"net": "tiny/net.bin"}, purpose="head", licence="Apache-2.0", origin="a test", contract=CONTRACT
    )
    return registry


def test_what_was_added_is_listed_with_everything(registry: Registry) -> None:
    (entry,) = registry.list()
    assert (entry.name, entry.purpose, entry.licence, entry.origin) == ("tiny", "head", "Apache-2.0", "a test")
    assert entry.contract == CONTRACT
    assert entry.bytes == 10
    assert registry.locate("tiny") == {"net": registry.folder / "tiny" / "net.bin"}
    registry.verify("tiny")


def test_adding_again_replaces_and_leaves_the_others(registry: Registry) -> None:
    registry.add("other", {"net": "tiny/net.bin"}, purpose="identity", licence="MIT")
    (registry.folder / "tiny" / "net.bin").write_bytes(b"abc")
    registry.add("tiny", {"net": "tiny/net.bin"}, purpose="head", licence="MIT")
    assert [(entry.name, entry.bytes) for entry in registry.list()] == [("other", 10), ("tiny", 3)]
    assert not list(registry.folder.glob(".*"))


def test_the_same_entries_give_the_same_manifest_byte_for_byte(registry: Registry) -> None:
    first = (registry.folder / "manifest.json").read_bytes()
    registry.add(
        "tiny", {"net": "tiny/net.bin"}, purpose="head", licence="Apache-2.0", origin="a test", contract=CONTRACT
    )
    assert (registry.folder / "manifest.json").read_bytes() == first


def test_a_file_of_the_right_length_but_other_content_is_found_by_its_hash(registry: Registry) -> None:
    (registry.folder / "tiny" / "net.bin").write_bytes(b"9876543210")
    registry.locate("tiny")
    with pytest.raises(WeightsCorrupt, match="SHA-256"):
        registry.verify("tiny")


def test_a_cut_off_file_is_found_without_reading_it(registry: Registry) -> None:
    (registry.folder / "tiny" / "net.bin").write_bytes(b"0123")
    with pytest.raises(WeightsCorrupt, match="4 bytes"):
        registry.locate("tiny")


def test_a_missing_file_and_an_unknown_name_say_what_to_do(registry: Registry) -> None:
    (registry.folder / "tiny" / "net.bin").unlink()
    for name in ("tiny", "huge"):
        with pytest.raises(WeightsMissing) as refusal:
            registry.locate(name)
        assert refusal.value.hint


def test_a_folder_without_a_manifest_is_empty(tmp_path: Path) -> None:
    assert Registry(tmp_path).list() == ()
    with pytest.raises(WeightsMissing, match="no weights"):
        Registry(tmp_path).entry("cameo-256")


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        '{"weights": {"a": {}}}',
        '{"weights": {"a": {"purpose": "magic", "licence": "MIT", "files": {}}}}',
        '{"weights": {"a": {"purpose": "head", "licence": "MIT", "files": {"x": {"path": "../x"}}}}}',
    ],
)
def test_a_manifest_that_cannot_be_understood_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(WeightsCorrupt):
        Registry(tmp_path).list()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ""])
def test_a_path_out_of_the_folder_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="within"):
        WeightsFile(path, "", 0)


def test_files_of_an_entry_cannot_be_changed() -> None:
    entry = WeightsEntry("a", "head", "MIT", {"x": WeightsFile("x", "", 0)})
    with pytest.raises(TypeError):
        entry.files["y"] = WeightsFile("y", "", 0)


def test_every_shipped_file_is_described_whole_and_free() -> None:
    registry = Registry()
    described = {"manifest.json"}
    for entry in registry.list():
        registry.verify(entry.name)
        assert set(entry.licence.split(" AND ")) <= FREE, entry.name
        assert entry.origin, entry.name
        described |= {file.path for file in entry.files.values()}
    shipped = {path.relative_to(default_folder()).as_posix() for path in default_folder().rglob("*") if path.is_file()}
    shipped -= {name for name in shipped if name.startswith(("fetched/", "helpers/__pycache__/", "__pycache__/"))}
    undescribed = {
        name for name in shipped - described if Path(name).suffix not in (".md", ".txt", ".png", ".jpg", ".py")
    }
    assert undescribed == set()


def test_the_shipped_weights_stay_small() -> None:
    assert sum(entry.bytes for entry in Registry().list()) < 80e6


def test_the_shipped_manifest_is_written_as_the_registry_writes_it(tmp_path: Path) -> None:
    shipped = default_folder() / "manifest.json"
    if not shipped.exists():
        pytest.skip("no weights are shipped yet")
    document = json.loads(shipped.read_text(encoding="utf-8"))
    assert document["version"] == 1
    assert shipped.read_text(encoding="utf-8") == json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def test_unknown_names_are_errors_for_people(registry: Registry) -> None:
    with pytest.raises(CameoError):
        registry.entry("nothing")
