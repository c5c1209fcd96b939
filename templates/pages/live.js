// A live page: its clock goes on from the server's time, and what it shows is hidden when its
// time is over. Without a script the style sheet hides it, and the moving bar moves.
"use strict";

(function () {
  const opened = performance.now();
  const clock = document.querySelector("[data-clock]");
  const left = document.querySelector("[data-left]");
  const text = left.textContent;
  const start = Number(clock.dataset.clock);
  const total = Number(left.dataset.left);

  function tick() {
    const gone = performance.now() - opened;
    const remaining = Math.max(0, Math.ceil(total - gone / 1000));
    clock.textContent = new Date(start + gone).toLocaleString("sv-SE", { timeZone: "Asia/Shanghai" });
    left.textContent = "还有 " + remaining + " 秒。" + text;
    if (remaining === 0) {
      for (const e of document.querySelectorAll("[data-expires]")) e.hidden = true;
      for (const e of document.querySelectorAll(".expired")) e.hidden = false;
      clearInterval(timer);
    }
  }
  const timer = setInterval(tick, 200);
  tick();
})();
