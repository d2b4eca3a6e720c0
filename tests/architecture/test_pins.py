"""faust-streaming, aiokafka and mode are one machine, and parts of it that are not public are ours.

When one of them moves: read what it changed in the places named here, run `make chaos`, then move
the pin. docs/reliability.md says what each of these places is for.
"""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import faust
import pytest
from aiohttp.web import AppRunner, RequestHandler, Server
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, TopicPartitionState
from aiokafka.record.memory_records import _MemoryRecordsPy
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.web.drivers.aiohttp import Web
from mode.utils.queues import FlowControlEvent, FlowControlQueue, ThrowableQueue

from llm_worker.adapters.kafka import app as our_app
from llm_worker.adapters.kafka import consumer as our_consumer
from llm_worker.adapters.kafka import consumer_thread as our_consumer_thread
from llm_worker.adapters.kafka import server as our_server
from llm_worker.adapters.kafka import tables as our_tables
from tests.support.apps import Drains, brokerless_app, consumer_of

if TYPE_CHECKING:
    from collections.abc import Callable

PINS = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0", "mode-streaming": "0.7.1"}

OVERRIDDEN: list[tuple[Callable[..., Any], str, str]] = [
    # adapters/kafka/app.py
    (faust.App.FlowControlQueue, "self maxsize clear_on_resume", "makes an agent's queue"),
    (faust.App._consumer_wait_empty, "self consumer logger", "the only wait before a commit"),
    (faust.App._on_partitions_revoked, "self revoked", "drains, then gives partitions away"),
    (faust.App._on_rebalance_when_stopped, "self", "closes the consumer in a shutdown"),
    (faust.App._new_transport, "self", "makes the consumer's transport"),
    (faust.App._new_producer_transport, "self", "makes the producer's transport"),
    (faust.App._create_directories, "self", "would write to disk"),
    (faust.App.on_webserver_init, "self web", "adds routes before the web server starts"),
    (faust.App._new_web, "self", "makes the web server"),
    (faust.App.on_stop, "self", "drains, before agents stop"),
    (ThrowableQueue.full, "self", "asked by the conductor before it waits"),
    (ThrowableQueue.qsize, "self", "what the pressure callbacks measure"),
    (ThrowableQueue.clear, "self", "called at a rebalance"),
    (asyncio.Queue._put, "self item", "every way into the queue"),
    (asyncio.Queue._get, "self", "every way out of the queue"),
    # adapters/kafka/consumer.py
    (Consumer.ack, "self message", "the only ack: a noack stream never calls it"),
    (Consumer.force_commit, "self topics start_new_transaction", "the only commit"),
    (Consumer.wait_empty, "self", "called by the drain"),
    (Consumer.wait_first, "self coros timeout", "how a record is handed to the conductor"),
    (Consumer._wait_next_records, "self timeout", "fetches what getmany may throw away"),
    (Consumer.verify_all_partitions_active, "self", "only logs, and may crash"),
    (Consumer._add_gap, "self tp offset_from offset_to", "Faust's arithmetic, bypassed"),
    (Consumer.on_partitions_assigned, "self assigned generation_id", "begins a generation"),
    (driver.Consumer._new_consumer_thread, "self", "makes the thread"),
    (driver.AIOKafkaConsumerThread.on_start, "self", "joins the broker, and crashes without"),
    (driver.AIOKafkaConsumerThread._commit, "self offsets", "crashes when it is refused"),
    (driver.AIOKafkaConsumerThread.seek_to_committed, "self", "leaves what has no commit"),
    (driver.AIOKafkaConsumerThread.highwater, "self tp", "asserts that it is assigned"),
    (driver.AIOKafkaConsumerThread._create_worker_consumer, "self transport", "our options"),
    (
        driver.AIOKafkaConsumerThread.on_partitions_assigned,
        "self assigned generation_id",
        "called by the coordinator when it has joined",
    ),
    # adapters/kafka/header_names.py
    (_MemoryRecordsPy.next_batch, "self _min_slice _magic_offset", "makes a fetched batch"),
    # adapters/kafka/server.py
    (AppRunner._make_server, "self", "makes what makes connections"),
    (Server.__call__, "self", "makes a connection"),
    (RequestHandler.handle_error, "self request status exc message", "answers what is no HTTP"),
    (RequestHandler.log_exception, "self args kw", "logs what it stumbles over"),
    (Web._create_site, "self", "makes the site that listens"),
    (Web._enabled_blueprints, "self", "Faust's own pages"),
    # adapters/kafka/tables.py
    (cast("Any", TableManager.recovery).fget, "self", "makes the recovery service"),
    (TableManager.on_start, "self", "sleeps a second, then starts the recovery"),
    (Recovery.on_rebalance, "self assigned revoked newly_assigned generation_id", "takes note"),
    (Recovery._resume_streams, "self generation_id", "lets the flow go on after a rebalance"),
    # bootstrap/process.py
    (faust.Worker.stop, "self", "called at every end, by a signal or a crash"),
    (faust.Worker._on_sigusr2, "self", "opens a debugger in the event loop"),
]

TOUCHED: list[tuple[Callable[..., Any], str, str]] = [
    (driver.AIOKafkaConsumerThread._ensure_consumer, "self", "aiokafka's consumer"),
    (AIOKafkaClient._wait_on_metadata, "self topic", "the partitions of a topic (client)"),
    (AIOKafkaClient._metadata_update, "self cluster_metadata topics", "what may create topics"),
    (AIOKafkaClient.send, "self node_id request group", "our Metadata request (topics.py)"),
    (TopicPartitionState.has_valid_position.fget, "self", "may position be read"),
    (Assignment.state_value, "self tp", "how far a partition is fetched"),
    (GroupCoordinator._do_heartbeat, "self", "True: the group says that we are a member"),
    (GroupCoordinator._send_req, "self request", "OffsetFetch: nobody reads its error_code"),
    (GroupCoordinator.close, "self", "sets _closing, then waits for the join under way"),
    (GroupCoordinator.reset_generation, "self", "so that the group is not left twice"),
    (GroupCoordinator._push_error_to_user, "self exc", "parks until check_errors is called"),
    (
        Fetcher._proc_fetch_request,
        "self assignment node_id request",
        "lets its cancellation out to whoever stops the consumer (client/reading.py)",
    ),
    (Fetcher._update_fetch_positions, "self assignment node_id tps", "the same"),
    (Fetcher.request_offset_reset, "self tps strategy", "begins at the start, not waited for"),
    (
        FlowControlQueue.put_nowait_enhanced,
        "self value on_pressure_high on_pressure_drop",
        "how the conductor puts, and pauses partitions",
    ),
    (FlowControlEvent.resume, "self", "lets the conductor put, and clears the agents' queues"),
    (Recovery._wait, "self coro timeout", "ends by RebalanceAgain once the next is assigned"),
]


def _where(function: Callable[..., Any], why: str) -> str:
    return f"{function.__module__}.{function.__qualname__}: {why}"


_TO_CHECK = "\n  ".join(_where(function, why) for function, _, why in OVERRIDDEN + TOUCHED)
_ASSUMED = """
  Stream(noack): pulls without acking
  App._on_partitions_assigned: sends its signal before the flow is resumed, so that the gate forgets
    an old generation before a record of the new one comes
  ConsumerRebalanceListener: sets app.consumer_generation_id before on_partitions_assigned, and
    counts app.rebalancing_count before the flow is held
  Consumer._drain_messages: reads in _read_offset alone what it has read, and passes over what lies
    before it (ForgottenOffsets)
  Consumer.getmany: yields nothing once the generation has changed
  aiokafka's coordinator: calls self._do_heartbeat(), and goes on beating through a drain
  GroupCoordinator.member_id: what the group calls us; it is among what describe_consumer_groups,
    which aiokafka calls experimental, gives as raw answers
  aiokafka's producer: a refused record poisons an idempotent one (ProducerLine)"""


@pytest.mark.parametrize(("package", "pinned"), PINS.items(), ids=PINS)
def test_package_is_the_version_that_was_checked(package: str, pinned: str) -> None:
    assert version(package) == pinned, (
        f"{package} moved. Check again what we override or touch of it:\n  {_TO_CHECK}\n"
        f"and what we rely on:{_ASSUMED}\nthen run `make chaos`, and move the pin here too."
    )


@pytest.mark.parametrize(
    ("function", "parameters", "why"),
    OVERRIDDEN + TOUCHED,
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_private_part_is_still_there_with_its_parameters(
    function: Callable[..., Any], parameters: str, why: str
) -> None:
    found = " ".join(inspect.signature(function).parameters)
    assert found == parameters, f"check again: {_where(function, why)}"


def test_every_override_of_ours_is_in_the_list() -> None:
    listed = {function.__name__ for function, _, _ in OVERRIDDEN}
    for module in (our_app, our_consumer, our_consumer_thread, our_server, our_tables):
        for _, ours in inspect.getmembers(module, inspect.isclass):
            if ours.__module__ != module.__name__ or issubclass(ours, dict):
                continue
            for name, member in vars(ours).items():
                if getattr(member, "__override__", False):
                    assert name in listed, (
                        f"{ours.__qualname__}.{name} overrides, and is not listed"
                    )


async def test_private_attributes_are_still_there() -> None:
    with brokerless_app(Drains()) as app:
        consumer, _ = consumer_of(app)
        assert consumer._committed_offset[faust.types.TP("t", 0)] is None
        assert app.rebalancing is False
        assert isinstance(app.boot_strategy, BootStrategy)
        assert app.boot_strategy.enable_kafka_producer is False
        client = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1", group_id="g")
        assert client._coordinator is None, "made by start(); the thread reads it after that"
        await client.stop()
