// Loads the page again after the seconds that `data-again` of an element has: the journal was still being read.
// The address stays the same, and no form is sent twice: a page that is the answer to one is left alone, and so is a
// page in which somebody has begun to type.

const waiting = document.querySelector("[data-again]");
if (waiting !== null && document.querySelector("form[method=post] textarea") === null) {
  const seconds = Math.min(Math.max(Number(waiting.dataset.again) || 30, 2), 600);
  const timer = setTimeout(() => location.reload(), seconds * 1000);
  document.addEventListener("input", () => clearTimeout(timer), { once: true });
}
