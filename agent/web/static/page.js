"use strict";
// The page's script: keeps it live, sends what is touched, and says when the station is gone.
// Everything shown is drawn by the station; this only puts it into place.
(() => {
  const body = document.body;
  const $ = (id) => document.getElementById(id);
  const json = { Accept: "application/json" };
  let ahead = Date.now() / 1000 - Number(body.dataset.now || Date.now() / 1000);

  // ---- clocks: since, until, at
  const now = () => Date.now() / 1000 - ahead;
  const two = (n) => String(n).padStart(2, "0");
  const span = (s) => {
    const whole = Math.max(0, Math.round(s));
    const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    if (h) return `${h}:${two(m)} h`;
    return m ? `${m}:${two(whole % 60)} min` : `${whole} s`;
  };
  const set = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tick = () => {
    for (const e of document.querySelectorAll("time[data-since]")) set(e, span(now() - e.dataset.since));
    for (const e of document.querySelectorAll("time[data-until]")) set(e, span(e.dataset.until - now()));
    for (const e of document.querySelectorAll("time[data-clock]")) {
      const day = now() - e.dataset.clock > 72000 ? { day: "numeric", month: "short" } : {}; // of another day
      set(e, new Date(e.dataset.clock * 1000).toLocaleString(document.documentElement.lang, { ...day, hour: "2-digit", minute: "2-digit", hour12: false }));
    }
    for (const e of document.querySelectorAll("progress[data-until]")) e.value = Math.max(0, e.max - (e.dataset.until - now()));
  };

  // ---- parts: put what changed into place, and leave alone what a finger or an eye is on
  const place = (name, html) => {
    const target = $(name);
    if (!target) return;
    const focus = target.contains(document.activeElement) ? document.activeElement.id : "";
    const chosen = [...target.querySelectorAll("input:checked")].map((e) => e.id);
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    for (const card of target.querySelectorAll("li.take")) {
      const next = fresh.content.getElementById(card.id);
      if (!next) continue;
      const playing = card.querySelector("video");
      const picture = card.querySelector(".take-picture");
      const nextPicture = next.querySelector(".take-picture");
      if (playing && nextPicture) nextPicture.replaceChildren(playing);
      else if (picture && nextPicture && picture.innerHTML === nextPicture.innerHTML) nextPicture.replaceWith(picture);
    }
    target.replaceChildren(fresh.content);
    for (const id of chosen) if ($(id)) $(id).checked = true;
    if (focus && $(focus)) $(focus).focus({ preventScroll: true });
  };
  const put = (parts) => {
    const searching = $("search") && $("search").value.trim(), chosen = group();
    for (const [name, html] of Object.entries(parts)) {
      if (name === "athletes" && (searching || chosen)) continue;
      place(name, html.replaceAll("@@csrf_token@@", body.dataset.csrfToken || ""));
    }
    if (parts.groups !== undefined) showGroup();
    if ((chosen || group()) && (parts.groups !== undefined || (parts.athletes && !searching))) search($("search"));
    tray();
    tick();
    speak();
    signal();
  };

  // ---- a take was captured: a sound on a tablet that wants one, a large mark on the wall
  const codes = () => [...document.querySelectorAll("#takes .take, #tray .take, #wallboard .take")].map((e) => e.id);
  let known = null, sound = null;
  const signal = () => {
    const here = codes();
    const fresh = known && here.filter((code) => !known.has(code));
    known = new Set([...(known || []), ...here]);
    showSound();
    if (!fresh || !fresh.length) return;
    if (sound) chime();
    if ($("captured")) mark($(fresh[0]));
  };
  const chime = () => { // two short notes, the second one higher
    for (const [after, hertz] of [[0, 660], [0.16, 880]]) {
      const note = sound.createOscillator(), level = sound.createGain(), at = sound.currentTime + after;
      note.frequency.value = hertz;
      level.gain.setValueAtTime(0.25, at);
      level.gain.exponentialRampToValueAtTime(0.001, at + 0.3);
      note.connect(level).connect(sound.destination);
      note.start(at);
      note.stop(at + 0.3);
    }
  };
  const setSound = (on) => {
    if (on && !sound) sound = new AudioContext();
    if (!on && sound) { sound.close(); sound = null; }
    localStorage.setItem("sound", on ? "on" : "off");
    showSound();
  };
  const showSound = () => { if ($("sound")) $("sound").setAttribute("aria-pressed", String(Boolean(sound))); };
  let marking = 0;
  const mark = (card) => {
    $("captured-who").textContent = card.querySelector(".take-who").textContent;
    $("captured").hidden = false;
    clearTimeout(marking);
    marking = setTimeout(() => { $("captured").hidden = true; }, 4000);
  };
  // a sheet is drawn for itself: it is asked for once more when takes have changed; of two answers
  // that overtake each other only that to the later question is shown
  let asked = 0;
  const again = async () => {
    const mine = ++asked;
    if (!$("sheet") || document.activeElement.tagName === "SELECT") return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) { location.reload(); return; } // the device may no longer come in
      const told = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("sheet");
      if (answer.ok && told && mine === asked) { place("sheet", told.innerHTML); tick(); }
    } catch { /* it is said that the station is gone */ }
  };
  // the state aloud, once for every change of its word
  const speak = () => {
    const word = document.querySelector(".state-word"), line = document.querySelector(".state-more p");
    if (!$("spoken") || !word || spoken === word.textContent) return;
    spoken = word.textContent;
    $("spoken").textContent = line ? `${spoken}. ${line.textContent}` : spoken;
  };
  let spoken = "";

  // ---- the station's voice, and its silence
  let source = null, heard = 0, silent = false;
  const gone = (is) => {
    silent = is;
    if ($("lost")) $("lost").hidden = !is;
    body.classList.toggle("lost-it", is); // what it said last may no longer be so
  };
  const listen = () => {
    if (!body.dataset.liveFrom) return;
    if (source) source.close();
    heard = Date.now();
    source = new EventSource(`${body.dataset.liveFrom}?mark=${body.dataset.mark}`);
    body.dataset.mark = ""; // after a silence everything is sent anew
    source.onmessage = (event) => {
      const told = JSON.parse(event.data);
      heard = Date.now();
      ahead = heard / 1000 - told.now;
      if (told.version !== version) { location.reload(); return; }
      gone(false);
      if (told.parts) put(told.parts);
      if (told.parts.takes || told.parts.tray || document.querySelector("#sheet [data-pending]")) again();
    };
    source.onerror = async () => {
      if (source.readyState !== EventSource.CLOSED) return;
      try {
        const answer = await fetch(body.dataset.liveFrom, { method: "HEAD", headers: json });
        if (answer.status === 401 || answer.status === 403) location.reload();
      } catch { /* it is gone: the watch below tries again */ }
    };
  };
  const version = new URL(document.querySelector("script[src]").src).searchParams.get("v");
  const watch = () => {
    if (!body.dataset.liveFrom) return;
    const quiet = Date.now() - heard;
    if (quiet > 12000 || (source && source.readyState !== EventSource.OPEN && quiet > 2500)) gone(true);
    if (silent && (!source || source.readyState === EventSource.CLOSED || quiet % 10000 < 1000)) {
      const since = heard;
      listen();
      heard = since;
    }
  };

  // ---- saying what was done, and taking it back
  let hiding = 0;
  const say = (text, undo) => {
    const toast = $("toast");
    if (!toast) return;
    toast.querySelector("span").textContent = text;
    const form = toast.querySelector("form");
    form.hidden = !undo;
    if (undo) $("undo").value = undo.id;
    toast.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => { toast.hidden = true; }, undo ? undo.left_s * 1000 : 5000);
  };
  const send = async (path, fields) => {
    fields.set("csrf_token", body.dataset.csrfToken);
    try {
      const answer = await fetch(path, { method: "POST", headers: json, body: fields });
      if (answer.status === 401) { location.reload(); return false; }
      const told = await answer.json();
      say(told.say, told.undo);
      if (told.seen) weighed = told.seen;
      again();
      if (told.choose) choose(told.choose.path, told.choose.name);
      return answer.ok;
    } catch {
      say(body.dataset.failed);
      return false;
    }
  };

  // a weight is stepped from the one that is shown: presses in a row follow each other, each from
  // what the one before it has set, whether that is drawn already or not
  let weighed = 0, stepped = Promise.resolve();
  const step = (path, fields) => {
    stepped = stepped.then(() => {
      if (Number(fields.get("seen")) < weighed) fields.set("seen", weighed);
      return send(path, fields);
    });
    return stepped;
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.dataset.tray !== undefined) { event.preventDefault(); return; }
    if (form.id === "pad-form") { event.preventDefault(); enter(); return; }
    if (form.dataset.live === undefined) return;
    event.preventDefault();
    const button = event.submitter;
    const path = (button && button.getAttribute("formaction")) || form.getAttribute("action");
    const fields = new URLSearchParams(new FormData(form, button));
    const dialog = form.closest("dialog");
    if (path === "/forget") for (const name of [...fields.keys()]) if (name !== "key" && name !== "also_at_api") fields.delete(name);
    else fields.delete("also_at_api");
    if (dialog && (dialog.id === "assign" || dialog.id === "edit")) trim(form, fields);
    if (path === "/undo") $("toast").hidden = true;
    const done = await (fields.has("seen") ? step : send)(path, fields);
    if (done && dialog) { dialog.close(); form.reset(); endSearch(); }
  });

  // ---- dialogs
  const trim = (form, fields) => {
    const activity = fields.get("activity");
    const chosen = form.querySelector(`fieldset[data-for="${activity}"] input[name=exercise]:checked`);
    fields.delete("exercise");
    if (chosen) fields.set("exercise", chosen.value);
    for (const name of ["mass", "incline"]) {
      const is = form.querySelector(`fieldset[data-for="${activity}"] input[name=${name}]`);
      if (!is || is.value === "") fields.delete(name);
    }
  };
  const dial = (form, name, value) => {
    form.querySelector(`input[name=${name}]`).value = value;
    const shown = value === "" ? "–" : Number(value).toLocaleString(document.documentElement.lang);
    form.querySelector(`output[data-of=${name}]`).textContent = shown;
  };
  const turn = (form) => {
    const picked = form.querySelector("input[name=activity]:checked");
    for (const part of form.querySelectorAll("fieldset[data-for]")) {
      part.hidden = !picked || part.dataset.for !== picked.value;
      const options = part.querySelectorAll("input[name=exercise]");
      if (!part.hidden && options.length && ![...options].some((e) => e.checked)) options[0].checked = true;
    }
  };
  const fill = (form, last) => {
    form.reset();
    for (const e of form.querySelectorAll("input[name=activity]")) e.checked = e.value === last.activity;
    for (const e of form.querySelectorAll("input[name=exercise]")) e.checked = e.value === last.exercise;
    dial(form, "mass", last.mass);
    dial(form, "incline", last.incline);
    turn(form);
  };
  const edit = (button) => {
    const form = $("edit").querySelector("form");
    fill(form, button.dataset);
    form.setAttribute("action", button.dataset.edit);
    $("edit-name").textContent = button.dataset.name;
    $("edit").showModal();
    $("edit-put").focus();
  };
  const open = (tile) => {
    const form = $("assign").querySelector("form"), last = tile.dataset;
    fill(form, last);
    form.elements.key.value = last.key;
    $("assign-name").textContent = last.name;
    $("forget-sure").hidden = true;
    $("assign-takes").href = `/athlete/${encodeURIComponent(last.key)}`;
    const resolve = $("assign-resolve");
    resolve.hidden = last.guest === undefined;
    resolve.dataset.key = last.key;
    resolve.dataset.name = last.name;
    form.querySelector("details").open = false;
    $("assign").showModal();
    $("assign-put").focus();
  };
  // ---- the number pad: for a field of a dialog, or for the station itself
  let entering = null;
  const openPad = (button) => {
    entering = button;
    $("pad-name").textContent = button.dataset.pad;
    $("pad-value").value = "";
    $("pad").showModal();
    $("pad-value").focus();
  };
  const type = (digit) => {
    const field = $("pad-value");
    field.value = digit ? `${field.value}${digit}`.slice(0, field.maxLength) : field.value.slice(0, -1);
    field.focus(); // Enter means Set, whatever was touched last
  };
  const enter = async () => {
    const value = Number($("pad-value").value.replace(",", "."));
    const { padPath, padWho } = entering.dataset;
    if (padPath) { if (!await send(padPath, new URLSearchParams({ to: value, who: padWho }))) return; }
    else dial(entering.form, entering.querySelector("output").dataset.of, value);
    $("pad").close();
  };
  let giving = null;
  const choose = (path, codes, title) => {
    giving = { path, codes };
    const heading = $("choose-title");
    heading.textContent = title ? heading.dataset.resolve.replace("%", title) : heading.dataset.plain;
    $("choose-search").value = "";
    $("choose-list").replaceChildren(); // who was found last time is not meant now
    search($("choose-search"));
    $("choose").showModal();
  };
  const give = async (tile) => {
    const fields = new URLSearchParams();
    for (const [name, value] of giving.codes) fields.append(name, value);
    fields.append(giving.path === "/guest/resolve" ? "user_id" : "key", tile.dataset.key);
    if (await send(giving.path, fields)) { $("choose").close(); endSearch(); }
  };
  const picked = () => [...document.querySelectorAll("#tray input[name=code]:checked")].map((e) => ["code", e.value]);
  const tray = () => {
    if ($("tray-give")) $("tray-give").hidden = !picked().length;
    if (!$("tab-count")) return;
    const waiting = document.querySelectorAll("#tray li.take, #tray li.aside").length;
    $("tab-count").hidden = !waiting;
    set($("tab-count"), String(waiting));
  };

  // ---- views: on an upright or small screen one of the two columns, beside each other on a wide one
  const view = (name) => {
    body.dataset.shows = name;
    for (const tab of document.querySelectorAll("[data-tab]")) tab.setAttribute("aria-pressed", String(tab.dataset.tab === name));
  };
  const views = () => {
    if (!$("tabs")) return;
    $("tabs").hidden = false;
    view(sessionStorage.getItem("view") || "station");
    tray();
  };

  // ---- the group to which this device's list of athletes is narrowed
  const group = () => $("group") ? $("group").value : "";
  const showGroup = () => {
    const kept = localStorage.getItem("group"), select = $("group");
    if (!select) return;
    select.value = [...select.options].some((e) => e.value === kept) ? kept : "";
    $("group-queue").hidden = !select.value;
    $("group-queue").setAttribute("formaction", `/groups/${select.value}/queue`);
  };

  // ---- search: asked of the station, which knows every athlete
  let asking = 0;
  const search = (input) => {
    clearTimeout(asking);
    asking = setTimeout(async () => {
      const question = () => `/athletes?q=${encodeURIComponent(input.value)}&group=${input.id === "search" ? group() : ""}`;
      const wanted = question();
      try {
        const answer = await fetch(wanted, { headers: { Accept: "text/html" } });
        const found = await answer.text();
        // a late answer to an earlier question would put somebody else under the finger
        if (answer.ok && wanted === question()) place(input.dataset.search, found);
      } catch { say(body.dataset.failed); }
    }, input.value ? 120 : 0);
  };

  const endSearch = () => { // whoever was looked for is found: the usual athletes again
    if (!$("search") || !$("search").value) return;
    $("search").value = "";
    search($("search"));
  };

  const play = (button) => {
    const video = document.createElement("video");
    Object.assign(video, { src: button.dataset.play, controls: true, playsInline: true, loop: true, muted: true });
    video.setAttribute("aria-label", button.dataset.label);
    button.closest(".take").querySelector(".take-picture").replaceChildren(video);
    video.focus();
    video.play().catch(() => { /* the controls are there */ });
  };

  document.addEventListener("input", (event) => {
    const input = event.target;
    if (input.dataset.search) search(input);
    if (input.dataset.group !== undefined) {
      localStorage.setItem("group", input.value);
      showGroup();
      search($("search"));
    }
    if (input.name === "activity") turn(input.form);
    if (input.name === "code") tray();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const part = link && $(link.getAttribute("href").slice(1));
    if (part && part.closest("[data-view]") && $("tabs")) view(part.closest("[data-view]").dataset.view);
    const button = event.target.closest("button");
    if (!button) return;
    const data = button.dataset;
    if (data.play) play(button);
    else if (data.tab) {
      view(data.tab);
      sessionStorage.setItem("view", data.tab); // a page that is loaded again shows the same
      scrollTo(0, 0);
    } else if (button.id === "sound") {
      setSound(!sound);
      if (sound) chime();
    } else if (data.pad) openPad(button);
    else if (data.digit !== undefined) type(data.digit);
    else if (data.step) {
      const form = button.form, name = button.parentElement.querySelector("output").dataset.of;
      const low = name === "mass" ? 0.5 : -30, high = name === "mass" ? 1100 : 60;
      const value = Number(form.querySelector(`input[name=${name}]`).value || (name === "mass" ? 20 : 0));
      dial(form, name, Math.min(high, Math.max(low, Math.round((value + Number(data.step)) * 10) / 10)));
    } else if (data.edit) edit(button);
    else if (data.give) choose(data.give, data.card ? [["card", data.card]] : data.codes === undefined ? [] : picked());
    else if (data.resolve !== undefined) {
      $("assign").close();
      choose("/guest/resolve", [["key", data.key]], data.name);
    } else if (data.all !== undefined) {
      for (const e of document.querySelectorAll("#tray input[name=code]")) e.checked = true;
      tray();
    } else if (data.open) $(data.open).showModal();
    else if (data.close !== undefined) button.closest("dialog").close();
    else if (data.sure) { $(data.sure).hidden = false; $(data.sure).focus(); }
    else if (data.key !== undefined) {
      const list = button.closest("[data-choose]");
      if (list && list.dataset.choose === "give") give(button);
      else if (list) open(button);
    }
  });

  // ---- a take's player: slow, by single frames, beside another take; both from where the movement begins
  const player = () => {
    const [main, other] = $("player").querySelectorAll("video");
    const screens = other ? [main, other] : [main];
    const shown = new Map(); // seconds in the clip of the frame that a screen shows
    const frame = (screen) => 1 / Number(screen.dataset.fps);
    const at = (screen) => shown.has(screen) ? shown.get(screen) : screen.currentTime;
    const seek = (screen, to) => { screen.currentTime = Math.min(Math.max(0, to), screen.duration || 0); };
    const time = () => set($("player-time"), `${at(main).toLocaleString(document.documentElement.lang, { minimumFractionDigits: 3, maximumFractionDigits: 3 })} s`);
    const look = (screen) => {
      if (!screen.requestVideoFrameCallback) return;
      screen.requestVideoFrameCallback((_, told) => { shown.set(screen, told.mediaTime); time(); draw(screen); look(screen); });
    };
    // ---- the skeleton: the analysis' landmarks, drawn over the frame that is shown
    const bodies = new Map(); // by screen, once they are here
    const GAP_MS = 600, NEAR_MS = 150; // between two looks a line is drawn; beside one for so long
    const button = $("player-skeleton");
    const wants = () => Boolean(button) && button.getAttribute("aria-pressed") === "true";
    const bodyAt = (body, ms) => {
      const after = body.times_ms.findIndex((at) => at > ms), next = after < 0 ? body.times_ms.length : after;
      const [a, b] = [next - 1, next], from = body.times_ms[a], to = body.times_ms[b];
      if (from !== undefined && to !== undefined && to - from <= GAP_MS) {
        const share = (ms - from) / (to - from);
        return body.points[a].map((value, n) => value === null || body.points[b][n] === null ? null : value + share * (body.points[b][n] - value));
      }
      if (from !== undefined && ms - from <= NEAR_MS) return body.points[a];
      return to !== undefined && to - ms <= NEAR_MS ? body.points[b] : null;
    };
    const draw = (screen) => {
      const canvas = screen.parentElement.querySelector("canvas"), body = bodies.get(screen);
      if (!canvas) return;
      canvas.hidden = !wants();
      if (canvas.hidden || !body) return;
      const { clientWidth: width, clientHeight: height } = screen, sharp = devicePixelRatio || 1;
      Object.assign(canvas, { width: Math.round(width * sharp), height: Math.round(height * sharp) }); // empties it, too
      const points = bodyAt(body, 1000 * at(screen)), scale = Math.min(width / screen.videoWidth, height / screen.videoHeight);
      canvas.dataset.at = at(screen).toFixed(3);
      canvas.dataset.joints = points ? points.filter((value) => value !== null).length / 2 : 0;
      if (!points || !scale) return;
      const [wide, high] = [screen.videoWidth * scale, screen.videoHeight * scale];
      const place = (joint) => points[2 * joint] === null ? null : [(width - wide) / 2 + points[2 * joint] / body.scale * wide, (height - high) / 2 + points[2 * joint + 1] / body.scale * high];
      const pen = canvas.getContext("2d");
      pen.scale(sharp, sharp);
      pen.lineCap = "round";
      for (const [color, thick] of [["#101316", 5], ["#5fd394", 3]]) { // dark edges: seen on any ground
        Object.assign(pen, { strokeStyle: color, fillStyle: color, lineWidth: thick });
        for (const bone of body.bones) {
          const [a, b] = bone.map(place);
          if (!a || !b) continue;
          pen.beginPath();
          pen.moveTo(...a);
          pen.lineTo(...b);
          pen.stroke();
        }
        for (let joint = 0; 2 * joint < points.length; joint += 1) {
          const spot = place(joint);
          if (!spot) continue;
          pen.beginPath();
          pen.arc(...spot, thick, 0, 7);
          pen.fill();
        }
      }
    };
    const fetchBody = async (screen) => {
      if (!screen.dataset.skeleton || screen.parentElement.querySelector("canvas")) { draw(screen); return; }
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      screen.after(canvas);
      try {
        const answer = await fetch(screen.dataset.skeleton, { headers: json });
        if (answer.ok) bodies.set(screen, await answer.json());
      } catch { canvas.remove(); } // it is asked for again with the next touch
      draw(screen);
    };
    const setSkeleton = (on) => {
      button.setAttribute("aria-pressed", String(on));
      localStorage.setItem("skeleton", on ? "on" : "off");
      screens.forEach(on ? fetchBody : draw);
    };
    if (button) {
      button.addEventListener("click", () => setSkeleton(!wants()));
      if (localStorage.getItem("skeleton") === "on") setSkeleton(true);
      addEventListener("resize", () => screens.forEach(draw));
    }
    const follow = (most) => {
      if (!other) return;
      const due = main.currentTime - Number(main.dataset.begins) + Number(other.dataset.begins);
      if (Math.abs(other.currentTime - due) > most) seek(other, due);
    };
    const running = () => { // where the other is not there yet, or over, it stands still
      if (!other) return;
      if (main.paused) other.pause(); else other.play().catch(() => { /* it is over */ });
    };
    screens.forEach(look);
    main.addEventListener("loadedmetadata", () => follow(0));
    if (other) other.addEventListener("loadedmetadata", () => follow(0));
    main.addEventListener("seeked", () => { if (main.paused) follow(frame(main) / 2); time(); });
    main.addEventListener("timeupdate", () => { if (!main.paused) follow(0.12); time(); });
    for (const screen of screens) for (const name of ["loadeddata", "seeked", "timeupdate"]) screen.addEventListener(name, () => draw(screen));
    for (const name of ["play", "pause", "ended"]) main.addEventListener(name, running);
    $("player").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const data = button.dataset;
      if (data.frames) {
        main.pause();
        for (const screen of screens) { // to the middle of a frame, and on where the rate was not as it was said to be
          const one = frame(screen), stands = screen.currentTime;
          seek(screen, data.frames > 0 ? Math.max(at(screen) + 1.5 * one, stands + one) : Math.min(at(screen) - 0.5 * one, stands - one));
        }
      } else if (data.speed) {
        for (const screen of screens) screen.playbackRate = Number(data.speed);
        for (const one of $("player").querySelectorAll("[data-speed]")) one.setAttribute("aria-pressed", String(one === button));
      } else if (button.id === "player-play") {
        if (main.paused) main.play().catch(() => { /* the controls are there */ }); else main.pause();
      } else if (button.id === "player-full") {
        if (document.fullscreenElement) document.exitFullscreen(); else $("player").requestFullscreen();
      }
    });
    $("player").addEventListener("keydown", (event) => {
      const button = { ",": "frame-back", ".": "frame-on" }[event.key];
      if (button && event.target.tagName !== "SELECT") $(button).click();
    });
  };
  if ($("player")) player();

  // ---- a pairing link: its token is behind the #, and goes out of the address at once
  const pairing = $("pair");
  if (pairing && location.hash.length > 1) {
    pairing.elements.token.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    pairing.requestSubmit();
  }

  views();
  showGroup();
  if (group()) search($("search"));
  // a browser lets a page sound only after a touch
  if (localStorage.getItem("sound") === "on") document.addEventListener("pointerdown", () => { if (!sound) setSound(true); }, { once: true });
  signal();
  tick();
  setInterval(() => { tick(); watch(); }, 1000);
  if (body.dataset.refresh) setInterval(again, body.dataset.refresh * 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && silent) listen(); });
  listen();
})();
