// Presses buttons without leaving the page, and renews what is set and what happened. Without this the page works too.
(() => {
  const state = document.getElementById("state");
  const said = document.getElementById("said");
  if (!state || !said) return;
  const pause = 1500;
  let asking = null;

  const say = (text, failed) => {
    said.textContent = text;
    said.classList.toggle("failed", Boolean(failed));
  };

  // Nothing moves under the pointer or the keyboard: where a Clear button has the focus, the next one gets it again.
  const show = (html) => {
    const open = [...state.querySelectorAll("details[open]")].map((it) => it.dataset.keep);
    const focused = state.contains(document.activeElement) ? [...state.querySelectorAll("button, summary")].indexOf(document.activeElement) : -1;
    state.innerHTML = html;
    for (const it of state.querySelectorAll("details")) it.open = open.includes(it.dataset.keep);
    if (focused >= 0) {
      const all = state.querySelectorAll("button, summary");
      all[Math.min(focused, all.length - 1)]?.focus({ preventScroll: true });
    }
  };

  const renew = async () => {
    try {
      const answer = await fetch("/_sim/state");
      if (!answer.ok) throw new Error(String(answer.status));
      show(await answer.text());
      if (said.dataset.gone) { say(""); delete said.dataset.gone; }
    } catch {
      say("The simulator does not answer.", true);
      said.dataset.gone = "yes";
    }
  };

  const tick = async () => {
    if (!document.hidden) await (asking = renew());
    setTimeout(tick, pause);
  };
  setTimeout(tick, pause);

  document.addEventListener("submit", async (event) => {
    const { target: form, submitter } = event;
    if (!submitter) return;
    event.preventDefault();
    const label = submitter.firstChild.textContent.trim();
    submitter.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", redirect: "manual", body: new URLSearchParams(new FormData(form, submitter)) });
      const done = answer.ok || answer.type === "opaqueredirect";
      const why = done ? "" : new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".notice");
      say(done ? `Done: ${label}` : (why?.textContent ?? `“${label}” did not work.`), !done);
    } catch {
      say("The simulator does not answer.", true);
    }
    submitter.removeAttribute("aria-busy");
    await asking;
    await renew();
  });
})();
