"""Settings: a readable file of overrides, replaced whole or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import SettingsUnreadable
from core.settings import Settings


def test_without_a_file_there_are_the_defaults() -> None:
    assert Settings.load() == Settings()


def test_the_file_holds_only_what_differs() -> None:
    replace(Settings(), device="cpu", threads=2).save()
    assert Settings.path().read_text(encoding="utf-8") == 'device = "cpu"\nthreads = 2\n'
    assert [path.name for path in Settings.path().parent.iterdir()] == ["settings.toml"]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(Settings, device=texts, threads=st.integers(0, 99), weights=texts, mesh_resolution=st.integers(8, 512))
)
def test_what_is_saved_is_loaded(tmp_path: Path, chosen: Settings) -> None:
    chosen.save(tmp_path / "settings.toml")
    assert Settings.load(tmp_path / "settings.toml") == chosen


def test_a_key_from_a_newer_version_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('device = "cpu"\nhologram = true\n')
    assert Settings.load(path) == Settings(device="cpu")


@pytest.mark.parametrize("text", ["device = ", "threads = 'two'", "device = 3", "threads = true"])
def test_a_file_that_cannot_be_understood_is_an_error_with_a_hint(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsUnreadable) as refusal:
        Settings.load(path)
    assert refusal.value.hint


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.toml"
    Settings(device="cpu").save(path)

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        Settings(device="cuda").save(path)
    assert Settings.load(path) == Settings(device="cpu")
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.toml"]
