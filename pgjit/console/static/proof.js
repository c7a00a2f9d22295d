// Shows how far a verification is, and its result when it is over. Screen readers get every quarter of it.

const EVERY = 2000; // milliseconds
const FIRST = 700; // a small journal is verified by then
const QUARTER = 25; // per cent

const line = document.querySelector("[data-verification=running]");
if (line !== null) {
  const bar = line.querySelector("progress");
  const percent = line.querySelector("[data-percent]");
  const said = line.querySelector("[data-said]");
  let quarter = Math.floor(bar.value / QUARTER);
  const show = (value) => {
    bar.value = value;
    percent.textContent = `${value} %`;
    if (Math.floor(value / QUARTER) !== quarter) {
      quarter = Math.floor(value / QUARTER);
      said.textContent = `${value} % are read`;
    }
  };
  const look = async () => {
    try {
      const answer = await fetch("/proof/progress", { headers: { accept: "application/json" } });
      if (answer.status === 401 || answer.status === 403) {
        location.reload(); // the sign-in is over, or the role is gone: the page shows it
        return;
      }
      const state = answer.ok ? await answer.json() : null;
      if (state === null) {
        percent.textContent = "is not known now";
      } else if (state.state !== "running") {
        location.reload();
        return;
      } else {
        show(state.percent);
      }
    } catch {
      percent.textContent = "is not known now";
    }
    setTimeout(look, EVERY);
  };
  setTimeout(look, FIRST);
}
