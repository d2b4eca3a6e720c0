// What several sections are built from.

import { h } from "./dom.js";
import { age_s, clock, duration, isText, UNKNOWN } from "./words.js";

/** Each kind has a shape of its own: it is told apart without its colour. */
const SHAPES = {
  good: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM6.9 11.4 3.7 8.2l1.2-1.2 2 2 4.2-4.2 1.2 1.2Z",
  warning: "M8 1 0.5 15h15ZM7.2 6h1.6v4.5H7.2Zm0 5.6h1.6v1.6H7.2Z",
  bad: "M5 1h6l4 4v6l-4 4H5l-4-4V5Zm.9 3.6L4.6 5.9 6.7 8l-2.1 2.1 1.3 1.3L8 9.3l2.1 2.1 1.3-1.3"
    + "L9.3 8l2.1-2.1-1.3-1.3L8 6.7Z",
  off: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2a5 5 0 1 1 0 10A5 5 0 0 1 8 3Z",
};

export function icon(kind) {
  const picture = { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" };
  return h("svg", picture, h("path", { d: SHAPES[kind], "fill-rule": "evenodd" }));
}

export function badge(kind, words) {
  return h("span", { class: `badge ${kind}` }, icon(kind), ` ${words}`);
}

/** "3 minutes ago (03:12:44)" */
export function moment(iso, now_ms, otherwise = UNKNOWN) {
  const seconds = age_s(iso, now_ms);
  if (seconds === null) return otherwise;
  const words = seconds < 2 ? "just now" : `${duration(seconds)} ago`;
  return h("time", { datetime: iso }, `${words} (${clock(iso, now_ms)})`);
}

/** "since 03:12:44 (3 minutes)" */
export function since(iso, now_ms) {
  const seconds = age_s(iso, now_ms);
  if (seconds === null) return "since an unknown time";
  return ["since ", h("time", { datetime: iso }, clock(iso, now_ms)), ` (${duration(seconds)})`];
}

/** Terms and what they are; a pair that is null is left out. */
export function facts(pairs, attributes = {}) {
  const rows = pairs.filter(Boolean).map(([term, ...description]) =>
    h("div", { key: term }, h("dt", null, term), h("dd", null, description)));
  return h("dl", { class: "facts", ...attributes }, rows);
}

/**
 * A table that becomes a list of cards where it is narrow. The roles are said although the tags
 * imply them: browsers forget a table's meaning with its `display`.
 */
export function table(caption, columns, rows) {
  const head = columns.map((name) =>
    h("th", { key: name, role: "columnheader", scope: "col" }, name));
  const body = rows.map(({ key, cells }) =>
    h("tr", { key, role: "row" }, cells.map((cell, index) => index === 0
      ? h("th", { role: "rowheader", scope: "row", "data-label": columns[0] }, h("div", null, cell))
      : h("td", { role: "cell", "data-label": columns[index] }, h("div", null, cell)))));
  return h("table", { role: "table" },
    h("caption", null, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    h("tbody", { role: "rowgroup" }, body));
}

/** How full something is. For the eye alone: the same stands beside it in words. */
export function bar(share, kind = "good") {
  const filled = Math.min(Math.max(share, 0), 1) * 100;
  return h("svg", { class: `bar ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none",
    "aria-hidden": "true" },
  h("rect", { class: "whole", width: 100, height: 6 }),
  h("rect", { class: "part", width: filled.toFixed(1), height: 6 }));
}

/** An id that a button copies. */
export function copyable(id, what) {
  if (!isText(id)) return UNKNOWN;
  return [
    h("code", { class: "id" }, id),
    " ",
    h("button", { type: "button", class: "copy", "data-copy": id, "aria-label": `Copy ${what} ${id}` },
      "Copy"),
  ];
}
