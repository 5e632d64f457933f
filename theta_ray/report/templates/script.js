// Everything can be read without this. It adds: a filter of the topics, the map's topics by pointer and
// keyboard, and sorting of tables by their columns.
"use strict";
(() => {
  const list = document.getElementById("topic-rows");
  const field = document.getElementById("topic-filter");
  if (list && field) {
    const said = document.getElementById("topic-filter-said");
    const rows = [...list.rows].map((row) => [row, row.textContent.toLowerCase()]);
    const filter = () => {
      const wanted = field.value.trim().toLowerCase().split(/\s+/);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !wanted.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      said.textContent = `${shown} of ${rows.length} topics shown`;
    };
    document.getElementById("topic-tools").hidden = false;
    field.addEventListener("input", filter);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        field.value = "";
        filter();
      }
    });
    addEventListener("hashchange", () => {
      const row = document.getElementById(location.hash.slice(1));
      if (row && row.hidden) {
        field.value = "";
        filter();
        row.scrollIntoView();
      }
    });
  }
  const map = document.querySelector("svg.map");
  if (map) {
    const said = document.getElementById("map-said");
    const hint = "Point at a dot, or touch it, to see what it is about.";
    said.textContent = hint;
    said.hidden = false;
    map.addEventListener("pointermove", (event) => {
      const title = event.target.closest("g.dots, circle")?.querySelector("title");
      said.textContent = title ? title.textContent : hint;
    });
    const mark = (topic) => {
      map.classList.toggle("one", topic !== undefined);
      for (const group of map.querySelectorAll(".dots")) group.classList.toggle("on", group.dataset.topic === (topic ?? null));
    };
    for (const row of document.querySelectorAll("[data-map-topic]")) {
      for (const event of ["focusin", "pointerenter"]) row.addEventListener(event, () => mark(row.dataset.mapTopic));
      for (const event of ["focusout", "pointerleave"]) row.addEventListener(event, () => mark());
    }
  }
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      if (!head.hasAttribute("data-sort")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        const value = (row) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
        const compare = (a, b) => {
          const [x, y] = [value(a), value(b)];
          if (x === "" || y === "") return x === y ? 0 : x === "" ? 1 : -1;
          const order = head.dataset.sort === "number" ? x - y : x.localeCompare(y);
          return down ? -order : order;
        };
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        body.append(...[...body.rows].sort(compare));
      });
    });
  }
})();
