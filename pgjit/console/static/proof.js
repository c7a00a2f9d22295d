// Shows how far a verification is, and its result when it is over.

const EVERY = 2000; // milliseconds

const line = document.querySelector("[data-verification=running]");
if (line !== null) {
  const bar = line.querySelector("progress");
  const percent = line.querySelector("[data-percent]");
  const look = async () => {
    try {
      const answer = await fetch("/proof/progress", { headers: { accept: "application/json" } });
      if (answer.status === 401 || answer.status === 403) {
        location.reload(); // the sign-in is over, or the role is gone: the page says so
        return;
      }
      if (answer.ok) {
        const state = await answer.json();
        if (state.state !== "running") {
          location.reload();
          return;
        }
        bar.value = state.percent;
        percent.textContent = `${state.percent} %`;
      } else {
        percent.textContent = "is not known now";
      }
    } catch {
      percent.textContent = "is not known now";
    }
    setTimeout(look, EVERY);
  };
  setTimeout(look, EVERY);
}
