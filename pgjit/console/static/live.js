// Follows what happens while a page is open: events, countdowns, and the numbers of live sessions.
// Without it the pages work as well, and are as of their loading. Texts are set as text, never as markup.

const REFRESH_MS = 1000;
const BETWEEN_MS = 5000; // two readings of the page: each is calls of the API, with their records
const LATEST = 25; // sessions that a page shows of the list
const status = document.getElementById("live");
const kinds = status.dataset.kinds.split(" ");
const ids = status.dataset.ids ? status.dataset.ids.split(" ") : [];
const news = document.getElementById("news");
const MOST_NEWS = 100;
let source = null;
let after = status.dataset.after; // the last event that this page knows of
let seen = "";
let refreshing = 0;
let refreshed = 0;
let due = 0;
const opened = Date.now();
let overdue = new Set();
const names = new Map(); // of identities that were on this page, by object id: a record of an end has the id alone

// --- time ---------------------------------------------------------------------------------------------

const loaded = document.querySelector(".bottom time");
const skew = loaded ? Date.now() - Date.parse(loaded.dateTime) : 0; // this machine's clock may be wrong

function length(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// As the pages have it of a moment that is not counted down: the largest unit alone.
function largest(seconds) {
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([each]) => Math.round(seconds) >= each) || [1, "s"];
  return `${Math.floor(Math.round(seconds) / size)} ${unit}`;
}

function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function tick() {
  const now = Date.now() - skew;
  for (const each of document.querySelectorAll("[data-until]")) {
    const left = (Date.parse(each.dataset.until) - now) / 1000;
    setText(each.querySelector(".ago"), left > 0 ? `in ${length(left)}` : "over");
    each.classList.toggle("soon", left > 0 && left < 60);
    each.classList.toggle("over", left <= 0);
    if (left <= 0 && left > -3600 && !overdue.has(each.dataset.until)) {
      overdue.add(each.dataset.until);
      refreshSoon();
    }
  }
  for (const each of document.querySelectorAll("time > .ago")) {
    const time = each.parentElement;
    if (time.closest("[data-until], [data-since]")) continue;
    const seconds = (now - Date.parse(time.dateTime)) / 1000;
    setText(each, seconds >= 0 ? `${largest(seconds)} ago` : `in ${largest(-seconds)}`);
  }
  for (const each of document.querySelectorAll("[data-since]")) {
    const seconds = (now - Date.parse(each.dataset.since)) / 1000;
    setText(each.querySelector(".ago"), `for ${length(Math.max(0, seconds))}`);
    each.classList.toggle("long", seconds >= 60);
  }
}

// --- the page as it is now ------------------------------------------------------------------------------

function inUse(part) {
  if (part.contains(document.activeElement)) return true;
  return [...part.querySelectorAll("input, textarea, details[open] form")].some(
    (each) => each.matches("form") || (each.type !== "hidden" && (each.value !== each.defaultValue || each.checked !== each.defaultChecked)),
  );
}

function disable(part) {
  for (const each of part.querySelectorAll("button")) each.disabled = true;
}

function merge(old, fresh) {
  if (old.innerHTML === fresh.innerHTML) return;
  if (!inUse(old)) {
    old.replaceChildren(...fresh.childNodes);
    return;
  }
  if (old.dataset.livePart === "whole") {
    if (!fresh.querySelector("form")) disable(old); // what the form is for is over
    return;
  }
  const rows = new Map([...fresh.querySelectorAll("tr[data-key]")].map((row) => [row.dataset.key, row]));
  for (const row of old.querySelectorAll("tr[data-key]")) {
    const now = rows.get(row.dataset.key);
    if (!now) {
      row.classList.add("gone");
      disable(row);
      continue;
    }
    rows.delete(row.dataset.key);
    [...row.cells].forEach((cell, at) => {
      if (!("keep" in cell.dataset) && !inUse(cell) && now.cells[at] && cell.innerHTML !== now.cells[at].innerHTML) {
        cell.replaceChildren(...now.cells[at].childNodes);
      }
    });
  }
  const body = old.querySelector("tbody");
  if (body) body.prepend(...rows.values());
}

async function refresh() {
  refreshing = 0;
  refreshed = Date.now();
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { "x-pgjit-live": "1" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live-part]")) {
      const fresh = page.getElementById(part.id);
      if (fresh) merge(part, fresh);
    }
    tick();
  } catch {
    say("What is shown may have changed, and cannot be read now. Reload the page.");
  }
}

function refreshAt(moment) {
  if (refreshing && due <= moment) return;
  clearTimeout(refreshing);
  due = moment;
  refreshing = setTimeout(refresh, moment - Date.now());
}

function refreshSoon() {
  refreshAt(Math.max(Date.now() + REFRESH_MS, refreshed + BETWEEN_MS));
}

// Another node has changed something, which most likely is not on this page. Some pages are dear to read.
function refreshLater() {
  refreshAt(Math.max(Date.now() + REFRESH_MS, (refreshed || opened) + Number(status.dataset.elsewhere || BETWEEN_MS)));
}

// --- events -----------------------------------------------------------------------------------------------

function noteNames() {
  for (const each of document.querySelectorAll(".identity")) {
    const [name, id] = [each.querySelector("bdi"), each.querySelector(".ids[title]")];
    if (name && id) names.set(id.title.split("/").pop(), name.textContent);
  }
}

function withNames(words) {
  for (const [id, name] of names) words = words.replaceAll(id, `${name} ${id.slice(0, 8)}`);
  return words;
}

function say(text) {
  setText(status, text);
}

function clock(time) {
  return new Date(time).toISOString().slice(11, 19);
}

function heard(message) {
  const event = JSON.parse(message.data);
  after = message.lastEventId || after;
  if (!kinds.some((kind) => event.type.startsWith(kind))) return;
  if (ids.length && !event.ids.some((id) => ids.includes(id))) return;
  noteNames();
  const words = withNames(event.words);
  say(`${clock(event.time)} ${words}`);
  if (news) {
    const line = document.createElement("li");
    line.textContent = `${clock(event.time)} ${words}`;
    if (event.ended) line.className = "ended";
    news.querySelector(".empty")?.remove();
    news.prepend(line);
    while (news.children.length > MOST_NEWS) news.lastElementChild.remove();
  }
  refreshSoon();
}

function sessions(message) {
  const state = JSON.parse(message.data);
  const latest = state.sessions.slice(0, LATEST);
  const now = latest.map((each) => each.id).sort().join(" ");
  const unknown = latest.some((each) => !document.querySelector(`tr[data-key="${CSS.escape(each.id)}"]`));
  if (seen ? now !== seen : unknown) refreshSoon();
  seen = now;
  for (const each of state.sessions) {
    const row = document.querySelector(`tr[data-key="${CSS.escape(each.id)}"]`);
    if (!row) continue;
    for (const [name, text] of Object.entries(each.cells)) setText(row.querySelector(`[data-cell="${name}"]`), text);
    for (const [name, used] of Object.entries(each.used)) {
      const meter = row.querySelector(`[data-cell="${name}"] ~ meter`);
      if (meter) meter.value = used;
    }
    running(row.querySelector(".since"), each.since);
  }
  tick();
}

function running(since, moment) {
  if (!since) return;
  since.hidden = !moment;
  if (!moment) {
    delete since.dataset.since;
    return;
  }
  since.dataset.since = moment;
  if (!since.querySelector(".ago")) {
    const ago = document.createElement("span");
    ago.className = "ago";
    since.replaceChildren(ago);
  }
}

function follow() {
  if (source || document.hidden) return;
  const withSessions = "sessions" in status.dataset;
  const query = new URLSearchParams({ after, ...(withSessions ? { sessions: "true" } : {}) });
  source = new EventSource(`${status.dataset.events}?${query}`);
  source.onmessage = heard;
  source.addEventListener("live", sessions);
  source.addEventListener("gap", refreshSoon);
  source.addEventListener("changed", refreshLater);
  source.addEventListener("end", () => {
    stop();
    say("Your sign-in is over, or its rights have changed: reload the page. What is shown is not followed any more.");
  });
  source.onopen = () => setText(status, "");
  source.onerror = () => {
    const off = source && source.readyState === EventSource.CLOSED;
    say(`${off ? "This page is not followed: reload it." : "The connection is lost and tried again."} What is shown is as of ${clock(Date.now() - skew)} UTC.`);
  };
}

function stop() {
  if (source) source.close();
  source = null;
  seen = "";
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stop(); // a browser has few connections to one site: pages that nobody looks at leave theirs to others
  } else {
    follow();
    refreshSoon();
  }
});
setInterval(tick, 1000);
tick();
follow();
