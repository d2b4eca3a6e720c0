from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from llm_worker.adapters.cache.link import BATCHES_AT_ONCE, CacheAwayError
from llm_worker.adapters.cache.script import script_of
from llm_worker.domain.breaker import BreakerState
from tests.support.fake_redis import FakeRedis, SeenByLink

if TYPE_CHECKING:
    from llm_worker.adapters.cache.link import RedisLink

_SCRIPT = script_of("echo", "return ARGV[1]")
_BUDGET_S = 0.05


async def _fails(link: RedisLink, words: str = "Redis failed") -> None:
    with pytest.raises(CacheAwayError, match=words):
        await link.run(_SCRIPT, ["key"], "value")


async def test_calls_of_one_turn_go_out_in_one_batch_and_each_gets_its_own_answer() -> None:
    redis, seen = FakeRedis(), SeenByLink()
    link = redis.link(seen)
    first, second = link.run(_SCRIPT, ["key"], "one"), link.command("GET", b"two")
    third = link.run(_SCRIPT, ["a", b"b"], 3)
    assert await first == b"one"
    assert await second == b"two"
    assert await third == b"3"
    assert await link.run(_SCRIPT, [], "later") == b"later"
    sha = _SCRIPT.sha.encode()
    assert redis.batches == [
        [
            [b"EVALSHA", sha, b"1", b"key", b"one"],
            [b"GET", b"two"],
            [b"EVALSHA", sha, b"2", b"a", b"b", b"3"],
        ],
        [[b"EVALSHA", sha, b"0", b"later"]],
    ]
    assert seen.errors == [None, None]
    assert redis.connected == 1


async def test_no_wait_is_longer_than_the_budget_whatever_it_is_spent_on() -> None:
    for slow in (FakeRedis(delay_s=60), FakeRedis(connecting_s=60), FakeRedis(delay_s=0.051)):
        seen = SeenByLink()
        link = slow.link(seen, budget_s=_BUDGET_S)
        began_s = asyncio.get_running_loop().time()
        waiters = [link.run(_SCRIPT, ["key"], n) for n in range(3)]
        ended = await asyncio.gather(*waiters, return_exceptions=True)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(_BUDGET_S, abs=1e-9)
        assert [type(answer) for answer in ended] == [CacheAwayError] * 3
        assert seen.errors == ["timeout"]
        await link.aclose()


async def test_waiting_for_other_batches_counts_in_the_budget() -> None:
    redis = FakeRedis(delay_s=0.04)
    link = redis.link(budget_s=_BUDGET_S)
    batches = []
    for _ in range(20):  # more than batches at once: some would need two delays
        batches.append(link.run(_SCRIPT, ["key"], "value"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    began_s = asyncio.get_running_loop().time()
    ended = await asyncio.gather(*batches, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began_s <= _BUDGET_S + 1e-9
    assert [answer for answer in ended if answer != b"value"]
    assert redis.connected == BATCHES_AT_ONCE


async def test_what_waits_for_other_batches_goes_out_in_one() -> None:
    redis = FakeRedis(delay_s=0.01)
    link = redis.link()
    answers = []
    for number in range(20):
        answers.append(link.command("GET", str(number)))
        await asyncio.sleep(0.0001)  # so that each would have a batch of its own
    assert await asyncio.gather(*answers) == [str(number).encode() for number in range(20)]
    assert [len(batch) for batch in redis.batches] == [1] * BATCHES_AT_ONCE + [20 - BATCHES_AT_ONCE]


async def test_answer_just_within_the_budget_is_taken() -> None:
    link = FakeRedis(delay_s=0.049).link(budget_s=_BUDGET_S)
    assert await link.run(_SCRIPT, ["key"], "value") == b"value"


async def test_connection_that_comes_too_late_serves_the_next_call() -> None:
    redis = FakeRedis(connecting_s=0.2)
    link = redis.link()
    await _fails(link, "timeout")
    await asyncio.sleep(0.2)
    assert await link.run(_SCRIPT, ["key"], "value") == b"value"
    assert redis.connected == 1


async def test_connection_that_is_too_late_for_anybody_is_given_up() -> None:
    redis = FakeRedis(connecting_s=1.1)
    link = redis.link()
    await _fails(link, "timeout")
    await asyncio.sleep(2)
    assert redis.connected == 0


async def test_given_up_answer_is_never_taken_for_another_call() -> None:
    redis = FakeRedis(delay_s=60)
    link = redis.link()
    await _fails(link)
    redis.delay_s = 0
    assert await link.run(_SCRIPT, ["key"], "second") == b"second"
    assert redis.connected == 2


async def test_cancelled_waiter_does_not_disturb_the_others() -> None:
    link = FakeRedis(delay_s=0.01).link()
    gone, stays = link.run(_SCRIPT, ["key"], "gone"), link.run(_SCRIPT, ["key"], "stays")
    gone.cancel()
    assert await stays == b"stays"
    assert link.failure_count == 0


async def test_unknown_script_is_sent_once_more_with_its_text() -> None:
    def forgetful(words: list[bytes]) -> object:
        return NoScriptError() if words[0] == b"EVALSHA" else words[-1]

    redis = FakeRedis(forgetful)
    link = redis.link()
    calls = (
        link.run(_SCRIPT, ["key"], "one"),
        link.command("GET", "x"),
        link.run(_SCRIPT, [], "two"),
    )
    assert [await call for call in calls] == [b"one", b"x", b"two"]
    assert redis.batches[1] == [
        [b"EVAL", _SCRIPT.text.encode(), b"1", b"key", b"one"],
        [b"EVAL", _SCRIPT.text.encode(), b"0", b"two"],
    ]
    assert link.failure_count == 0


async def test_unknown_script_has_no_second_budget() -> None:
    redis = FakeRedis(lambda _: NoScriptError(), delay_s=0.03)
    began_s = asyncio.get_running_loop().time()
    await _fails(redis.link(), "timeout")
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(_BUDGET_S, abs=1e-9)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OutOfMemoryError("command not allowed, value"), "full"),
        (ReadOnlyError("value"), "refused"),
        (AuthenticationError("value"), "auth"),
        (ResponseError("ERR user_script:1: value script: f0, on @user_script:1."), "script"),
        (ResponseError("unknown command, with args beginning with: value"), "refused"),
        (RedisConnectionError("value"), "connection"),
    ],
)
async def test_refusal_is_a_failure_told_in_one_word_without_its_text(
    error: Exception, word: str
) -> None:
    seen = SeenByLink()
    link = FakeRedis(lambda _: error).link(seen)
    with pytest.raises(CacheAwayError) as raised:
        await link.run(_SCRIPT, ["key"], "value")
    assert str(raised.value) == f"Redis failed: {word}"
    assert "value" not in repr(raised.value)
    assert raised.value.__cause__ is raised.value.__context__ is None
    assert seen.errors == [word]
    assert link.failure_count == 1


async def test_refusal_of_one_call_leaves_the_answers_of_the_others() -> None:
    link = FakeRedis(lambda w: OutOfMemoryError() if w[0] == b"SET" else w[-1]).link()
    full, read = link.command("SET", "key", "value"), link.command("GET", "key")
    assert await read == b"key"
    with pytest.raises(CacheAwayError, match="full"):
        await full
    assert link.failure_count == 1


async def test_replica_that_was_the_master_is_asked_over_a_new_connection_next() -> None:
    redis = FakeRedis(lambda _: ReadOnlyError())
    link = redis.link()
    await _fails(link, "refused")
    redis.answer = lambda words: words[-1]
    assert await link.run(_SCRIPT, ["key"], "value") == b"value"
    assert redis.connected == 2


async def test_breaker_opens_after_three_failed_batches_and_one_probe_closes_it() -> None:
    redis, seen = FakeRedis(lambda _: RedisConnectionError()), SeenByLink()
    link = redis.link(seen)
    assert seen.states == []
    for _ in range(3):
        waiting = [link.run(_SCRIPT, ["key"], "value") for _ in range(5)]
        await asyncio.gather(*waiting, return_exceptions=True)
    assert [link.is_available, link.failure_count] == [False, 3]
    began_s = asyncio.get_running_loop().time()
    await _fails(link, "not asked")
    assert asyncio.get_running_loop().time() == began_s
    assert len(redis.batches) == 3

    await asyncio.sleep(1)
    redis.answer, redis.delay_s = lambda words: words[-1], 0.01
    probe = link.run(_SCRIPT, ["key"], "probe")
    await asyncio.sleep(0.001)
    await _fails(link, "not asked")
    assert await probe == b"probe"
    assert [link.is_available, link.failure_count] == [True, 0]
    assert seen.states == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


async def test_failed_probe_leaves_redis_alone_for_another_second() -> None:
    redis = FakeRedis(lambda _: RedisConnectionError())
    link = redis.link()
    for _ in range(3):
        await _fails(link)
    await asyncio.sleep(1)
    await _fails(link, "connection")
    await _fails(link, "not asked")
    assert len(redis.batches) == 4


async def test_defect_of_ours_leaves_nobody_waiting_and_the_breaker_working() -> None:
    redis, told = FakeRedis(lambda _: TypeError("a defect")), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    link = redis.link()
    for _ in range(3):
        await _fails(link, "other")
    await asyncio.sleep(1)
    await _fails(link, "other")
    redis.answer = lambda words: words[-1]
    await asyncio.sleep(1)
    assert await link.run(_SCRIPT, ["key"], "value") == b"value"
    gc.collect()
    assert {str(context["exception"]) for context in told} == {"a defect"}


async def test_call_that_nobody_waits_for_never_raises_nor_warns_and_its_failure_counts() -> None:
    redis, told = FakeRedis(lambda _: RedisConnectionError()), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    link = redis.link()
    for _ in range(5):
        link.post_later(_SCRIPT, ["key"], "value", unheard=lambda: None)
        await asyncio.sleep(0.1)
    gc.collect()
    assert told == []
    assert link.failure_count == 3
    assert not link.is_available


async def test_closing_lets_what_is_under_way_end_and_refuses_the_rest() -> None:
    redis = FakeRedis(delay_s=0.01)
    link = redis.link()
    sent = link.run(_SCRIPT, ["key"], "sent")
    await asyncio.sleep(0.001)
    waiting = link.run(_SCRIPT, ["key"], "waiting")
    await link.aclose()
    assert await sent == b"sent"
    assert await waiting == b"waiting"
    await _fails(link, "not asked")
    assert redis.is_closed


async def test_closing_waits_no_longer_than_the_budget() -> None:
    redis = FakeRedis(delay_s=60)
    link = redis.link()
    waiting = link.run(_SCRIPT, ["key"], "value")
    began_s = asyncio.get_running_loop().time()
    await link.aclose()
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(_BUDGET_S, abs=1e-9)
    with pytest.raises(CacheAwayError):
        await waiting


async def test_patient_call_goes_with_the_next_batch() -> None:
    redis = FakeRedis()
    link = redis.link()
    link.post_later(_SCRIPT, ["a"], "patient", unheard=lambda: pytest.fail("it was heard"))
    await asyncio.sleep(0)
    assert redis.batches == []
    await link.command("GET", "b")
    [batch] = redis.batches
    assert [words[-1] for words in batch] == [b"patient", b"b"]


async def test_patient_call_goes_alone_after_a_moment() -> None:
    redis = FakeRedis()
    link = redis.link()
    link.post_later(_SCRIPT, ["a"], "patient", unheard=lambda: pytest.fail("it was heard"))
    await asyncio.sleep(0.1)  # of the virtual clock
    [[words]] = redis.batches
    assert words[-1] == b"patient"


async def test_patient_call_that_fails_is_told_so_once() -> None:
    redis, unheard = FakeRedis(delay_s=60), []
    link = redis.link(budget_s=_BUDGET_S)
    link.post_later(_SCRIPT, ["a"], "patient", unheard=lambda: unheard.append(1))
    await asyncio.sleep(1)  # of the virtual clock
    assert unheard == [1]


async def test_connections_that_were_idle_when_one_was_cut_are_not_used_again() -> None:
    redis, seen = FakeRedis(delay_s=0.01), SeenByLink()
    link = redis.link(seen)
    answers = []
    for _ in range(3):
        answers.append(link.command("GET", "a"))
        await asyncio.sleep(0.0001)  # so that each has a batch, and a connection, of its own
    await asyncio.gather(*answers)
    assert redis.connected == 3
    for connection in redis.made:
        connection.is_connected = False
    assert await link.command("GET", "a") == b"a"
    assert (redis.connected, seen.errors) == (4, [None] * 4)


async def test_a_call_does_not_wait_for_others_while_no_batch_is_under_way() -> None:
    redis = FakeRedis()
    link = redis.link(linger_s=0.01)
    began_s = asyncio.get_running_loop().time()
    for _ in range(2):
        assert await link.command("GET", "a") == b"a"
    assert asyncio.get_running_loop().time() == began_s


async def test_calls_while_a_batch_is_under_way_share_the_next_which_goes_when_that_ends() -> None:
    redis = FakeRedis(delay_s=0.005)
    link = redis.link(linger_s=0.01)
    began_s = asyncio.get_running_loop().time()
    answers = []
    for word in ("a", "b", "c"):
        answers.append(link.command("GET", word))
        await asyncio.sleep(0.002)
    assert await asyncio.gather(*answers) == [b"a", b"b", b"c"]
    assert [[words[-1] for words in batch] for batch in redis.batches] == [[b"a"], [b"b", b"c"]]
    assert asyncio.get_running_loop().time() == pytest.approx(began_s + 0.01)


async def test_a_moment_spent_waiting_for_more_calls_counts_in_the_budget() -> None:
    redis = FakeRedis(delay_s=0.045)
    link = redis.link(budget_s=_BUDGET_S, linger_s=0.01)
    alone = link.command("GET", "a")
    await asyncio.sleep(0.001)
    answers = [link.command("GET", "b")]
    await asyncio.sleep(0.004)
    answers.append(link.command("GET", "c"))
    assert await alone == b"a"
    for answer in answers:
        with pytest.raises(CacheAwayError, match="timeout"):
            await answer
    assert [[words[-1] for words in batch] for batch in redis.batches] == [[b"a"], [b"b", b"c"]]
