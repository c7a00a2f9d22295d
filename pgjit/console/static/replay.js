// Plays the steps of a session with their own pauses. Without it all steps are shown, with their times.

const steps = [...document.querySelectorAll("#steps > li")];
const controls = document.getElementById("controls");
const play = document.getElementById("play");
const place = document.getElementById("place");
const speed = document.getElementById("speed");
const shorten = document.getElementById("shorten");
const where = document.getElementById("where");
const LONGEST_MS = 2000;
let at = steps.length - 1;
let timer = 0;

function show(next) {
  at = Math.max(0, Math.min(next, steps.length - 1));
  steps.forEach((step, number) => {
    step.hidden = number > at;
    if (number === at) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
  place.value = String(at);
  place.setAttribute("aria-valuetext", `step ${at + 1} of ${steps.length}`);
  where.textContent = `Step ${at + 1} of ${steps.length}, ${steps[at].dataset.text}`;
  steps[at].scrollIntoView({ block: "nearest" });
}

function pause() {
  clearTimeout(timer);
  timer = 0;
  play.textContent = "Play";
}

function next() {
  if (at >= steps.length - 1) {
    pause();
    return;
  }
  const own = Number(steps[at + 1].dataset.at) - Number(steps[at].dataset.at);
  const wait = shorten.checked ? Math.min(own, LONGEST_MS) : own;
  timer = setTimeout(() => {
    show(at + 1);
    next();
  }, wait / Number(speed.value));
}

function again() {
  if (!timer) return;
  clearTimeout(timer);
  next();
}

play.addEventListener("click", () => {
  if (timer) {
    pause();
    return;
  }
  if (at >= steps.length - 1) show(0);
  play.textContent = "Pause";
  next();
});
document.getElementById("back").addEventListener("click", () => { pause(); show(at - 1); });
document.getElementById("forward").addEventListener("click", () => { pause(); show(at + 1); });
document.getElementById("everything").addEventListener("click", () => { pause(); show(steps.length - 1); });
place.addEventListener("input", () => { pause(); show(Number(place.value)); });
speed.addEventListener("change", again);
shorten.addEventListener("change", again);
if (steps.length) {
  controls.hidden = false;
  place.max = String(steps.length - 1);
  place.value = String(at);
  where.textContent = `${steps.length} steps, all shown`;
}
