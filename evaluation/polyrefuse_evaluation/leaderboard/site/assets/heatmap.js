// Languages by model: a grid whose cells are read with pointer or arrow keys.
"use strict";
(function (app) {
  const make = app.make;
  const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  let lines = [];

  function colour(cell, value) {
    cell.style.setProperty("--share", `${Math.round(60 * value)}%`);
  }

  function valueCell(row, code, measure) {
    const at = app.board.groups[row.group].languages.indexOf(code);
    const found = at < 0 ? null : row.cells[measure][at];
    const cell = make("td", { tabindex: "-1", "data-folder": row.folder, "data-language": code });
    cell.textContent = found ? app.percent(found[2], 0) : "–";
    if (found && found[2] !== null) colour(cell, found[2]);
    return cell;
  }

  function headRow(codes) {
    const row = make("tr", {}, make("th", { scope: "col", class: "name" }, "Model"));
    for (const code of codes) {
      const link = make("a", { href: `languages/${code}.html`, title: app.board.languages[code].name });
      link.append(make("span", { class: "hidden" }, app.board.languages[code].name),
        make("span", { "aria-hidden": "true" }, code));
      row.append(make("th", { scope: "col" }, link));
    }
    return row;
  }

  app.renderHeatmap = function (state, rows) {
    const table = document.getElementById("heatmap-table");
    const measure = app.board.measures.find((item) => item.key === state.measure);
    const groups = app.within(app.byGroup(rows), app.pageOf(state, rows));
    const used = new Set(groups.flatMap((item) => item.group.languages));
    const codes = Object.keys(app.board.languages).filter((code) => used.has(code));
    const caption = app.caption(`${measure.title} by model and language, in percent of responses`);
    const lineOf = (row) => {
      const cells = codes.map((code) => valueCell(row, code, state.measure));
      if (!lines.length && cells.length) cells[0].tabIndex = 0;
      lines.push(cells);
      return make("tr", {}, make("th", { scope: "row", class: "name" }, app.modelLink(row)), ...cells);
    };
    const before = lines;
    lines = [];
    if (!app.fill(table, groups, codes.length + 1, lineOf, `${state.measure}:`)) {
      lines = before;
      return;
    }
    if (table.caption) table.caption.remove();
    if (table.tHead) table.tHead.remove();
    table.prepend(caption, make("thead", {}, headRow(codes)));
    document.getElementById("cell").textContent = "No cell is selected.";
  };

  // What a cell says, in a sentence.
  app.cellSentence = function (row, code, key) {
    const measure = app.board.measures.find((item) => item.key === key);
    const language = app.board.languages[code].name;
    const at = app.board.groups[row.group].languages.indexOf(code);
    const found = at < 0 ? null : row.cells[key][at];
    if (!found || found[2] === null) return `${row.model}, ${language}: not measured.`;
    const [count, judged, value, low, high] = found;
    const [verb, rest] = measure.says.split(" of ");
    return `${row.model}, ${language}: ${verb} ${count} of ${judged} ${rest}, ` +
      `${app.percent(value, 1)}%, 95% interval ${app.interval(low, high, 1)}%.`;
  };

  function select(cell, state) {
    const table = document.getElementById("heatmap-table");
    for (const old of table.querySelectorAll('td[tabindex="0"]')) old.tabIndex = -1;
    cell.tabIndex = 0;
    const row = app.board.rows.find((item) => item.folder === cell.dataset.folder);
    const text = app.cellSentence(row, cell.dataset.language, state.measure);
    document.getElementById("cell").textContent = text;
  }

  function move(event) {
    const at = lines.findIndex((cells) => cells.includes(event.target));
    if (at < 0) return;
    const column = lines[at].indexOf(event.target);
    let [row, next] = [at, column];
    if (MOVES[event.key]) [row, next] = [at + MOVES[event.key][0], column + MOVES[event.key][1]];
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = lines[at].length - 1;
    else return;
    event.preventDefault();
    const cell = lines[row] && lines[row][next];
    if (cell) cell.focus();
  }

  app.listenToHeatmap = function (state) {
    const table = document.getElementById("heatmap-table");
    const chosen = (event) => {
      const cell = event.target.closest("td");
      if (cell) select(cell, state());
    };
    table.addEventListener("focusin", chosen);
    table.addEventListener("click", chosen);
    table.addEventListener("keydown", move);
  };
})(globalThis.PolyRefuse);
