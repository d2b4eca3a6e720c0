// The state in words, what flows, and the last hour.

import { chart } from "./chart.js";
import { h } from "./dom.js";
import { badge, bar, facts, icon, since, table } from "./parts.js";
import {
  amount, compact, duration, isNumber, isText, list, money, number, record, textOr,
} from "./words.js";

const STATES = new Map([
  ["healthy", ["good", "Healthy"]],
  ["degraded", ["warning", "Degraded"]],
  ["unhealthy", ["bad", "Unhealthy"]],
]);

/** Kind and word of the overall state. */
export function overall(state) {
  return STATES.get(record(state.health).status) ?? ["off", "Unknown"];
}

export function serviceView(state, now_ms) {
  const service = record(state.service);
  return [facts([
    ["Version", textOr(service.version)],
    ["Environment", textOr(service.environment)],
    ["Up", since(service.started_at, now_ms)],
    ["Worker", textOr(service.worker_id)],
  ], { class: "facts inline" })];
}

export function stateView(state, now_ms, isStale) {
  const health = record(state.health);
  const [kind, word] = overall(state);
  return [h("div", { class: `card verdict ${kind}` },
    h("p", { class: "big" }, icon(kind), ` ${isStale ? "Last known: " : ""}${word}`),
    h("p", null, h("span", { class: "since" }, since(health.since, now_ms)), ". ",
      flowInWords(state)),
    reasons("Why", health.warnings),
    h("p", { key: "ready" }, readiness(health)),
    reasons("Why not", health.not_ready_because),
    headlines(state))];
}

function readiness(health) {
  if (health.ready === true) return badge("good", "Ready: takes requests");
  if (health.ready === false) return badge("warning", "Not ready: takes no requests");
  return badge("off", "Readiness unknown");
}

function reasons(what, all) {
  const words = list(all).filter(isText);
  return words.length > 0 && h("ul", { class: "reasons", key: what, "aria-label": what },
    words.map((reason) => h("li", { key: reason }, reason)));
}

/** Whether verdicts flow, in one sentence. */
function flowInWords(state) {
  const flow = record(state.flow);
  const { waiting } = backlog(flow);
  if (flow.verdicts_per_minute > 0) return "Verdicts flow.";
  if (waiting > 0 || flow.in_hand > 0) {
    return flow.verdicts_per_minute === 0
      ? "Requests wait, and no verdict came in the last minute."
      : "Requests wait.";
  }
  if (waiting === 0 && flow.in_hand === 0) return "No traffic: nothing is asked and nothing waits.";
  return "Whether verdicts flow is not known yet.";
}

/** What waits on all topics, and until when; null where that is unknown. */
function backlog(flow) {
  const lags = list(flow.lag).map(record);
  const known = lags.length > 0 && lags.every((lag) => isNumber(lag.records));
  const drains = lags.map((lag) => lag.drains_in_s);
  return {
    waiting: known ? lags.reduce((sum, lag) => sum + lag.records, 0) : null,
    drains_in_s: drains.every(isNumber) ? Math.max(0, ...drains) : null,
  };
}

function headlines(state) {
  const flow = record(state.flow);
  const { waiting, drains_in_s } = backlog(flow);
  const today = record(record(state.budget).today);
  return h("dl", { class: "headlines", key: "headlines" },
    headline("Verdicts a minute", number(flow.verdicts_per_minute, 1)),
    headline("Failures a minute", number(flow.failures_per_minute, 1)),
    headline("Requests waiting", number(waiting), waiting > 0 && drainInWords(drains_in_s)),
    headline("Cost today", money(today.cost_usd), ofLimit(today)));
}

function headline(term, figure, remark) {
  return h("div", { key: term }, h("dt", null, term),
    h("dd", null, h("span", { class: "figure" }, figure),
      remark && h("span", { class: "quiet", key: "remark" }, ` ${remark}`)));
}

function ofLimit(period) {
  return amount(period.limit_usd) === null ? false : `of ${money(period.limit_usd)}`;
}

function drainInWords(drains_in_s) {
  if (!isNumber(drains_in_s)) return "not shrinking, or not known yet";
  return `gone in about ${duration(drains_in_s)}`;
}

export function flowView(state) {
  const flow = record(state.flow);
  return [
    h("div", { class: "card" }, facts([
      ["Calls running", share(flow.running_calls, flow.max_in_flight)],
      ["Requests in hand", share(flow.in_hand, flow.window)],
      ["Oldest in hand", flow.in_hand === 0 ? "none" : duration(flow.oldest_s)],
      ["Answered again without buying", number(flow.duplicates_answered)],
    ])),
    lagTable(list(flow.lag).map(record)),
  ];
}

function share(part, whole) {
  const words = `${number(part)} of ${number(whole)}`;
  if (!isNumber(part) || !isNumber(whole) || whole <= 0) return words;
  return [words, bar(part / whole, part >= whole ? "warning" : "good")];
}

function lagTable(lags) {
  if (lags.length === 0) {
    return h("p", { key: "no lag", class: "empty" },
      "What waits on the request topics is not known: this worker has no partition.");
  }
  return table("What waits on each request topic, in this worker's partitions",
    ["Topic", "Lane", "Partitions", "Waiting", "Trend", "Gone in"],
    lags.map((lag) => ({
      key: textOr(lag.topic),
      cells: [
        h("code", null, textOr(lag.topic)), textOr(lag.lane), number(lag.partitions),
        number(lag.records), trend(lag.per_minute), drain(lag),
      ],
    })));
}

function trend(per_minute) {
  if (!isNumber(per_minute)) return "unknown";
  const step = number(Math.abs(per_minute), 1);
  if (step === number(0)) return "steady";
  return per_minute < 0 ? `▼ falls by ${step} a minute` : `▲ grows by ${step} a minute`;
}

function drain(lag) {
  if (lag.records === 0) return "nothing waits";
  if (isNumber(lag.drains_in_s)) return `about ${duration(lag.drains_in_s)}`;
  return isNumber(lag.per_minute) ? "does not shrink" : "unknown";
}

export function hourView(state) {
  const history = record(state.history);
  const step_s = isNumber(history.step_s) && history.step_s > 0 ? history.step_s : 15;
  const aMinute = (values) =>
    list(values).map((value) => (isNumber(value) ? value * 60 / step_s : null));
  const plain = { words: (value) => number(value, 1), brief: compact };
  return [
    { title: "Verdicts a minute", values: aMinute(history.verdicts), ...plain },
    { title: "Failures a minute", values: aMinute(history.failures), ...plain },
    { title: "Requests waiting", values: list(history.lag), ...plain },
    { title: "Calls running", values: list(history.running_calls), ...plain },
    { title: "Cost a minute", values: aMinute(history.cost_usd), words: money, brief: money },
  ].map((figure) => chart({ ...figure, step_s }));
}
