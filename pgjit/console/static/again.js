// Loads the page again after the seconds that `data-again` of an element has: the journal was still being read.
// The address stays the same, and nothing is sent twice: pages that were the answer to a form have no such element.

const waiting = document.querySelector("[data-again]");
if (waiting !== null && document.querySelector("form[method=post] textarea") === null) {
  const seconds = Math.min(Math.max(Number(waiting.dataset.again) || 30, 2), 600);
  setTimeout(() => location.reload(), seconds * 1000);
}
