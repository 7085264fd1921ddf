
"use strict";
const form = document.querySelector("form");
const button = form.querySelector("button");
const said = document.querySelector("[role=alert]");
const done = document.querySelector("[role=status]");
const code = new URLSearchParams(location.search).get("code");
if (code && form.elements.code) {
  form.elements.code.value = code;
  // The code stays out of the browser's history.
  history.replaceState(null, "", location.pathname);
}
// Where to go on: a path of this server, and nothing else. The browser itself
// says where an address leads: it drops tabs, say, and reads \ as /. The origin
// stays before the path: one that begins with // would be another server.
const next = new URLSearchParams(location.search).get("next");
const target = next && ownPath(next);
function ownPath(address) {
  try {
    const url = new URL(address, location.origin);
    return url.origin === location.origin ? url.origin + url.pathname + url.search : null;
  } catch {
    return null;
  }
}
const other = document.querySelector(".other a");
if (other && target) {
  const path = target.slice(location.origin.length);
  other.href = `/api/oidc/login?return_to=${encodeURIComponent(path)}`;
}
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  said.textContent = "";
  button.disabled = true;
  try {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
      credentials: "same-origin",
    });
    const body = await answer.json();
    if (!answer.ok) {
      said.textContent = body.detail || body.title || "That did not work.";
      return;
    }
    if (target) {
      location.assign(target);
      return;
    }
    form.hidden = true;
    done.textContent = `You are signed in as ${body.name}.`;
  } catch {
    said.textContent = "The server does not answer.";
  } finally {
    button.disabled = false;
  }
});
