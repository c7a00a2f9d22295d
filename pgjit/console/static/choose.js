// A text field that belongs to a radio button:  <input data-chooses="cap-other">  Typing selects the button, and selecting
// another button of the group empties the field: no form says two things. The server refuses one that does.

document.addEventListener("input", ({ target }) => {
  const radio = document.getElementById(target.dataset.chooses ?? "");
  if (radio && target.value.trim()) radio.checked = true;
});

document.addEventListener("change", ({ target }) => {
  if (target.type !== "radio") return;
  for (const field of target.closest("fieldset")?.querySelectorAll("[data-chooses]") ?? []) {
    if (field.dataset.chooses !== target.id) field.value = "";
  }
});
