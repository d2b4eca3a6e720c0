// The health page: asks for the worker's state and shows it, section by section.

import { h, patch } from "./dom.js";
import { flowView, hourView, overall, serviceView, stateView } from "./overview.js";
import { badge } from "./parts.js";
import { follow } from "./polling.js";
import { callable, providersView } from "./providers.js";
import { failuresView, settingsView, workersView } from "./records.js";
import { budgetView, storesView } from "./stores.js";
import { clock, duration, list, record, textOr, timeZone } from "./words.js";

const SECTIONS = {
  service: serviceView,
  state: stateView,
  flow: flowView,
  hour: hourView,
  providers: providersView,
  budget: budgetView,
  stores: storesView,
  failures: failuresView,
  workers: workersView,
  settings: settingsView,
};

const READY = new Map([[true, "yes"], [false, "no"]]);
const place = (id) => document.getElementById(id);
/** The last answer, and when it came by this page's clock, which never jumps. */
let last = null;
let trouble = null;
let isPaused = false;
let told = {};

/** The worker's clock now: ages are then right although the browser's clock is not. */
function now_ms() {
  const at_ms = Date.parse(last?.state.at);
  return Number.isNaN(at_ms) ? Date.now() : at_ms + performance.now() - last.received_ms;
}

function show() {
  if (last) {
    for (const [id, view] of Object.entries(SECTIONS)) patch(place(id), shown(view));
    for (const section of document.querySelectorAll("section[hidden]")) section.hidden = false;
  } else if (trouble) {
    patch(place("state"), [h("div", { class: "card verdict bad" },
      h("p", { class: "big" }, "No answer from the worker"),
      h("p", null, `The reason: ${trouble.words}. This page goes on trying.`))]);
  }
  patch(place("reach"), reach());
  document.documentElement.classList.toggle("stale", Boolean(trouble && last));
  document.title = `${title()}: llm-worker`;
  announce();
}

/** A section that cannot be shown, of a worker of another version, does not take the others along. */
function shown(view) {
  try {
    return view(last.state, now_ms(), Boolean(trouble));
  } catch (error) {
    return [h("p", { class: "empty" },
      `This part cannot be shown; reload the page, the worker may be of another version. ${error}`)];
  }
}

function title() {
  if (trouble) return "No answer";
  return last ? overall(last.state)[1] : "Asking";
}

function reach() {
  if (isPaused) return [badge("off", "Paused"), ofWhen()];
  if (!trouble) return last ? [badge("good", "Live"), ofWhen()] : [badge("off", "Asking")];
  const for_s = (performance.now() - trouble.since_ms) / 1000;
  return [badge("bad", "No answer"),
    ` since ${clock(trouble.since, Date.now())} (${duration(for_s)}): ${trouble.words}. `
    + `Trying again in ${duration(trouble.wait_ms / 1000)}.`, ofWhen()];
}

function ofWhen() {
  return last && ` What you see is of ${clock(last.at, Date.now())}.`;
}

/** Tell screen readers what has changed, and nothing while nothing has. */
function announce() {
  const states = { "The worker": trouble ? "gives no answer" : "answers" };
  if (last) {
    const health = record(last.state.health);
    states["The state"] = overall(last.state)[1].toLowerCase();
    states["Ready for requests"] = READY.get(health.ready) ?? "unknown";
    for (const provider of list(last.state.providers).map(record)) {
      states[`Provider ${textOr(provider.name)}`] = callable(provider)[1].toLowerCase();
    }
  }
  const changes = Object.entries(states)
    .filter(([name, words]) => name in told && told[name] !== words);
  if (changes.length > 0) say(changes.map(([name, words]) => `${name}: ${words}`).join(". "));
  told = { ...told, ...states };
}

function say(words) {
  place("announcer").textContent = words;
}

const following = follow("api/v1/state", {
  onState(state) {
    last = { state, received_ms: performance.now(), at: new Date().toISOString() };
    trouble = null;
    show();
  },
  onTrouble(words, wait_ms) {
    const since = trouble ?? { since_ms: performance.now(), since: new Date().toISOString() };
    trouble = { ...since, words, wait_ms };
    show();
  },
});

place("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  place("pause").setAttribute("aria-pressed", String(isPaused));
  if (isPaused) following.stop();
  else following.resume();
  show();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say(`Copied ${button.dataset.copy}`);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 2_000);
  } catch { // Without TLS browsers give no clipboard: leave it to the keyboard.
    getSelection().selectAllChildren(button.parentElement.querySelector(".id"));
    say("Selected. Copy it with the keyboard.");
  }
});

patch(place("clock"), [`Times are those of ${timeZone}; days and months of spending are UTC. `
  + "Money is US dollars."]);
