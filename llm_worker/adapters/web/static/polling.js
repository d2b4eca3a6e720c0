// Asks the worker again and again, for as long as somebody looks.

const EVERY_MS = 2_000;
const AT_MOST_MS = 10_000;
const TIMEOUT_MS = 5_000;

/**
 * Ask `url` at once and then every 2 s, up to 10 s apart while it fails; not while the tab is
 * hidden. One request runs at a time, for 5 s at most.
 *
 * Calls `onState` with each answer, or `onTrouble` with what went wrong in words and the
 * milliseconds until it is tried again. Gives functions that stop and resume it.
 */
export function follow(url, { onState, onTrouble }) {
  let wait_ms = EVERY_MS;
  let timer;
  let isStopped = false;
  let isAsking = false;

  async function ask() {
    clearTimeout(timer);
    if (isAsking || isStopped || document.hidden) return;
    isAsking = true;
    try {
      const state = await fetchState(url);
      wait_ms = EVERY_MS;
      if (!isStopped) onState(state);
    } catch (error) {
      wait_ms = Math.min(wait_ms * 2, AT_MOST_MS);
      if (!isStopped) onTrouble(error.message, wait_ms);
    } finally {
      isAsking = false;
      timer = setTimeout(ask, wait_ms);
    }
  }

  document.addEventListener("visibilitychange", ask);
  ask();
  return {
    stop() { isStopped = true; },
    resume() { isStopped = false; ask(); },
  };
}

async function fetchState(url) {
  const answer = await reach(url);
  if (!answer.ok) throw new Error(`the worker answered with HTTP status ${answer.status}`);
  let state = null;
  try {
    state = JSON.parse(answer.text);
  } catch { /* told below */ }
  if (typeof state !== "object" || state === null || Array.isArray(state)) {
    throw new Error("the answer is not what this page knows: is a proxy in the way?");
  }
  return state;
}

async function reach(url) {
  const giving_up = new AbortController();
  const timer = setTimeout(() => giving_up.abort(), TIMEOUT_MS);
  try {
    const answer = await fetch(url, { cache: "no-store", signal: giving_up.signal });
    return { ok: answer.ok, status: answer.status, text: await answer.text() };
  } catch {
    throw new Error(giving_up.signal.aborted
      ? `the worker did not answer within ${TIMEOUT_MS / 1000} seconds`
      : "the worker cannot be reached");
  } finally {
    clearTimeout(timer);
  }
}
