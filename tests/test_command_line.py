"""The command line as a person meets it: files, reports, sentences and exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
import trimesh
from PIL import Image
from typer.testing import CliRunner, Result

from core.__main__ import app
from tests.toy_head import NAME, toy_registry

ROOT = Path(__file__).parents[1]
ASTRONAUT = ROOT / "tests" / "data" / "astronaut.jpg"
QUICK = ("--views", "2", "--mesh-resolution", "24", "--frames", "3", "--threads", "1")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_registry(tmp_path_factory.mktemp("weights")).folder


def cameo(weights: Path, *arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"CAMEO_WEIGHTS": str(weights)})


def copy_as_png(path: Path) -> None:
    with Image.open(ASTRONAUT) as picture:
        picture.save(path)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def numbers(value: object) -> list[float]:
    """Every leaf that is not text, to look for nulls and nonsense."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in numbers(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in numbers(item)]
    return [] if isinstance(value, str | bool) else [float(value)]  # type: ignore[arg-type]


def test_a_photo_becomes_all_files_and_a_complete_report(weights: Path, tmp_path: Path) -> None:
    result = cameo(
        weights, "reconstruct", ASTRONAUT, "--out", tmp_path, "--weights", NAME, "--edit", "smile=1", *QUICK, "--json"
    )
    assert result.exit_code == 0, result.output
    folder = tmp_path / "astronaut"
    report = json.loads((folder / "report.json").read_text())
    line = json.loads(result.stdout)
    assert line["photo"] == str(ASTRONAUT)
    assert {key: line[key] for key in report} == report
    assert list(report) == [
        *("weights", "device", "seconds", "peak_rss_mb", "camera", "warnings", "metrics", "mesh", "files")
    ]
    assert set(report["seconds"]) == {"align", "encode", "render", "mesh", "turntable"}
    assert set(report["metrics"]) == {
        *("mae", "mae_whole", "ssim", "ssim_e3dge", "psnr", "identity_distance", "identity_yaw35")
    }
    assert set(report["mesh"]) == {"vertices", "faces", "components", "largest_component_share", "watertight"}
    assert len(numbers(report)) > 15
    assert {path.name for path in folder.iterdir()} == {*report["files"].values(), "report.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"astronaut"}
    for name in ("aligned.png", "reconstruction.png"):
        assert size_of(folder / name) == (256, 256)
    assert len(trimesh.load(folder / "mesh.glb", force="mesh").faces) == report["mesh"]["faces"]
    with av.open(str(folder / "turntable.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 3
    again = cameo(weights, "reconstruct", ASTRONAUT, "--out", tmp_path, "--weights", NAME, "--mesh", "none", *QUICK)
    assert again.exit_code == 0, again.output
    assert {path.name for path in folder.iterdir()} == {
        *("aligned.png", "reconstruction.png", "view_0.png", "view_1.png", "turntable.mp4", "report.json")
    }


def test_one_bad_photo_does_not_stop_the_others(weights: Path, tmp_path: Path) -> None:
    text = tmp_path / "me.jpg"
    text.write_text("I am no picture.")
    good = tmp_path / "me.png"
    copy_as_png(good)
    out = tmp_path / "out"
    result = cameo(
        weights, "reconstruct", text, good, tmp_path / "gone.jpg", "--out", out, "--weights", NAME, *QUICK,
        "--mesh", "none", "--turntable", "none", "--views", "0", "--json",
    )  # fmt: skip
    assert result.exit_code == 3
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("error", {}).get("kind") for line in lines] == ["PhotoUnreadable", None, "PhotoNotFound"]
    assert all(line["error"]["hint"] for line in lines if "error" in line)
    assert (out / "me.png" / "reconstruction.png").is_file()
    assert json.loads((out / "me" / "report.json").read_text())["error"]["kind"] == "PhotoUnreadable"


def test_a_photo_without_a_face_is_explained(weights: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), (90, 120, 150)).save(tmp_path / "sky.png")
    result = cameo(weights, "reconstruct", tmp_path / "sky.png", "--out", tmp_path / "out", "--weights", NAME)
    assert result.exit_code == 3
    assert "No face was found" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--edit", "Smile"], "not an edit"),
        (["--edit", "Wings=1"], "no attribute"),
        (["--edit", "Smile=99"], "cannot be"),
        (["--edit", "Age=1"], "cannot edit Age"),
        (["--weights", "nothing"], "no weights called"),
        (["--mesh", "fbx"], "fbx"),
        (["--detector", "eyes"], "eyes"),
        (["--views", "-1"], "--views"),
        (["--mesh-resolution", "4000"], "--mesh-resolution"),
        (["--frames", "0"], "--frames"),
    ],
)
def test_wrong_usage_is_refused_with_a_sentence_and_nothing_is_written(
    weights: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    out = tmp_path / "out"
    result = cameo(weights, "reconstruct", ASTRONAUT, "--out", out, "--weights", NAME, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not out.exists()


def test_missing_arguments_are_wrong_usage(weights: Path, tmp_path: Path) -> None:
    assert cameo(weights, "reconstruct", ASTRONAUT).exit_code == 2
    assert cameo(weights, "reconstruct", "--out", tmp_path).exit_code == 2


def test_somebody_elses_file_is_never_replaced(weights: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "astronaut" / "view_1.png"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    result = cameo(weights, "reconstruct", ASTRONAUT, "--out", tmp_path, "--weights", NAME, *QUICK)
    assert result.exit_code == 3
    assert "was not made by an earlier run" in result.stderr
    assert theirs.read_text() == "mine"
    assert [path.name for path in theirs.parent.iterdir()] == ["view_1.png"] or (
        json.loads((theirs.parent / "report.json").read_text())["error"]["kind"] == "ExportFailed"
    )


def test_weights_are_listed_and_verified(weights: Path) -> None:
    listed = cameo(weights, "weights", "list")
    assert listed.exit_code == 0
    assert "toy" in listed.stdout
    assert cameo(weights, "weights", "verify").exit_code == 0
    assert cameo(weights, "weights", "verify", "nothing").exit_code == 3


def test_damaged_weights_are_noticed(weights: Path, tmp_path: Path) -> None:
    folder = toy_registry(tmp_path / "damaged").folder
    file = folder / "toy.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 255
    file.write_bytes(content)
    result = cameo(folder, "weights", "verify")
    assert result.exit_code == 3
    assert "damaged" in result.stderr


def test_the_own_weights_are_as_their_manifest_says() -> None:
    result = CliRunner().invoke(app, ["weights", "verify"])
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_a_folder_is_evaluated_into_table_and_sheet_and_goes_on_where_it_stopped(weights: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    copy_as_png(photos / "a.png")
    Image.new("RGB", (200, 200)).save(photos / "b.png")
    out = tmp_path / "out"
    command = ("evaluate", "photos", photos, "--out", out, "--weights", NAME, "--threads", "1", "--json")
    result = cameo(weights, *command)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["photos"] == 2
    assert list(summary["failed"]) == ["b.png"]
    assert summary["figures"]["mae"]["n"] == 1
    assert size_of(out / "sheet.png") == (6 * 256, 2 * 256)
    assert "| mae |" in (out / "table.md").read_text()
    stamp = (out / "photos" / "a.png.json").stat().st_mtime_ns
    assert cameo(weights, *command).exit_code == 0
    assert (out / "photos" / "a.png.json").stat().st_mtime_ns == stamp
    assert cameo(weights, "evaluate", "photos", tmp_path / "nowhere").exit_code == 2


@pytest.mark.slow
def test_interrupting_leaves_no_half_file(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "core", "reconstruct", str(ASTRONAUT), "--out", str(out), "--weights", NAME),
        *("--weights-folder", str(weights), "--frames", "5000", "--threads", "1", "--mesh-resolution", "24"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list(out.glob(".*/.turntable*")):
            assert process.poll() is None, process.stderr
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert list(out.iterdir()) == []


@pytest.mark.slow
def test_a_bad_photo_is_refused_in_about_a_second(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "weights").mkdir()
    registry = toy_registry(tmp_path / "weights")
    started = time.monotonic()
    result = subprocess.run(
        [
            *(sys.executable, "-m", "core", "reconstruct", str(tmp_path / "empty.jpg"), "--out", str(tmp_path)),
            *("--weights", NAME, "--weights-folder", str(registry.folder)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3
    assert "empty.jpg" in result.stderr
    # Nothing heavy was imported; a second on a free machine, more where tests run side by side.
    assert time.monotonic() - started < 5


def test_what_comes_before_a_refinement_is_part_of_it_or_refused(weights: Path, tmp_path: Path) -> None:
    begin = ("reconstruct", ASTRONAUT, "--out", tmp_path, "--weights", NAME)
    alone = cameo(weights, *begin, "--polish", "camera")
    assert alone.exit_code == 2
    assert "no refinement to begin" in alone.output
    kept = cameo(weights, *begin, "--from-mean", "--refine", "best")
    assert kept.exit_code == 2
    assert "keeps the shape" in kept.output
    assert not (tmp_path / "astronaut").exists()
    few = ("--refine", "sg2", "--refine-passes", "4", "--from-mean", "--polish", "camera", *QUICK, "--json")
    done = cameo(weights, *begin, *few)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["refinement"]["method"] == "mean+camera+sg2"
