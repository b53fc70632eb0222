// Charts: a period's values on hover, and by arrow keys once the chart has the focus.
(() => {
  "use strict";
  const names = new WeakMap();

  const prepare = (point) => {
    if (names.has(point)) return names.get(point);
    const title = point.querySelector("title");
    const words = title?.textContent ?? "";
    // The browser's own tooltip would stand beside ours; the name stays for screen readers.
    title?.remove();
    point.setAttribute("aria-label", words.replaceAll("\n", ", "));
    names.set(point, words);
    return words;
  };

  const show = (point) => {
    const plot = point.closest("[data-plot]");
    let tip = plot.querySelector(".chart-tip");
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "chart-tip";
      tip.setAttribute("aria-hidden", "true");
      plot.append(tip);
    }
    tip.textContent = prepare(point);
    tip.hidden = false;
    const frame = plot.getBoundingClientRect();
    const column = point.querySelector(".hit").getBoundingClientRect();
    const right = column.right - frame.left + 8;
    const left = column.left - frame.left - tip.offsetWidth - 8;
    tip.style.left = `${right + tip.offsetWidth <= frame.width ? right : Math.max(left, 0)}px`;
  };

  const hide = (point) => {
    const tip = point.closest("[data-plot]")?.querySelector(".chart-tip");
    if (tip) tip.hidden = true;
  };

  const pointOf = (event) => event.target.closest?.("[data-plot] .point");
  document.addEventListener("pointerover", (event) => pointOf(event) && show(pointOf(event)));
  document.addEventListener("pointerout", (event) => pointOf(event) && hide(pointOf(event)));
  document.addEventListener("focusin", (event) => pointOf(event) && show(pointOf(event)));
  document.addEventListener("focusout", (event) => pointOf(event) && hide(pointOf(event)));

  document.addEventListener("keydown", (event) => {
    const point = pointOf(event);
    if (!point) return;
    const points = [...point.closest("[data-plot]").querySelectorAll(".point")];
    const at = points.indexOf(point);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: points.length - 1 }[event.key];
    if (event.key === "Escape") hide(point);
    if (to === undefined || !points[to]) return;
    event.preventDefault();
    point.setAttribute("tabindex", "-1");
    points[to].setAttribute("tabindex", "0");
    prepare(points[to]);
    points[to].focus();
  });
})();
