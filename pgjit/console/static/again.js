// Reads the page again after the seconds that `data-again` of an element has, until there is an answer: the journal was
// still being read. That is no use of the sign-in: a page that waits has an idle end like any other.
// The address stays the same, and no form is sent twice: a page that is the answer to one is left alone, and so is a
// page in which somebody has begun to type.

const waiting = document.querySelector("[data-again]");
let typed = false;
document.addEventListener("input", () => { typed = true; }, { once: true });

async function look() {
  if (typed) return;
  try {
    const answer = await fetch(location.href, { headers: { "x-pgjit-live": "1" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const still = page.querySelector("[data-again]");
    if (typed) return;
    if (still === null) {
      location.reload(); // the answer, or that the sign-in is over
      return;
    }
    document.querySelector("main").replaceChildren(...document.importNode(page.querySelector("main"), true).childNodes);
    lookIn(still);
  } catch {
    lookIn(waiting); // the connection is lost
  }
}

function lookIn(element) {
  const seconds = Math.min(Math.max(Number(element.dataset.again) || 30, 2), 600);
  setTimeout(look, seconds * 1000);
}

if (waiting !== null && document.querySelector("form[method=post] textarea") === null) lookIn(waiting);
