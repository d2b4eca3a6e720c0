// Kafka, the cache and the budget.

import { h } from "./dom.js";
import { badge, bar, facts } from "./parts.js";
import {
  amount, count, duration, isNumber, money, number, percent, record, size, textOr,
} from "./words.js";

const SILENT_S = 30;
const MODES = new Map([
  ["redis", "Redis, shared by all workers"], ["local", "this worker's memory"],
]);

export function storesView(state) {
  return [kafka(state), cache(record(state.cache))];
}

function kafka(state) {
  const now = record(state.kafka);
  return h("article", { class: "card", key: "kafka", "aria-label": "Kafka" },
    h("h3", null, "Kafka"),
    h("p", null, badge(...broker(now.last_contact_s))),
    now.publisher_available === false && h("p", { key: "publisher" },
      badge("bad", "Publishing fails: finished results are held and sent again")),
    now.rebalancing === true && h("p", { key: "rebalancing" },
      badge("warning", "The consumer group is rebalancing")),
    now.draining === true && h("p", { key: "draining" },
      badge("warning", "Draining: the worker is stopping")),
    facts([
      ["Last word from a broker", lastContact(now.last_contact_s)],
      ["Partitions of this worker", number(now.assigned_partitions)],
    ]));
}

function broker(last_contact_s) {
  if (last_contact_s === null) return ["bad", "No broker has answered yet"];
  if (!isNumber(last_contact_s)) return ["off", "Broker unknown"];
  return last_contact_s >= SILENT_S
    ? ["bad", "No broker answers: nothing is taken, what is done is held"]
    : ["good", "The broker answers"];
}

function lastContact(last_contact_s) {
  return last_contact_s === null ? "never" : isNumber(last_contact_s)
    ? `${duration(last_contact_s)} ago` : "unknown";
}

function cache(now) {
  return h("article", { class: "card", key: "cache", "aria-label": "Cache" },
    h("h3", null, "Cache"),
    h("p", null, badge(...redis(now))),
    facts([
      ["Mode", MODES.get(now.mode) ?? "unknown"],
      now.redis_failures > 0 && ["Redis failures in a row", number(now.redis_failures)],
      ["Hit rate", now.lookups === 0 ? "nothing looked up yet"
        : [`${percent(now.hit_rate)} of ${count(now.lookups, "lookup")}`,
          isNumber(now.hit_rate) && bar(now.hit_rate)]],
      ["Saved", money(now.savings_usd)],
      ["In this worker's memory",
        `${count(now.local_verdicts, "verdict")}, ${size(now.local_bytes)}`],
    ]));
}

function redis({ mode, redis_available: isAvailable }) {
  if (mode === "local") return ["good", "No Redis is set: each worker remembers for itself"];
  if (isAvailable === true) return ["good", "Redis answers"];
  if (isAvailable === false) {
    return ["warning", "Redis does not answer: this worker remembers for itself until it does"];
  }
  return ["off", "Redis unknown"];
}

export function budgetView(state) {
  const budget = record(state.budget);
  if (budget.known !== true) {
    return [h("p", { class: "empty" }, badge("off", "Not known yet"),
      " The totals are read from Kafka; what is spent shows here once they are.")];
  }
  const isHard = budget.hard === true;
  return [
    h("div", { class: "grid" },
      period("Today", record(budget.today), isHard), period("This month", record(budget.month), isHard)),
    h("p", { class: "quiet" }, isHard
      ? `Limits are hard: calls that would exceed them are refused. ${money(budget.reserved_usd)} `
        + "is set aside for running calls."
      : "Limits are soft: they alert, and refuse nothing."),
  ];
}

function period(title, spend, isHard) {
  const unknown = spend.unknown_costs;
  return h("article", { class: "card", key: title, "aria-label": `Budget: ${title}` },
    h("h3", null, title, spend.period && h("span", { class: "quiet" }, ` ${spend.period}, UTC`)),
    against(amount(spend.cost_usd), amount(spend.limit_usd), isHard),
    facts([
      ["Requests", number(spend.requests)],
      ["Failed", number(spend.failures)],
      ["Of unknown cost", unknown > 0
        ? badge("warning", `${count(unknown, "attempt")}, not in the sum`) : number(unknown)],
      ["Saved by the cache", money(spend.savings_usd)],
    ]));
}

function against(cost_usd, limit_usd, isHard) {
  const spent = h("span", { class: "figure" }, money(cost_usd));
  if (limit_usd === null) return h("p", null, spent, " no limit is set");
  if (cost_usd === null) return h("p", null, spent, ` of ${money(limit_usd)}`);
  const share = limit_usd > 0 ? cost_usd / limit_usd : 1;
  const [kind, words] = judged(share, isHard);
  return [
    h("p", { key: "spent" }, spent, ` of ${money(limit_usd)}, ${percent(share)}`),
    bar(share, kind),
    h("p", { key: "judged" }, badge(kind, words)),
  ];
}

function judged(share, isHard) {
  if (share >= 1) {
    return ["bad", isHard ? "Spent: calls are refused" : "Spent: calls go on, the limit is soft"];
  }
  return share >= 0.8 ? ["warning", "Nearly spent"] : ["good", "Within the limit"];
}
