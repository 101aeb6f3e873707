"use strict";
// A search field filters the rows of the table it names; all words must be in a row.
for (const field of document.querySelectorAll("input[data-filters]")) {
  const table = document.getElementById(field.dataset.filters);
  const rows = Array.from(table.tBodies[0].rows, (row) => [row, row.textContent.toLowerCase()]);
  const said = field.closest(".find").querySelector("output");
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    said.textContent = words.length ? `${shown} of ${rows.length}` : `${rows.length}`;
  };
  field.addEventListener("input", filter);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { field.value = ""; filter(); }
  });
  for (const button of document.querySelectorAll(`button[data-into="${field.id}"]`)) {
    button.addEventListener("click", () => { field.value = button.dataset.text; filter(); field.focus(); });
  }
  field.closest(".find").hidden = false;
  filter();
}
for (const list of document.querySelectorAll(".pills")) { list.hidden = false; }
// The treemap: one stop of the tab key, arrow keys go from file to file.
const map = document.querySelector(".map");
if (map) {
  const tiles = Array.from(map.querySelectorAll("g"));
  const said = document.getElementById("said");
  const tell = (tile) => { said.textContent = tile.querySelector("title").textContent; };
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  for (const [index, tile] of tiles.entries()) {
    tile.addEventListener("mouseenter", () => tell(tile));
    tile.addEventListener("focus", () => tell(tile));
    tile.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      const next = event.key === "Home" ? 0 : event.key === "End" ? tiles.length - 1
        : step && (index + step + tiles.length) % tiles.length;
      if (next === undefined) { return; }
      event.preventDefault();
      tile.setAttribute("tabindex", "-1");
      tiles[next].setAttribute("tabindex", "0");
      tiles[next].focus();
    });
  }
}
// A printed page shows everything.
addEventListener("beforeprint", () => {
  for (const closed of document.querySelectorAll("details:not([open])")) { closed.open = true; }
});
