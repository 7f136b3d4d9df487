"use strict";
// The board's script: asks for the stations every second, and says when the hub is gone.
// Everything shown is drawn by the hub; this only puts it into place.
(() => {
  const stations = document.getElementById("stations");
  const lost = document.getElementById("lost");
  const EVERY_MS = 1000, PATIENCE_MS = 5000;

  const ask = async () => {
    const answer = await fetch("/stations", { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === 401 || answer.redirected) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const html = await answer.text();
    const focused = document.activeElement && stations.contains(document.activeElement)
      ? document.activeElement.closest("li").id : "";
    stations.innerHTML = html;
    const back = focused && document.querySelector(`#${CSS.escape(focused)} a`);
    if (back) back.focus({ preventScroll: true });
  };
  const turn = async () => {
    try {
      if (!document.hidden) await ask();
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
    setTimeout(turn, EVERY_MS);
  };
  setTimeout(turn, EVERY_MS);
})();
