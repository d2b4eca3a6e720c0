from __future__ import annotations

import pytest

from llm_worker.adapters.kafka.options import consumer_options


@pytest.mark.parametrize(("session_timeout_s", "drain_s"), [(45, 60), (6, 5), (300, 600)])
def test_timeouts_are_in_proportion(session_timeout_s: float, drain_s: float) -> None:
    options = consumer_options({}, session_timeout_s=session_timeout_s, drain_s=drain_s)
    assert options["request_timeout_ms"] > options["rebalance_timeout_ms"] > drain_s * 1000
    assert options["heartbeat_interval_ms"] * 3 <= options["session_timeout_ms"]
    assert options["enable_auto_commit"] is False
    assert options["auto_offset_reset"] == "earliest"
