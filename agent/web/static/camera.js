"use strict";
// The camera view: what a camera sees, twice a second and only while somebody looks at the page.
(() => {
  const view = document.getElementById("camera");
  if (!view) return;
  const $ = (id) => document.getElementById(id);
  const canvas = $("camera-live"), note = $("camera-note");
  const query = `?camera=${encodeURIComponent(view.dataset.camera)}`;
  const PICTURE_MS = 500, WORDS_MS = 1000, OLD_S = 1.5;

  const set = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const rest = (ms) => new Promise((done) => { setTimeout(done, ms); });
  const looked = () => new Promise((done) => {
    if (!document.hidden) { done(); return; }
    const look = () => { if (!document.hidden) { document.removeEventListener("visibilitychange", look); done(); } };
    document.addEventListener("visibilitychange", look);
  });
  const ask = async (path, kind) => {
    const answer = await fetch(path + query, { headers: { Accept: kind } });
    if (answer.status === 401 || answer.status === 403) location.reload();
    return answer;
  };

  const show = async (answer) => {
    const picture = await createImageBitmap(await answer.blob());
    if (canvas.width !== picture.width || canvas.height !== picture.height) Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    const age = Number(answer.headers.get("x-picture-age"));
    set(note, age > OLD_S ? view.dataset.old.replace("#", age.toFixed(0)) : "");
    canvas.dataset.shown = Number(canvas.dataset.shown || 0) + 1;
  };
  const repeat = async (every, once) => {
    for (;;) {
      await looked();
      const begun = Date.now();
      try { await once(); } catch { set(note, view.dataset.lost); }
      canvas.classList.toggle("stale", note.textContent !== "");
      await rest(Math.max(100, every - (Date.now() - begun)));
    }
  };
  repeat(PICTURE_MS, async () => {
    const answer = await ask("/camera/picture", "image/jpeg, application/json");
    if (answer.ok) await show(answer); else set(note, (await answer.json()).say);
  });
  repeat(WORDS_MS, async () => {
    const answer = await ask("/camera/words", "text/html");
    if (!answer.ok) return;
    const told = await answer.text(), words = $("camera-words");
    if (words.dataset.told !== told) { words.dataset.told = told; words.innerHTML = told; }
  });
})();
