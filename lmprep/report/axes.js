"use strict";

// Curves over steps, tokens or time: the choice shows one of the three.
for (const choice of document.querySelectorAll("input[name=axis]")) {
  choice.addEventListener("change", () => {
    for (const group of document.querySelectorAll("[data-axis]")) {
      group.hidden = group.dataset.axis !== choice.value;
    }
  });
}
