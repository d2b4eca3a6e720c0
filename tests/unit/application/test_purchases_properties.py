from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from llm_worker.application.bell import Bell
from llm_worker.application.purchases import Purchases
from llm_worker.application.slots import Grant
from llm_worker.domain.errors import RefusedError
from tests.support.builders import verdict_of
from tests.support.fakes import FakeCache
from tests.support.virtual_time import VirtualTimeLoop

_followers = st.lists(
    st.tuples(st.floats(0, 20), st.floats(0.1, 30), st.sampled_from(["stay", "cancel", "drain"]))
)


@given(
    _followers, st.lists(st.tuples(st.floats(0.1, 9), st.sampled_from(["bought", "own", "shared"])))
)
def test_everybody_ends_and_one_buys_at_a_time_whatever_happens(
    followers: list[tuple[float, float, str]], buys: list[tuple[float, str]]
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(_play(followers, buys))


async def _play(followers: list[tuple[float, float, str]], buys: list[tuple[float, str]]) -> None:
    purchases, buying = Purchases(cache=FakeCache(), bell=Bell()), Counter[str]()
    now_s = asyncio.get_running_loop().time

    async def ask(begin_s: float, within_s: float, how: str) -> None:
        await asyncio.sleep(begin_s)
        if how == "drain":
            purchases.let_go()
            purchases.reopen()
        began_s = now_s()
        task = asyncio.ensure_future(purchases.join("f", now_s() + within_s))
        if how == "cancel":
            asyncio.get_running_loop().call_later(within_s / 2, task.cancel)
        [answer] = await asyncio.gather(task, return_exceptions=True)
        assert now_s() - began_s <= within_s + 1e-6
        if answer is Grant.GRANTED:
            await buy()

    async def buy() -> None:
        buying["now"] += 1
        assert buying["now"] == 1
        takes_s, ending = buys.pop() if buys else (1.0, "bought")
        await asyncio.sleep(takes_s)
        buying["now"] -= 1
        if ending == "bought":
            purchases.bought("f", verdict_of())
        else:
            purchases.failed("f", RefusedError("refused") if ending == "shared" else None)

    await asyncio.gather(*(ask(*follower) for follower in followers))
    assert not purchases._under_way
