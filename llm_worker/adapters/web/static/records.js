// What is listed one by one: failures, workers, settings.

import { h } from "./dom.js";
import { badge, copyable, moment, table } from "./parts.js";
import { count, isNumber, list, record, textOr } from "./words.js";

const AT_ONCE = 5;
const ENDINGS = new Map([["failed", ["bad", "Failed"]], ["rejected", ["warning", "Rejected"]]]);

export function failuresView(state, now_ms) {
  if (!Array.isArray(state.failures)) return [h("p", { class: "empty" }, "Failures: unknown.")];
  const failures = state.failures.map(record);
  if (failures.length === 0) {
    return [h("p", { class: "empty" }, badge("good", "None since this worker started"))];
  }
  const older = failures.slice(AT_ONCE);
  return [
    failureTable("The newest, of this worker since its start", failures.slice(0, AT_ONCE), now_ms),
    older.length > 0 && h("details", { key: "older" },
      h("summary", null, `${count(older.length, "older failure")}`),
      failureTable("Older failures", older, now_ms)),
  ];
}

function failureTable(caption, failures, now_ms) {
  return table(caption, ["When", "What", "Who was asked", "Correlation id", "Request id"],
    failures.map((failure) => ({
      key: textOr(failure.request_id) + textOr(failure.at),
      cells: [
        moment(failure.at, now_ms), ending(failure), target(failure),
        copyable(failure.correlation_id, "correlation id"),
        copyable(failure.request_id, "request id"),
      ],
    })));
}

function ending({ error_code, kind, dead_letter: isDeadLetter }) {
  return [
    h("code", null, textOr(error_code)), " ",
    badge(...(ENDINGS.get(kind) ?? ["off", "Ended"])),
    isDeadLetter === true && ", in the dead letters",
  ];
}

function target({ provider, model, attempts }) {
  if (typeof provider !== "string") return "nobody";
  const name = typeof model === "string" ? `${provider}, ${model}` : provider;
  return `${name}: ${count(attempts, "attempt")}`;
}

export function workersView(state) {
  if (!Array.isArray(state.workers)) {
    return [h("p", { class: "empty" }, badge("off", "Unknown"),
      " The group's coordinator has not told yet who is in it; it does once a broker answers.")];
  }
  const workers = state.workers.map(record);
  if (workers.length === 0) return [h("p", { class: "empty" }, "The group has no member now.")];
  return [table("Members of the consumer group, and what each consumes",
    ["Worker", "Host", "Partitions"],
    workers.map((worker) => ({
      key: textOr(worker.id),
      cells: [
        [h("code", { class: "id" }, textOr(worker.id)),
          worker.is_this === true && h("strong", null, " this worker")],
        textOr(worker.host), partitions(record(worker.partitions)),
      ],
    })))];
}

function partitions(byTopic) {
  const topics = Object.entries(byTopic).map(([topic, numbers]) => [topic, list(numbers)]);
  const total = topics.reduce((sum, [, numbers]) => sum + numbers.length, 0);
  if (total === 0) return "none";
  return h("details", null, h("summary", null, count(total, "partition")),
    h("ul", null, topics.map(([topic, numbers]) =>
      h("li", { key: topic }, h("code", null, topic), `: ${ranges(numbers)}`))));
}

/** "0-2, 5" */
export function ranges(numbers) {
  const spans = [];
  for (const each of [...numbers].filter(isNumber).sort((a, b) => a - b)) {
    const last = spans.at(-1);
    if (last && each === last[1] + 1) last[1] = each;
    else spans.push([each, each]);
  }
  return spans.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(", ");
}

export function settingsView(state, now_ms) {
  if (!Array.isArray(state.settings)) return [h("p", { class: "empty" }, "Settings: unknown.")];
  if (state.settings.length === 0) {
    return [h("p", { class: "empty" }, "None: every setting is at its default.")];
  }
  return [table("What differs, and who set it", ["Setting", "Value", "Set by", "When", "Reason"],
    state.settings.map(record).map((setting) => ({
      key: textOr(setting.name),
      cells: [
        h("code", null, textOr(setting.name)), h("code", null, value(setting.value)), setBy(setting),
        moment(setting.changed_at, now_ms, "at the start"), textOr(setting.reason, "–"),
      ],
    })))];
}

function value(given) {
  return typeof given === "string" ? given : JSON.stringify(given) ?? "unknown";
}

function setBy({ source, changed_by }) {
  if (source === "control") return `${textOr(changed_by)}, for all workers`;
  return source === "environment" ? "this worker's environment" : textOr(source);
}
