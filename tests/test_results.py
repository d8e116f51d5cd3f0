"""Laws of the results folder: complete or untouched, ours is replaced, somebody else's never."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import results
from core.errors import ExportFailed, NoFaceFound

REPORT = {"weights": "toy", "device": "cpu", "files": {"a": "a.png"}}


def put(folder: Path, report: dict[str, object], **files: str) -> None:
    results.refuse_foreign(folder, list(files))
    with results.workshop(folder) as place:
        for name, text in files.items():
            (place / name).write_text(text)
        results.move_results(place, folder, report)


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def interrupted(folder: Path) -> None:
    with results.workshop(folder) as place:
        (place / "a.png").write_text("half")
        raise KeyboardInterrupt


def test_a_second_photo_of_the_same_stem_gets_its_extension() -> None:
    photos = [Path("a/me.jpg"), Path("b/me.png"), Path("me.JPG"), Path("you.jpg"), Path("c/me.png")]
    assert results.folder_names(photos) == ["me", "me.png", "me.JPG", "you", "me.png-2"]


def test_new_results_replace_our_own_and_take_away_what_is_not_made_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "me"
    put(folder, {**REPORT, "files": {"a": "a.png", "b": "b.png"}}, **{"a.png": "1", "b.png": "1"})
    (folder / "notes.txt").write_text("mine")
    put(folder, REPORT, **{"a.png": "2"})
    assert contents(folder) == {"a.png", "report.json", "notes.txt"}
    assert (folder / "a.png").read_text() == "2"
    assert contents(tmp_path) == {"me"}


@pytest.mark.parametrize("name", ["a.png", "report.json"])
def test_a_foreign_file_of_that_name_is_never_touched(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "me"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(ExportFailed, match="was not made by an earlier run"):
        put(folder, REPORT, **{"a.png": "2"})
    assert (folder / name).read_text() == "mine"
    assert contents(folder) == {name}


def test_a_report_cannot_claim_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "victim.txt").write_text("mine")
    folder = tmp_path / "me"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps({**REPORT, "files": {"a": "../victim.txt"}}))
    put(folder, REPORT, **{"a.png": "2"})
    assert (tmp_path / "victim.txt").read_text() == "mine"


def test_an_interrupted_run_leaves_everything_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "me"
    put(folder, REPORT, **{"a.png": "1"})
    with pytest.raises(KeyboardInterrupt):
        interrupted(folder)
    assert (folder / "a.png").read_text() == "1"
    assert contents(tmp_path) == {"me"}


def test_a_failure_is_reported_in_place_of_earlier_results(tmp_path: Path) -> None:
    folder = tmp_path / "me"
    put(folder, REPORT, **{"a.png": "1"})
    report = results.report_failure("", "toy", NoFaceFound("No face.", hint="Another photo."), folder)
    assert contents(folder) == {"report.json"}
    assert json.loads((folder / "report.json").read_text()) == report
    assert report["error"] == {"kind": "NoFaceFound", "message": "No face.", "hint": "Another photo."}


def test_a_file_where_the_folder_should_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "me").write_text("mine")
    with pytest.raises(ExportFailed, match="not a folder"):
        put(tmp_path / "me", REPORT, **{"a.png": "2"})
    with pytest.raises(ExportFailed, match="cannot be written"):
        put(tmp_path / "me" / "deeper", REPORT, **{"a.png": "2"})
