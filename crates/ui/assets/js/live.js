// Live parts: one event stream for the page. Each message is the new inside of one element, put in place only where it
// differs, and never under the pointer, the focus or a selection. A lost stream is said and taken up again by itself.
(() => {
  "use strict";
  const page = document.querySelector("[data-live]");
  if (!page || !("EventSource" in window)) return;
  const line = page.querySelector("[data-live-line]");
  const state = page.querySelector("[data-live-state]");
  const clock = page.querySelector("[data-live-time]");
  const waiting = new Map();
  const heard = new Set();
  const FIRST_WAIT_MS = 1000;
  const LONGEST_WAIT_MS = 30000;
  let wait = FIRST_WAIT_MS;
  let stream = null;
  let timer = 0;
  let pointer = null;

  const say = (kind, words) => {
    if (line) line.dataset.liveLine = kind;
    if (state && state.textContent !== words) state.textContent = words;
  };

  const held = (element) => {
    if (element.contains(document.activeElement)) return true;
    const selection = getSelection();
    if (selection && !selection.isCollapsed && element.contains(selection.anchorNode)) return true;
    // Resting over plain text holds nothing back; being about to press something does.
    const target = pointer && pointer.isConnected && pointer.closest("a, button, input, select, summary, tr.linked, .point");
    return Boolean(target && element.contains(target) && element.matches(":hover"));
  };

  const place = (id, html) => {
    const element = document.getElementById(id);
    if (!element) return waiting.delete(id);
    if (held(element)) return waiting.set(id, html);
    waiting.delete(id);
    const draft = document.createElement("template");
    draft.innerHTML = html;
    // What the person unfolded stays unfolded.
    const open = [...element.querySelectorAll("details")].map((details) => details.open);
    const fresh = [...draft.content.querySelectorAll("details")];
    if (open.length === fresh.length) fresh.forEach((details, index) => { details.open = open[index]; });
    const before = element.cloneNode(false);
    before.append(draft.content.cloneNode(true));
    if (element.innerHTML === before.innerHTML) return;
    element.replaceChildren(draft.content);
    listen();
  };

  // The server's time of day, in the person's zone, carried on by the browser's stopwatch.
  const [hours, minutes, seconds] = (clock?.textContent ?? "0:0:0").split(":").map(Number);
  const served = hours * 3600 + minutes * 60 + seconds;
  const timeOfDay = () => {
    const total = Math.floor(served + performance.now() / 1000) % 86400;
    return [total / 3600, (total / 60) % 60, total % 60].map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
  };

  const received = (id, html) => {
    if (clock) clock.textContent = timeOfDay();
    place(id, html);
  };

  // A stream may also name its messages after the parts and send plain HTML.
  const listen = () => {
    for (const part of document.querySelectorAll("[data-live-part]")) {
      if (!stream || heard.has(part.id)) continue;
      heard.add(part.id);
      stream.addEventListener(part.id, (event) => received(part.id, event.data));
    }
  };

  const connect = () => {
    clearTimeout(timer);
    stream?.close();
    heard.clear();
    stream = new EventSource(page.dataset.live);
    stream.onopen = () => {
      wait = FIRST_WAIT_MS;
      say("open", "Live.");
    };
    stream.onmessage = (event) => {
      try {
        const update = JSON.parse(event.data);
        received(update.id, update.html);
      } catch {
        // A message that is not ours changes nothing.
      }
    };
    stream.onerror = () => {
      stream.close();
      const pause = wait * (0.75 + Math.random() / 2);
      say("lost", `Connection lost; trying again in ${Math.max(1, Math.round(pause / 1000))} s.`);
      timer = setTimeout(connect, pause);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    };
    listen();
  };

  const release = () => {
    for (const [id, html] of [...waiting]) place(id, html);
  };
  document.addEventListener("pointerover", (event) => { pointer = event.target; release(); });
  document.documentElement.addEventListener("pointerleave", () => { pointer = null; release(); });
  document.addEventListener("focusout", () => setTimeout(release));
  document.addEventListener("selectionchange", () => waiting.size > 0 && setTimeout(release, 250));

  // A page that nobody sees needs no stream; coming back takes it up at once.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      stream?.close();
      stream = null;
    } else if (!stream) {
      wait = FIRST_WAIT_MS;
      connect();
    }
  });
  addEventListener("pagehide", () => stream?.close());
  addEventListener("online", connect);
  if (!document.hidden) connect();
})();
