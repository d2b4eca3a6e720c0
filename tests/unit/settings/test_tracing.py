from __future__ import annotations

import pytest

from llm_worker.settings import SettingsError, are_traces_wanted

_ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
_OF_TRACES = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}


@pytest.mark.parametrize(
    ("environment", "are_wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "worker", "OTEL_TRACES_SAMPLER": "always_on"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, False),
        (_ENDPOINT, True),
        (_OF_TRACES, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318"}, False),
        (_ENDPOINT | {"OTEL_SDK_DISABLED": "True "}, False),
        (_ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, True),
        (_ENDPOINT | {"OTEL_SDK_DISABLED": "1"}, True),
        (_ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (_ENDPOINT | {"OTEL_TRACES_EXPORTER": "None"}, False),
        (_ENDPOINT | {"OTEL_TRACES_EXPORTER": ""}, True),
        (_ENDPOINT | {"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        (_ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": ""}, True),
        (_ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "HTTP/protobuf"}, True),
        (
            _ENDPOINT
            | {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            True,
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        (_ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_standard_variables_say_whether_spans_are_wanted(
    environment: dict[str, str], *, are_wanted: bool
) -> None:
    assert are_traces_wanted(environment) is are_wanted


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]
)
@pytest.mark.parametrize("protocol", ["grpc", "http/json"])
def test_protocol_that_is_not_spoken_is_named_with_the_remedy(name: str, protocol: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name} .* set it to http/protobuf, .* 4318$"):
        are_traces_wanted(_ENDPOINT | {name: protocol})


def test_exporter_that_there_is_not_is_named_with_the_remedy() -> None:
    with pytest.raises(SettingsError, match=r"OTEL_TRACES_EXPORTER .* set it to otlp or none"):
        are_traces_wanted(_ENDPOINT | {"OTEL_TRACES_EXPORTER": "zipkin"})
