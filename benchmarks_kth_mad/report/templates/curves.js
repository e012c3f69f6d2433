// The legend hides a method's curves in all charts, and dims the others while it is pointed at.
(() => {
  const curves = [...document.querySelectorAll(".chart g[data-method]")];
  for (const button of document.querySelectorAll(".legend button")) {
    const own = curves.filter((one) => one.dataset.method === button.dataset.method);
    const point = (yes) => {
      const shown = button.getAttribute("aria-pressed") === "true";
      for (const one of curves) one.classList.toggle("dim", yes && shown && !own.includes(one));
    };
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      for (const one of own) one.classList.toggle("off", !shown);
      point(shown);
    });
    button.addEventListener("pointerenter", () => point(true));
    button.addEventListener("pointerleave", () => point(false));
    button.addEventListener("focus", () => point(button.matches(":focus-visible")));
    button.addEventListener("blur", () => point(false));
  }
})();
