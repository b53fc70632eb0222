// Comforts that a page does without where scripts are off: `/` for search, copy buttons, times that stay true.
(() => {
  "use strict";
  const root = document.documentElement;
  root.dataset.scripts = "";

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const search = document.querySelector("[data-search]");
    if (typing || !search || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  // Says something to screen readers without moving anything.
  const voice = document.createElement("p");
  voice.className = "sr";
  voice.setAttribute("role", "status");
  document.body.append(voice);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.copied = "";
      voice.textContent = "Copied";
    } catch {
      // Without a secure connection browsers refuse: select the text, so that the person's own copy key works.
      const code = button.parentElement.querySelector("code");
      if (code) getSelection().selectAllChildren(code);
      voice.textContent = "Selected; press the copy key";
    }
    setTimeout(() => {
      delete button.dataset.copied;
      voice.textContent = "";
    }, 1600);
  });

  // The same words as the server's (words.rs, `relative`); from 30 days on the server's date stays.
  const relative = (seconds, now) => {
    const past = seconds <= now;
    const away = Math.abs(now - seconds);
    if (away < 3) return "just now";
    const words =
      away < 60 ? `${Math.floor(away)}\u00a0s`
      : away < 3600 ? `${Math.floor(away / 60)}\u00a0min`
      : away < 86400 ? `${Math.floor(away / 3600)}\u00a0h`
      : away < 172800 ? "1\u00a0day"
      : away < 2592000 ? `${Math.floor(away / 86400)}\u00a0days`
      : null;
    return words && (past ? `${words} ago` : `in ${words}`);
  };
  const refresh = () => {
    if (document.hidden) return;
    const now = Math.floor(Date.now() / 1000);
    for (const element of document.querySelectorAll("[data-relative]")) {
      const words = relative(Number(element.dataset.relative), now);
      if (words && element.textContent !== words) element.textContent = words;
    }
  };
  // Only where the machine's clock agrees with the server's: a demo's time may stand elsewhere.
  const served = Number(root.dataset.now);
  if (served && Math.abs(Date.now() / 1000 - served) < 120) setInterval(refresh, 5000);

  // A second press of a button that is still working must not send a form twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent !== undefined) return event.preventDefault();
    form.dataset.sent = "";
    form.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
    }
  });
})();
