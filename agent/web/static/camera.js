"use strict";
// The camera view: what a camera sees, only while somebody looks at the page.  Twice a second for a
// minute after the page was opened or touched, which costs the station ten times as much as
// recording; then a keyframe every three seconds.
(() => {
  const view = document.getElementById("camera");
  if (!view) return;
  const $ = (id) => document.getElementById(id);
  const canvas = $("camera-live"), note = $("camera-note");
  const query = `?camera=${encodeURIComponent(view.dataset.camera)}`;
  const PICTURE_MS = 500, WORDS_MS = 1000, OLD_S = { live: 1.5, glance: 6 };
  const GLANCE_MS = 3000, PATIENCE_MS = 5000;

  const set = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const rest = (ms) => new Promise((done) => { setTimeout(done, ms); });
  let liveUntil = 0, askedAt = 0;
  const isLive = () => Date.now() < liveUntil;
  const touch = () => { liveUntil = Date.now() + Number(view.dataset.liveMs); };
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, touch);
  document.addEventListener("visibilitychange", touch);
  touch();
  const looked = () => new Promise((done) => {
    if (!document.hidden) { done(); return; }
    const look = () => { if (!document.hidden) { document.removeEventListener("visibilitychange", look); done(); } };
    document.addEventListener("visibilitychange", look);
  });
  const ask = async (path, kind, more = "") => {
    const answer = await fetch(path + query + more, { headers: { Accept: kind }, signal: AbortSignal.timeout(PATIENCE_MS) });
    const isOver = answer.status === 401 || answer.status === 403;
    if (isOver && !document.body.dataset.leaving) location.reload();
    return answer;
  };

  let isStale = true;
  const show = async (answer, live) => {
    const picture = await createImageBitmap(await answer.blob());
    if (canvas.width !== picture.width || canvas.height !== picture.height) Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    const age = Number(answer.headers.get("x-picture-age"));
    isStale = age > OLD_S[live ? "live" : "glance"];
    set(note, isStale ? view.dataset.old.replace("#", age.toFixed(0)) : live ? "" : view.dataset.slow);
    canvas.dataset.shown = Number(canvas.dataset.shown || 0) + 1;
  };
  const repeat = async (every, once) => {
    for (;;) {
      await looked();
      const begun = Date.now();
      try { await once(); } catch { isStale = true; set(note, view.dataset.lost); }
      canvas.classList.toggle("stale", isStale);
      await rest(Math.max(100, every - (Date.now() - begun)));
    }
  };
  // ---- the zone: drawn on the picture, moved by its corners and edges, kept when it is saved
  const frame = $("zone");
  const parsed = (text) => text.split(" ").filter(Boolean).map((pair) => pair.split(",").map(Number));
  const written = (corners) => corners.map(([x, y]) => `${Number(x.toFixed(3))},${Number(y.toFixed(3))}`).join(" ");
  const FIRST = "0.15,0.05 0.85,0.05 0.85,0.95 0.15,0.95";
  let saved = frame.dataset.zone, corners = parsed(saved), before = [];
  const within = (value) => Math.min(1, Math.max(0, value));
  const draw = () => {
    $("zone-shape").setAttribute("points", written(corners));
    for (const handle of frame.querySelectorAll("button")) {
      const [at, next] = ends(handle);
      const [x, y] = next === undefined ? corners[at] : [0, 1].map((axis) => (corners[at][axis] + corners[next][axis]) / 2);
      Object.assign(handle.style, { left: `${100 * x}%`, top: `${100 * y}%` });
    }
    if (!$("zone-save")) return;
    const changed = written(corners) !== saved;
    $("zone-save").disabled = $("zone-reset").disabled = !changed;
    $("zone-undo").disabled = !before.length;
    if (changed) set($("zone-note"), frame.dataset.changed);
    else if ($("zone-note").textContent === frame.dataset.changed) set($("zone-note"), "");
  };
  const ends = (handle) => { // which corners a handle moves
    const at = Number(handle.dataset.at);
    return handle.className === "edge" ? [at, (at + 1) % corners.length] : [at, undefined];
  };
  const move = (handle, right, down, from) => {
    const moved = ends(handle).filter((at) => at !== undefined);
    // an edge keeps its length: it goes as far as both of its ends may
    const free = (axis, by) => moved.reduce((most, at) => within(from[at][axis] + most) - from[at][axis], by);
    const step = [free(0, right), free(1, down)];
    corners = from.map((corner, at) => moved.includes(at) ? corner.map((value, axis) => within(value + step[axis])) : corner);
    draw();
  };
  const remember = (was) => { if (written(was) !== written(corners)) before.push(was); draw(); };
  const handles = () => {
    for (const handle of frame.querySelectorAll("button")) handle.remove();
    for (const kind of ["edge", "corner"]) {
      corners.forEach((_, at) => {
        const handle = document.createElement("button");
        Object.assign(handle, { type: "button", className: kind });
        handle.dataset.at = at;
        handle.setAttribute("aria-label", frame.dataset[kind].replace("#", at + 1));
        frame.append(handle);
      });
    }
    draw();
  };
  const become = (next) => { const was = corners; corners = next; if (was.length !== next.length) handles(); else draw(); return was; };
  frame.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("button");
    if (!handle) return;
    const from = corners, box = frame.getBoundingClientRect(), { clientX, clientY } = event;
    handle.setPointerCapture(event.pointerId);
    const drag = (to) => move(handle, (to.clientX - clientX) / box.width, (to.clientY - clientY) / box.height, from);
    const end = () => {
      handle.removeEventListener("pointermove", drag);
      remember(from);
    };
    handle.addEventListener("pointermove", drag);
    handle.addEventListener("lostpointercapture", end, { once: true });
  });
  frame.addEventListener("keydown", (event) => {
    const handle = event.target.closest("button");
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!handle || !by) return;
    event.preventDefault();
    const from = corners, step = event.shiftKey ? 0.05 : 0.01;
    move(handle, by[0] * step, by[1] * step, from);
    remember(from);
  });
  const edit = (on) => {
    for (const name of ["zone-save", "zone-undo", "zone-whole", "zone-reset", "zone-help"]) $(name).hidden = !on;
    $("zone-edit").hidden = on;
    if (on && !corners.length) corners = parsed(FIRST);
    if (on) handles(); else for (const handle of frame.querySelectorAll("button")) handle.remove();
  };
  const send = async (path, said, fields) => { // what the station answers, null where it refuses
    try {
      const body = new URLSearchParams({ ...fields, csrf_token: document.body.dataset.csrfToken });
      const answer = await fetch(path, { method: "POST", headers: { Accept: "application/json" }, body });
      if (answer.status === 401) location.reload();
      const told = await answer.json();
      set($(said), told.say);
      return answer.ok ? told : null;
    } catch { set($(said), document.body.dataset.failed); }
    return null;
  };
  const save = async () => {
    const wanted = written(corners);
    if (!await send("/camera/zone", "zone-note", { corners: wanted })) return;
    saved = wanted;
    draw();
    edit(false);
    $("zone-edit").focus();
  };
  // ---- the framing: one picture, looked at by the analysis
  const check = async () => {
    const picture = $("framing-picture"), button = $("framing-check");
    button.disabled = true;
    set($("framing-note"), $("framing").dataset.underWay);
    const told = await send("/camera/check", "framing-note", { camera: view.dataset.camera });
    button.disabled = false;
    $("framing-remarks").replaceChildren(...(told ? told.remarks : []).map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    picture.hidden = $("framing-reference").hidden = !told;
    if (told) picture.src = `/camera/checked?at=${Date.now()}`;
  };
  const clicks = {
    "framing-check": check,
    "framing-reference": () => send("/camera/reference", "framing-note", {}),
    "zone-edit": () => edit(true),
    "zone-save": save,
    "zone-undo": () => { become(before.pop()); },
    "zone-whole": () => { remember(become([])); },
    "zone-reset": () => { before = []; become(parsed(saved)); edit(false); $("zone-edit").focus(); },
  };
  for (const [id, click] of Object.entries(clicks)) if ($(id)) $(id).addEventListener("click", click);
  draw();

  repeat(PICTURE_MS, async () => {
    const live = isLive();
    if (!live && Date.now() - askedAt < GLANCE_MS) return;
    askedAt = Date.now();
    const answer = await ask("/camera/picture", "image/jpeg, application/json", live ? "&live=1" : "");
    if (answer.ok) await show(answer, live); else { isStale = true; set(note, (await answer.json()).say); }
  });
  repeat(WORDS_MS, async () => {
    const answer = await ask("/camera/words", "text/html");
    if (!answer.ok) return;
    const told = await answer.text(), words = $("camera-words");
    if (words.dataset.told !== told) { words.dataset.told = told; words.innerHTML = told; }
  });
})();
