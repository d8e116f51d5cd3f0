"""Every bad input of the house's list, through the command line: the exit code, the sentence, and nothing changed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.camera import CameraLimits
from core.weights import InputContract, Registry
from tests.pictures import BAD_PICTURES

ROOT = Path(__file__).parents[1]


@pytest.fixture
def weights_folder(tmp_path: Path) -> Path:
    """Weights that are listed but could not be loaded: a bad photo must be refused before anybody tries."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"not a model")
    Registry(folder).add(
        "cameo-256",
        {"model": "model.safetensors"},
        purpose="head",
        licence="Apache-2.0",
        contract=InputContract(256, CameraLimits(1.0, -0.5, 0.5)),
    )
    return folder


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_input_ends_with_code_3_and_a_sentence(name: str, tmp_path: Path, weights_folder: Path) -> None:
    bad = BAD_PICTURES[name]
    path = bad.write(tmp_path)
    before = path.read_bytes() if path.is_file() else None
    arguments = ["reconstruct", str(path), "--out", str(tmp_path / "out"), "--weights-folder", str(weights_folder)]
    started = time.monotonic()
    result = CliRunner().invoke(app, arguments)
    assert time.monotonic() - started < 1.0
    assert result.exit_code == 3
    assert bad.says in result.stderr
    assert "Traceback" not in result.output
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_the_report_of_a_bad_input_names_the_error_and_holds_no_null(
    name: str, tmp_path: Path, weights_folder: Path
) -> None:
    bad = BAD_PICTURES[name]
    path = bad.write(tmp_path)
    arguments = ["reconstruct", str(path), "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(app, [*arguments, "--weights-folder", str(weights_folder)])
    line = json.loads(result.stdout)
    assert line["error"]["kind"] == bad.error.__name__
    assert bad.says in line["error"]["message"]
    assert line["error"]["hint"]
    assert "null" not in result.stdout


def test_one_bad_photo_does_not_keep_the_next_from_its_turn(tmp_path: Path, weights_folder: Path) -> None:
    paths = [BAD_PICTURES[name].write(tmp_path) for name in ("a text file", "an empty file", "a folder")]
    arguments = ["reconstruct", *map(str, paths), "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(app, [*arguments, "--weights-folder", str(weights_folder)])
    assert [json.loads(line)["photo"] for line in result.stdout.splitlines()] == [str(path) for path in paths]
    assert result.exit_code == 3


@pytest.mark.slow
def test_the_real_command_refuses_without_loading_a_network(tmp_path: Path, weights_folder: Path) -> None:
    path = BAD_PICTURES["a text file"].write(tmp_path)
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['core', 'reconstruct', {str(path)!r}, '--out', {str(tmp_path / 'out')!r},"
        f" '--weights-folder', {str(weights_folder)!r}]\n"
        "try:\n    runpy.run_module('core', run_name='__main__')\n"
        "finally:\n    print('torch' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 3, result.stderr
    assert result.stdout.strip() == "False"
