"""Settings are read from SR_ variables and flags, and every misspelling is refused with the nearest right name."""

from pathlib import Path

import pytest
from pydantic import ValidationError

import service
from service.settings import Settings, explain, load_settings


def refusal(arguments: list[str] | None = None) -> str:
    with pytest.raises(ValidationError) as caught:
        load_settings(arguments or [])
    return explain(caught.value)


def test_the_default_store_lies_beside_the_package() -> None:
    assert load_settings([]).store == Path(service.__file__).resolve().parent.parent / "store"


def test_the_documented_limits_are_the_defaults() -> None:
    settings = load_settings([])
    assert settings.max_body_bytes == 32 * 2**20
    assert settings.max_input_pixels == 32_000_000
    assert settings.max_output_pixels == 128_000_000
    assert settings.max_side == 16_384
    assert settings.max_requests == 64
    assert settings.body_timeout_s == 30


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_MAX_TILE", "128")
    monkeypatch.setenv("sr_port", "9000")
    settings = load_settings(["--max-tile", "256"])
    assert settings.max_tile == 256
    assert settings.port == 9000
    assert settings.max_requests == 64


def test_a_misspelt_variable_is_refused_with_the_nearest_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_MAX_TILLE", "128")
    assert refusal() == "SR_MAX_TILLE is no setting: did you mean SR_MAX_TILE?"


def test_a_variable_unlike_any_setting_is_refused_with_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_XYZZY", "1")
    assert refusal() == "SR_XYZZY is no setting: see `python -m service --help`"


def test_a_variable_for_a_group_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_LIMITS__MAX_TILE", "128")
    assert "SR_LIMITS__MAX_TILE is no setting" in refusal()


def test_variables_of_others_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRV_MAX_TILE", "1")
    load_settings([])


def test_the_clients_variables_are_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_BASE_URL", "http://127.0.0.1:8000")
    monkeypatch.setenv("SR_API_KEY", "key")
    assert load_settings([]).port == 8000


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_PORT", "")
    assert load_settings([]).port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SR_PORT", "65536"),
        ("SR_PORT", "http"),
        ("SR_DEVICE", "tpu"),
        ("SR_MAX_REQUESTS", "0"),
        ("SR_BODY_TIMEOUT_S", "-1"),
        ("SR_MAX_TILE", "1"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_variables_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert refusal().startswith(f"{name}: ")
    assert f"(is '{value}')" in refusal()


def test_limits_that_contradict_each_other_are_refused() -> None:
    assert "max_output_pixels must be at least max_input_pixels" in refusal(["--max-output-pixels", "5"])
    assert "max_memory_bytes must be at least max_body_bytes" in refusal(["--max-memory-bytes", "5"])


def test_an_unknown_flag_ends_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        load_settings(["--nope", "1"])
    assert "--nope" in capsys.readouterr().err


def test_help_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        load_settings(["--help"])
    text = capsys.readouterr().out
    for name, field in Settings.model_fields.items():
        assert "--" + name.replace("_", "-") in text
        assert field.description, name


def test_every_number_that_is_no_count_carries_its_unit_in_its_name() -> None:
    counts = {
        "port",
        "threads",
        "codec_threads",
        "max_tile",
        "max_side",
        "max_requests",
        "max_jobs",
        "job_workers",
        "max_frames",
        "max_video_frames",
    }
    units = ("_bytes", "_pixels", "_s")
    for name, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            assert name in counts or name.endswith(units), name


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings([]).port = 1  # type: ignore[misc]
