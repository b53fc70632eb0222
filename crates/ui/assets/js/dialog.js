// A link to a confirmation page shows that page's question in a dialog here. Whatever fails, the link still works.
(() => {
  "use strict";
  document.addEventListener("click", async (event) => {
    const link = event.target.closest?.("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    let question = null;
    try {
      const answer = await fetch(link.href, { credentials: "same-origin", headers: { accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        question = page.querySelector("[data-confirm]");
      }
    } catch {
      // The page itself will say what is wrong.
    }
    if (!question) {
      location.assign(link.href);
      return;
    }
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-label", question.querySelector("h2")?.textContent ?? "Confirm");
    dialog.append(document.adoptNode(question));
    dialog.addEventListener("close", () => {
      dialog.remove();
      link.focus();
    });
    dialog.querySelector("[data-cancel]")?.addEventListener("click", (cancel) => {
      cancel.preventDefault();
      dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    // The way out has the focus: Enter must not destroy anything by habit.
    dialog.querySelector("[data-cancel]")?.focus();
  });
})();
