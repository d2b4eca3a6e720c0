from __future__ import annotations

import pytest

from llm_worker.adapters.kafka.server import PortTakenError, bind


def test_port_that_is_claimed_is_not_given_twice() -> None:
    with bind("127.0.0.1", 0, setting="PORT") as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"127.0.0.1, port {port} .* set PORT to another"):
            bind("127.0.0.1", port, setting="PORT")
    bind("127.0.0.1", port, setting="PORT").close()


def test_host_that_is_no_address_is_told() -> None:
    with pytest.raises(PortTakenError, match=r"no\.such\.host\.invalid is no address"):
        bind("no.such.host.invalid", 0, setting="PORT")
