// Makes the simulated phones live: forms go by fetch, and the page's parts are replaced in place.
// Without this script the same forms work with a reload.
"use strict";

const REFRESH_EVERY_MS = 3000;
let isBusy = false;
let submissions = 0;

function scrollToLast(thread) {
  thread.scrollTop = thread.scrollHeight;
}

// Only what changed is touched, so that nothing is read aloud twice and nobody loses their place.
function replacePart(current, fresh) {
  if (!current || !fresh || current.innerHTML === fresh.innerHTML) return;
  const before = [...current.children];
  const after = [...fresh.children];
  after.forEach((child, index) => {
    if (!before[index]) current.append(child);
    else if (before[index].outerHTML !== child.outerHTML) before[index].replaceWith(child);
  });
  before.slice(after.length).forEach((child) => child.remove());
  if (current.dataset.part === "thread") scrollToLast(current);
}

function findPart(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

function replacePhone(current, fresh) {
  for (const name of ["bar", "thread", "next"]) {
    replacePart(findPart(current, name), findPart(fresh, name));
  }
  const why = findPart(fresh, "why");
  if (findPart(current, "why")) replacePart(findPart(current, "why"), why);
  else if (why) current.append(why);
  replacePart(current.querySelector(".tries"), fresh.querySelector(".tries"));
}

function replacePage(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const phones = document.getElementById("phones");
  const freshPhones = fresh.getElementById("phones");
  if (!phones || !freshPhones) return;
  replacePart(findPart(document, "now"), findPart(fresh, "now"));
  const notice = findPart(fresh, "notice");
  if (notice && notice.textContent.trim()) replacePart(findPart(document, "notice"), notice);
  const wanted = [...freshPhones.children];
  for (const phone of [...phones.children]) {
    if (!freshPhones.querySelector(`#${CSS.escape(phone.id || "none")}`)) phone.remove();
  }
  wanted.forEach((freshPhone, index) => {
    const current = freshPhone.id && document.getElementById(freshPhone.id);
    if (current) replacePhone(current, freshPhone);
    else phones.insertBefore(freshPhone, phones.children[index] || null);
  });
}

async function submit(form, button) {
  const data = new FormData(form);
  if (button && button.name) data.set(button.name, button.value);
  const answer = await fetch(form.action, { method: "POST", body: data, headers: { Accept: "text/html" } });
  const known = new Set([...document.querySelectorAll(".column")].map((phone) => phone.id));
  const text = await answer.text();
  if (!answer.ok) {
    const line = new DOMParser().parseFromString(text, "text/html").querySelector(".lead");
    say(line ? line.textContent : "The service could not do that.");
    return;
  }
  replacePage(text);
  const field = form.querySelector('input[name="body"]');
  if (field && !(button && button.name)) field.value = "";
  const added = [...document.querySelectorAll(".column")].find((phone) => !known.has(phone.id));
  if (form.closest(".adder") && added) openNewPhone(form, added);
}

function openNewPhone(form, phone) {
  form.closest("details").open = false;
  const thread = findPart(phone, "thread");
  if (thread) scrollToLast(thread);
  phone.querySelector('input[name="body"]').focus();
}

function say(line) {
  const span = document.createElement("span");
  span.textContent = line;
  findPart(document, "notice").replaceChildren(span);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-live]")) return;
  event.preventDefault();
  if (isBusy) return;
  isBusy = true;
  submissions += 1;
  document.body.classList.add("busy");
  form.setAttribute("aria-busy", "true");
  if (form.matches(".clock")) say("The clock is moving ...");
  else findPart(document, "notice").replaceChildren();
  try {
    await submit(form, event.submitter);
  } catch {
    say("The service did not answer. Is it still running?");
  } finally {
    isBusy = false;
    form.removeAttribute("aria-busy");
    document.body.classList.remove("busy");
  }
});

async function refresh() {
  if (isBusy || document.hidden) return;
  const asOf = submissions;
  try {
    const answer = await fetch(window.location.pathname, { headers: { Accept: "text/html" } });
    const text = await answer.text();
    if (answer.ok && asOf === submissions) replacePage(text);
  } catch {
    // The next refresh tries again; only what a person does deserves a notice.
  }
}

document.querySelectorAll('[data-part="thread"]').forEach(scrollToLast);
setInterval(refresh, REFRESH_EVERY_MS);
