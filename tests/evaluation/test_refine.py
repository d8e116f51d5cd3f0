"""Laws of the comparison of refinements: always the same photos, rows that are kept, sentences for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.errors import MemoryShort
from core.evaluation.options import RESULTS
from core.evaluation.refine import COMPARED, Settings, chosen_photos
from core.evaluation.refine_tables import aims, summarise, table
from core.evaluation.trade_off import trade_off
from core.evaluation.world_commands import _folder_of
from tests.toy_head import NAME, toy_registry

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.jpg"


def row(mae: float, novel: float) -> dict[str, object]:
    figures = {"mae": mae, "ssim": 0.7, "identity_distance": 0.3, "novel_identity": novel, "seconds": 1.0, "passes": 5}
    return {**figures, "shape_drift": 0.01, "shown_mae": 0.04, "smile_raised": True, "smile_identity": 0.2}


def test_the_same_twelve_photos_are_chosen() -> None:
    photos = [Path(f"{number:03d}.jpg") for number in range(60)]
    assert [path.stem for path in chosen_photos(photos)] == [f"{number:03d}" for number in range(0, 60, 5)]
    assert chosen_photos(photos[:5]) == photos[:5]


def test_aims_compare_like_with_like() -> None:
    rows = {
        "a": {"encoder": row(0.2, 0.6), "best": row(0.05, 0.4), "pti-equal": row(0.1, 0.5)},
        "b": {"encoder": row(0.2, 0.6), "best": row(0.15, 0.5), "pti-equal": {"error": {"message": "no"}}},
    }
    found = aims(rows)
    assert found["best: mae / before"] == pytest.approx(0.5)
    assert found["best: novel identity / before"] == pytest.approx(0.75)
    assert found["best: share of photos ahead of PTI at equal passes in novel identity"] == 1.0
    assert not any(name.startswith("fast") for name in found)
    text = table(summarise(rows, "w@0", Settings(("encoder", "best", "pti-equal"))))
    assert "| best | 0.100 ± 0.071" in text
    assert "b pti-equal: no" in text
    # A method that the program took back is compared as it was, too.
    rows["a"]["pti-equal"] |= {"share": 0.0, "curve": [{"novel_identity": 0.6}, {"novel_identity": 0.3, "mae": 0.02}]}
    assert aims(rows)["best: the same, nothing of PTI taken back"] == 0.0
    ended = table(summarise(rows, "w@0", Settings(("encoder", "best", "pti-equal")))).split("At the end")[1]
    (line,) = [line for line in ended.splitlines() if line.startswith("| pti-equal") and line.endswith("| 1 |")]
    assert "0.020" in line


def test_the_trade_off_is_drawn() -> None:
    curve = [{"psnr": 12.0 + step, "novel_identity": 0.6, "reprojection": 0.1} for step in range(5)]
    picture = trade_off({"best": [curve, curve], "pti": [curve]})
    assert picture.shape == (640, 1920, 3)
    assert len({tuple(pixel) for pixel in picture.reshape(-1, 3)}) > 3


@pytest.mark.slow
def test_the_command_runs_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    weights = toy_registry(tmp_path / "weights").folder
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").write_bytes(ASTRONAUT.read_bytes())
    arguments = ["evaluate", "refine", str(photos), "--out", str(tmp_path / "out"), "--weights", NAME, "--quick"]

    def run(*more: str) -> str:
        result = CliRunner().invoke(app, [*arguments, *more], env={"CAMEO_WEIGHTS": str(weights)})
        assert result.exit_code == 0, result.output
        return result.stdout

    summary = json.loads(run("--json"))
    assert set(summary["methods"]) == set(COMPARED)
    assert not summary["failed"]
    assert {"table.md", "table.json", "curves.png", "sheet_best.png", "sheet_compared.png", "failures.png"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }
    kept = tmp_path / "out" / "rows" / "one.jpg.best.json"
    before = kept.stat().st_mtime_ns
    assert json.loads(run("--json"))["methods"] == summary["methods"]
    assert kept.stat().st_mtime_ns == before
    # A row from before these figures gets them from its strip, and is not refined again.
    document = json.loads(kept.read_text())
    row = document["row"]
    psnr, seconds = row.pop("psnr"), row["seconds"]
    kept.write_text(json.dumps(document))
    assert json.loads(run("--json"))["methods"] == summary["methods"]
    again = json.loads(kept.read_text())["row"]
    assert (again["psnr"], again["seconds"]) == (psnr, seconds)


@pytest.mark.slow
def test_a_row_is_not_given_up_for_a_figure_that_cannot_be_read_off_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*arguments: object) -> None:
        raise MemoryShort("no memory", hint="-")

    monkeypatch.setattr("core.evaluation.refine.of_strip", short)
    weights = toy_registry(tmp_path / "weights").folder
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").write_bytes(ASTRONAUT.read_bytes())
    command = ["evaluate", "refine", str(photos), "--out", str(tmp_path / "out"), "--weights", NAME, "--passes", "2"]
    result = CliRunner().invoke(
        app, [*command, "--methods", "camera+fast", "--json"], env={"CAMEO_WEIGHTS": str(weights)}
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert not summary["failed"]
    assert "psnr" not in summary["methods"]["camera+fast"]["figures"]
    assert summary["methods"]["camera+fast"]["figures"]["mae"]["n"] == 1


def test_results_of_every_kind_have_a_folder_of_their_own() -> None:
    assert _folder_of(RESULTS / "shape", "shape", "") == RESULTS / "shape"
    assert _folder_of(RESULTS / "shape", "shape", "pti") == RESULTS / "shape-pti"
    assert _folder_of(Path("mine"), "shape", "pti") == Path("mine")


def test_aims_are_told_of_polished_methods_too() -> None:
    rows = {"a": {"encoder": row(0.2, 0.6), "best": row(0.05, 0.4), "camera+best": row(0.1, 0.5)}}
    found = aims(rows)
    assert found["camera+best: mae / before"] == pytest.approx(0.5)
    assert found["best: mae / before"] == pytest.approx(0.25)


def test_an_unknown_method_is_explained(tmp_path: Path) -> None:
    weights = toy_registry(tmp_path / "weights").folder
    result = CliRunner().invoke(
        app,
        ["evaluate", "refine", str(ASTRONAUT.parent), "--out", str(tmp_path), "--weights", NAME, "--methods", "magic"],
        env={"CAMEO_WEIGHTS": str(weights)},
    )
    assert result.exit_code == 3
    assert "magic" in result.stderr
