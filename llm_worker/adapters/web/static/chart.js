// A figure over the last hour, drawn as plain SVG.

import { h } from "./dom.js";
import { isNumber } from "./words.js";

const WIDTH = 280;
const HEIGHT = 110;
const LEFT = 44;
const RIGHT = WIDTH - 8;
const TOP = 12;
const BOTTOM = HEIGHT - 24;
const HOUR_S = 3600;

/**
 * Draw `values`: oldest first, one each `step_s` seconds, the last one now, null unknown.
 * `words` says a value in words, `brief` shortly for the axis.
 */
export function chart({ title, values, step_s, words, brief }) {
  const known = values.filter(isNumber);
  const summary = inWords(values, known, words);
  const end = axisEnd(known);
  return h("figure", { class: "card chart", key: title },
    h("figcaption", null, h("h3", null, title), h("p", { class: "quiet" }, summary)),
    h("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": `${title} in the last hour: ${summary}`,
    }, axes(end, brief), h("path", { class: "line", d: line(values, step_s, end) })));
}

function inWords(values, known, words) {
  if (known.length === 0) return "No figures yet";
  const now = values.at(-1);
  return `Now ${isNumber(now) ? words(now) : "unknown"}, lowest ${words(Math.min(...known))}, `
    + `highest ${words(Math.max(...known))}`;
}

/** 1, 2 or 5 times a power of ten, so that the axis can be read. */
function axisEnd(known) {
  const highest = Math.max(0, ...known);
  if (highest === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 5].map((times) => times * power).find((end) => end >= highest) ?? 10 * power;
}

function axes(end, brief) {
  const heights = [[BOTTOM, 0], [(TOP + BOTTOM) / 2, end / 2], [TOP, end]];
  const times = [[LEFT, "start", "1 hour ago"], [(LEFT + RIGHT) / 2, "middle", "30 minutes"],
    [RIGHT, "end", "now"]];
  return [
    heights.map(([y, value]) => [
      h("line", { class: "rule", x1: LEFT, x2: RIGHT, y1: y, y2: y }),
      h("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, brief(value)),
    ]),
    times.map(([x, anchor, words]) =>
      h("text", { x, y: HEIGHT - 6, "text-anchor": anchor }, words)),
  ];
}

/** A gap where nothing is known, a dot where a value stands alone. */
function line(values, step_s, end) {
  const xPerStep = (RIGHT - LEFT) * step_s / HOUR_S;
  let isOpen = false;
  return values.map((value, index) => {
    const isKnown = isNumber(value);
    const x = RIGHT - (values.length - 1 - index) * xPerStep;
    const at = `${x.toFixed(1)} ${(BOTTOM - (BOTTOM - TOP) * Math.max(value, 0) / end).toFixed(1)}`;
    const step = isKnown && x >= LEFT - 1 ? (isOpen ? `L${at}` : `M${at}h0`) : "";
    isOpen = step !== "";
    return step;
  }).join("");
}
