// Numbers, money and times in words. What is missing or of another type is "unknown".

export const UNKNOWN = "unknown";

const MINUTES = [["day", 1440], ["hour", 60], ["minute", 1]];
const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const timeZone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
export const isText = (value) => typeof value === "string" && value !== "";
export const textOr = (value, otherwise = UNKNOWN) => (isText(value) ? value : otherwise);
export const list = (value) => (Array.isArray(value) ? value : []);

export function record(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

export function number(value, digits = 0) {
  if (!isNumber(value)) return UNKNOWN;
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: digits }).format(value);
}

/** For an axis: "12K". */
export function compact(value) {
  const style = { notation: "compact", maximumFractionDigits: 2 };
  return new Intl.NumberFormat(undefined, style).format(value);
}

/** "1 record", "34 records"; "unknown records" is never said. */
export function count(value, noun) {
  if (!isNumber(value)) return UNKNOWN;
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function percent(share) {
  if (!isNumber(share)) return UNKNOWN;
  const digits = share > 0.99 && share < 1 ? 2 : 1;
  const style = { style: "percent", maximumFractionDigits: digits };
  return new Intl.NumberFormat(undefined, style).format(share);
}

/** The amount of a decimal text or a number; null where it is neither. */
export function amount(value) {
  const parsed = isText(value) ? Number(value) : value;
  return isNumber(parsed) ? parsed : null;
}

/** US dollars; small amounts keep as many digits as it takes not to look like nothing. */
export function money(value) {
  const usd = amount(value);
  if (usd === null) return UNKNOWN;
  const small = usd !== 0 && Math.abs(usd) < 0.01;
  return new Intl.NumberFormat(undefined, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: 2,
    maximumFractionDigits: small ? 8 : 4,
  }).format(usd);
}

export function size(bytes) {
  if (!isNumber(bytes)) return UNKNOWN;
  if (bytes < 1000) return count(bytes, "byte");
  return bytes < 1e6 ? `${number(bytes / 1e3)} kB` : `${number(bytes / 1e6, 1)} MB`;
}

/** "1.2 seconds", "80 seconds", "3 minutes", "2 hours 50 minutes", "3 days 4 hours" */
export function duration(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  if (seconds < 90) {
    const digits = seconds < 10 ? 1 : 0;
    const isOne = Math.abs(seconds - 1) < 0.05;
    return `${number(Math.max(seconds, 0), digits)} second${isOne ? "" : "s"}`;
  }
  let left = Math.round(seconds / 60);
  const first = MINUTES.findIndex(([, each]) => left >= each);
  const words = [];
  for (const [unit, each] of MINUTES.slice(first, first + 2)) {
    const whole = Math.floor(left / each);
    left -= whole * each;
    if (whole > 0) words.push(count(whole, unit));
  }
  return words.join(" ");
}

/** The time in the browser's zone, with the date unless it is of the same day as `now_ms`. */
export function clock(iso, now_ms) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return UNKNOWN;
  const isToday = time.toDateString() === new Date(now_ms).toDateString();
  return (isToday ? clockTime : dateAndTime).format(time);
}

/** How long ago; null where unknown. Clocks differ: `now_ms` is by that of the worker. */
export function age_s(iso, now_ms) {
  const time_ms = Date.parse(iso);
  return Number.isNaN(time_ms) ? null : Math.max(Math.round((now_ms - time_ms) / 1000), 0);
}
