from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.bootstrap import SettingsError, catalog, kafka_options, load_settings
from llm_worker.contracts import topics

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["SSL_CAFILE", "SSL_CERTFILE"])
def test_file_that_holds_no_certificate_is_named_with_its_setting(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "it.pem"
    file.write_text("no certificate", encoding="utf-8")
    variable = f"LLM_WORKER_KAFKA__{name}"
    given = {"LLM_WORKER_KAFKA__SECURITY_PROTOCOL": "SSL", variable: str(file)}

    with pytest.raises(SettingsError, match=variable) as raised:
        kafka_options(load_settings(given))

    assert str(file) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("topics: {dogs: {}}", "topics.dogs"),
        ("topics: {control: {name: 'not a topic'}}", "topics.control.name"),
        ("topics: {}", "topics.yaml lacks comparison_requested"),
        ("other: {}", "KeyError: 'topics'"),
        ("", "TypeError"),
        ("topics: [", "ParserError"),
    ],
)
def test_topics_file_that_was_spoilt_is_named_with_the_fault(
    text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "topics.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(topics, "shipped", lambda relative: tmp_path / relative)

    with pytest.raises(SettingsError, match=fault):
        catalog(load_settings({}))
