// Reads a part of a page again while the page is open:  <div data-refresh="/health/checks" data-every="10" data-news="news">
// What cannot be read again is marked as old: it is not shown as if it were of now. A change of the part's
// `data-summary` is announced in the element that `data-news` names: a screen reader does not read all of it again.

const PARTS = document.querySelectorAll("[data-refresh]");

function mark(part, text) {
  let note = part.querySelector(":scope > .stale");
  if (!text) {
    note?.remove();
    return;
  }
  if (!note) {
    note = document.createElement("p");
    note.className = "stale unknown";
    note.setAttribute("role", "status");
    part.prepend(note);
  }
  note.textContent = text;
}

function summary(part) {
  return part.querySelector("[data-summary]")?.dataset.summary ?? "not known";
}

function announce(part, text) {
  const news = document.getElementById(part.dataset.news ?? "");
  if (news) news.textContent = text;
}

async function refresh(part) {
  if (document.hidden) return true;
  try {
    const answer = await fetch(part.dataset.refresh, { headers: { accept: "text/html" }, redirect: "error" });
    if (answer.status === 401 || answer.status === 403) {
      mark(part, "You are signed out, or this page is not open to you any more: what is below is old. Open the page again.");
      return false;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    const read = new DOMParser().parseFromString(text, "text/html");
    const before = summary(part);
    part.replaceChildren(...document.importNode(read.body, true).childNodes);
    if (summary(part) !== before) announce(part, summary(part));
  } catch {
    mark(part, "It could not be read again: what is below is old.");
  }
  return true;
}

for (const part of PARTS) {
  const every = Math.max(2, Number(part.dataset.every) || 10) * 1000;
  const next = async () => {
    if (await refresh(part)) setTimeout(next, every);
  };
  setTimeout(next, every);
}
