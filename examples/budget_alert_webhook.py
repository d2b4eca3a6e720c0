"""Post every budget alert to a webhook, and lose none while the webhook is down.

    export WEBHOOK_URL=https://hooks.slack.com/services/...
    python examples/budget_alert_webhook.py

An alert is done once the webhook has taken it and the next is asked for. Until then it is tried
again, and after a crash it comes again: at least once, so that a chat may show one twice. The body
is what Slack takes; the header Idempotency-Key lets others drop what they have already.
"""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING, Any

import click
import httpx
from tenacity import retry, retry_if_exception_type, wait_exponential_jitter

from llm_worker.client import ClientError, EventReader
from llm_worker.contracts.events import LLMCostAlertV1

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from llm_worker.contracts.envelope import EventEnvelope

MISTAKES = frozenset(range(400, 500)) - {408, 425, 429}


class NotTakenError(Exception):
    """The webhook has not taken it this time."""


async def forward(kafka: str, group: str, url: str, idle_s: float | None) -> None:
    """Post alerts as they come, each before the next is asked for."""
    async with (
        httpx.AsyncClient(timeout=10) as http,
        EventReader(kafka, [LLMCostAlertV1], group=group) as events,
    ):
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    event = await anext(events)
            except TimeoutError:
                return
            await post(http, url, event)
            print(f"posted {event.event_id}: {in_words(event.data)}", flush=True)


def _tell(state: RetryCallState) -> None:
    print(f"{state.outcome and state.outcome.exception()}; trying again", flush=True)


@retry(
    retry=retry_if_exception_type(NotTakenError),
    wait=wait_exponential_jitter(initial=0.2, max=60),
    before_sleep=_tell,
)
async def post(http: httpx.AsyncClient, url: str, event: EventEnvelope[LLMCostAlertV1]) -> None:
    """Try until it is taken, however long that is. The address is a secret, and in no message."""
    headers = {"Idempotency-Key": str(event.event_id)}
    try:
        answer = await http.post(url, json=message(event.data), headers=headers)
    except httpx.TransportError as error:
        raise NotTakenError(f"the webhook cannot be reached ({type(error).__name__})") from None
    if answer.status_code in MISTAKES:
        # Another try would not help. It is not done: after the next start it comes again.
        raise SystemExit(f"the webhook refuses, HTTP {answer.status_code}: check WEBHOOK_URL")
    if not answer.is_success:
        raise NotTakenError(f"the webhook answers HTTP {answer.status_code}")


def message(alert: LLMCostAlertV1) -> dict[str, Any]:
    """Write it as Slack wants it."""
    fields = {
        "Alert": alert.alert_type,
        "For": scope_of(alert),
        "Spent": f"USD {alert.current_cost:.2f}",
        "Threshold": f"USD {alert.threshold:.2f}",
        "Period": alert.period,
    }
    shown = [{"type": "mrkdwn", "text": f"*{k}*\n{escape(v)}"} for k, v in fields.items()]
    text = escape(in_words(alert))
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}, "fields": shown}
    return {"text": text, "blocks": [section]}


def in_words(alert: LLMCostAlertV1) -> str:
    """Say it in a line."""
    share = alert.metadata.get("share")
    reached = "a spike" if share is None else f"{float(share):.0%} of the limit"
    return (
        f"LLM spend of {scope_of(alert)} in {alert.period}: USD {alert.current_cost:.2f}, {reached}"
    )


def scope_of(alert: LLMCostAlertV1) -> str:
    """Say whose spend it is."""
    return alert.metadata.get("organization_id") or alert.provider or "all together"


@click.command()
@click.option("--kafka", default="127.0.0.1:9092", show_default=True, help="host:port,host:port")
@click.option("--group", default="budget-alert-webhook", show_default=True, help="Consumer group.")
@click.option("--url", envvar="WEBHOOK_URL", required=True, help="Better given as WEBHOOK_URL.")
@click.option("--until-idle", type=float, help="Seconds without an alert after which to end.")
def main(*, kafka: str, group: str, url: str, until_idle: float | None) -> None:
    """Post budget alerts to a webhook until Ctrl-C."""
    try:
        asyncio.run(forward(kafka, group, url, until_idle))
    except ClientError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        print("stopped")


if __name__ == "__main__":
    main()
