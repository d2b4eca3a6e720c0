// Each provider: may it be called, how well does it answer, what does it cost.

import { h } from "./dom.js";
import { badge, bar, facts, moment, since } from "./parts.js";
import {
  amount, count, duration, isNumber, isText, list, money, number, percent, record, textOr,
} from "./words.js";

const BREAKERS = new Map([
  ["closed", ["good", "Breaker closed"]],
  ["half_open", ["warning", "Breaker half open: it is being tried"]],
  ["open", ["bad", "Breaker open: it is left alone"]],
]);

export function providersView(state, now_ms) {
  if (!Array.isArray(state.providers)) return [h("p", { class: "empty" }, "Providers: unknown.")];
  const providers = state.providers.map(record);
  if (providers.length === 0) return [nobody("No provider is configured.")];
  return [
    !providers.some(isUsable) && nobody("No provider can be called."),
    h("div", { class: "grid" }, providers.map((provider) => card(provider, now_ms))),
  ];
}

function nobody(what) {
  return h("p", { class: "empty", key: "nobody" }, badge("bad", what), " Nothing can be bought. "
    + "Set the key of one, such as ANTHROPIC_API_KEY or OPENAI_API_KEY, or LLM_WORKER_USE_MOCK_LLM"
    + "=true to try it out, and restart the worker. docs/providers.md has the rest.");
}

const isUsable = (provider) => provider.enabled !== false && provider.configured !== false;

/** Kind and words of whether a provider may be called. */
export function callable(provider) {
  if (provider.enabled === false) return ["off", "Disabled"];
  if (provider.configured === false) return ["warning", "Not configured"];
  return BREAKERS.get(provider.breaker) ?? ["off", "Breaker unknown"];
}

function card(provider, now_ms) {
  const name = textOr(provider.name);
  return h("article", { class: "card", key: name, "aria-label": name },
    h("h3", null, name),
    h("p", null, badge(...callable(provider))),
    breakers(list(provider.breakers).map(record), now_ms),
    isText(provider.remedy) && h("p", { key: "remedy" }, `To use it: ${provider.remedy}`),
    facts([...(isUsable(provider) ? figures(provider, now_ms) : []),
      ...cost(provider)]));
}

function breakers(all, now_ms) {
  return all.length > 0 && h("ul", { class: "reasons", key: "breakers", "aria-label": "Breakers" },
    all.map((breaker) => h("li", { key: textOr(breaker.model) },
      `${textOr(breaker.model)}: ${textOr(breaker.state).replace("_", " ")} `,
      since(breaker.since, now_ms))));
}

function figures(provider, now_ms) {
  return [
    ["Default model", textOr(provider.default_model)],
    ["Success rate", success(provider)],
    ["Response time", responseTime(provider)],
    ["Calls in flight", inFlight(provider)],
    ["Requests a minute", limit(provider.requests_left, provider.requests_per_minute)],
    ["Tokens a minute", limit(provider.tokens_left, provider.tokens_per_minute)],
    provider.paused_s > 0
      && ["Asked to pause", badge("warning", `for another ${duration(provider.paused_s)}`)],
    ["Last success", moment(provider.last_success, now_ms, "none yet")],
    ["Last failure", moment(provider.last_failure, now_ms, "none yet")],
    isText(provider.last_error) && ["Last error", provider.last_error],
  ];
}

function success(provider) {
  if (provider.attempts === 0) return "no calls yet";
  const of = `${percent(provider.success_rate)} of ${count(provider.attempts, "attempt")}`;
  return provider.failures > 0 ? `${of}, ${number(provider.failures)} failed` : of;
}

function responseTime({ p50_response_ms: p50, p95_response_ms: p95 }) {
  if (!isNumber(p50) && !isNumber(p95)) return "unknown";
  return `p50 ${number(p50)} ms, p95 ${number(p95)} ms`;
}

function inFlight({ in_flight, allowed, max_in_flight, waiting }) {
  const words = [`${number(in_flight)} of ${number(allowed)}`];
  if (isNumber(allowed) && allowed < max_in_flight) {
    words.push(`(lowered from ${number(max_in_flight)})`);
  }
  if (waiting > 0) words.push(`and ${number(waiting)} waiting`);
  const isKnown = isNumber(in_flight) && allowed > 0;
  return [words.join(" "), isKnown && bar(in_flight / allowed, waiting > 0 ? "warning" : "good")];
}

function limit(left, a_minute) {
  if (!isNumber(a_minute)) return "no limit";
  if (!isNumber(left)) return `at most ${number(a_minute)}`;
  const used = Math.max(a_minute - left, 0);
  return [`${number(used)} of ${number(a_minute)} used`,
    left < 0 && `, ${number(-left)} waiting`,
    a_minute > 0 && bar(used / a_minute, left <= 0 ? "warning" : "good")];
}

function cost(provider) {
  const unknown = provider.unknown_costs_today;
  const wasAsked = amount(provider.cost_today_usd) > 0 || unknown > 0;
  if (!isUsable(provider) && !wasAsked) return [];
  return [["Cost today", [money(provider.cost_today_usd),
    unknown > 0 && `, and ${count(unknown, "attempt")} of unknown cost`]]];
}
