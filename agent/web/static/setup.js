"use strict";
// The set-up of a new station: each step is sent by itself, and says what came of it.
(() => {
  const body = document.body, $ = (id) => document.getElementById(id);
  const rest = (ms) => new Promise((done) => { setTimeout(done, ms); });

  // the station restarts with what was saved: the page is loaded once it has
  const again = async () => {
    for (let tries = 0; tries < 60; tries += 1) {
      await rest(500);
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        const told = new DOMParser().parseFromString(await answer.text(), "text/html").body;
        if (answer.ok && told.dataset.started !== body.dataset.started) break;
      } catch { /* it is not there yet */ }
    }
    location.reload();
  };

  const TRIES = 8;
  const post = async (path, fields) => { // the station may be restarting
    for (let tries = 1; ; tries += 1) {
      try {
        return await fetch(path, { method: "POST", headers: { Accept: "application/json" }, body: fields });
      } catch (error) { if (tries === TRIES) throw error; }
      await rest(800);
    }
  };
  const send = async (form) => {
    const button = form.querySelector("button.primary"), said = form.querySelector("[role=status]");
    const say = (text, is) => { said.className = is; said.textContent = text; };
    const fields = new URLSearchParams(new FormData(form));
    fields.set("csrf_token", body.dataset.csrfToken);
    button.disabled = true;
    if (form.id === "ending") body.dataset.leaving = "yes"; // this device changes its role: nothing else may notice
    say(form.dataset.slow || "", "soft");
    try {
      const answer = await post(form.action, fields);
      if (answer.status === 401) { location.reload(); return; }
      const told = await answer.json();
      say(told.say, answer.ok ? "good" : "bad");
      if (answer.ok) for (const secret of form.querySelectorAll("[type=password]")) secret.value = "";
      if (told.again) await again();
      if (told.to) { location.assign(told.to); return; }
    } catch { say(body.dataset.failed, "bad"); }
    button.disabled = false;
    delete body.dataset.leaving;
  };
  for (const form of document.querySelectorAll("form[data-setup]")) {
    form.addEventListener("submit", (event) => { event.preventDefault(); send(form); });
  }

  document.addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (name === "activity") for (const e of document.querySelectorAll("[data-of]")) if (e.tagName === "FIELDSET") e.hidden = e.dataset.of !== value;
    if (name === "device") $("network").hidden = value !== "network";
  });

  // cameras on the network fill in the address; its path is the camera's own
  const offer = async () => {
    const answer = await fetch("/setup/cameras", { headers: { Accept: "application/json" } });
    const { cameras } = answer.ok ? await answer.json() : { cameras: [] };
    $("found").hidden = !cameras.length;
    $("found").querySelector(".chips").replaceChildren(...cameras.map(({ host, name }) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: name === host ? host : `${name} (${host})` });
      button.addEventListener("click", () => { $("address").value = `rtsp://${host}/`; $("address").focus(); });
      return button;
    }));
  };
  if ($("found")) offer().catch(() => {});

  // a recorder that starts a moment later than the page
  const wait = async () => {
    while ($("no-recorder")) {
      await rest(2000);
      const answer = await fetch("/camera/words").catch(() => null);
      const isTyping = [...document.querySelectorAll("input")].some((e) => e.type !== "radio" && e.value !== e.defaultValue);
      if (answer && answer.ok && !isTyping) location.reload();
    }
  };
  wait();
})();
