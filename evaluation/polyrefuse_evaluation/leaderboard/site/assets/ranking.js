// The ranking: a plain table, one body a group, with headings that sort.
"use strict";
(function (app) {
  const make = app.make;
  const built = new Map();
  const heads = new Map();
  let latest;

  function header(id, label, explanation, kind) {
    const button = make("button", { type: "button", "data-sort": id, title: explanation }, label);
    const head = make("th", { scope: "col", class: kind }, button);
    heads.set(id, head);
    return head;
  }

  app.buildRanking = function () {
    const table = document.getElementById("ranking-table");
    const row = make("tr", {},
      make("th", { scope: "col", class: "pick" }, make("span", { class: "hidden" }, "Compare")),
      make("th", { scope: "col", class: "rank" }, "Rank"),
      header("model", "Model", "Sort by name", "name"));
    for (const item of app.board.columns) {
      row.append(header(item.key, item.title, item.explanation, `figure c-${item.key}`));
    }
    row.append(header("size", "Size", "Number of parameters", "size"));
    table.append(app.caption(""), make("thead", {}, row));
  };

  function figureCell(row, key) {
    const figure = row.figures[key];
    const cell = make("td", { class: `figure c-${key}` });
    if (!figure) {
      cell.append("–");
      return cell;
    }
    const [value, low, high, , , language] = figure;
    cell.append(
      make("span", { class: "value" }, app.percent(value, 1)), " ",
      make("span", { class: "muted" }, app.interval(low, high, 1)),
    );
    if (language) cell.append(make("span", { class: "muted block" }, app.board.languages[language].name));
    return cell;
  }

  function buildRow(row) {
    const pick = make("input", { type: "checkbox", "data-pick": row.folder });
    pick.setAttribute("aria-label", `Compare ${row.model}`);
    const about = [row.family, row.licence].filter(Boolean).join(", ");
    const name = make("th", { scope: "row", class: "name" }, app.modelLink(row));
    if (row.selfTest) name.append(" ", make("span", { class: "badge" }, "self-test"));
    if (row.rescored) {
      const title = `${row.rescored} completions were generated again`;
      name.append(" ", make("span", { class: "badge good", title }, "rescored"));
    }
    const detail = make("span", { class: "muted block" });
    detail.textContent = about;
    name.append(detail);
    const rank = make("td", { class: "rank" });
    const line = make("tr", {}, make("td", { class: "pick" }, pick), rank, name);
    const cells = {};
    for (const item of app.board.columns) {
      cells[item.key] = figureCell(row, item.key);
      line.append(cells[item.key]);
    }
    line.append(make("td", { class: "size" }, app.sizeText(row.parameters)));
    return { line, rank, pick, cells, bar: null, barOf: "" };
  }

  // Only the chosen column has bars: fewer elements to lay out again when rows move.
  function moveBar(own, row, key) {
    if (own.barOf === key) return;
    if (own.bar) own.bar.remove();
    const figure = row.figures[key];
    own.bar = figure ? app.bar(figure[0], figure[1], figure[2], "") : null;
    own.barOf = key;
    if (own.bar) own.cells[key].children[1].after(own.bar);
  }

  function mark(own, row, state) {
    moveBar(own, row, state.column);
    const text = app.rank(row.figures[state.column]);
    if (own.rank.textContent !== text) own.rank.textContent = text;
    own.pick.checked = state.models.includes(row.folder);
    own.pick.disabled = !own.pick.checked && state.models.length >= app.mostCompared;
  }

  // A row is built once, when it is first shown, and moved from then on.
  function lineOf(row) {
    if (!built.has(row.folder)) built.set(row.folder, { own: buildRow(row), row });
    const { own } = built.get(row.folder);
    mark(own, row, latest);
    return own.line;
  }

  function markHeads(state) {
    const { id, desc } = app.sortingOf(state);
    for (const [key, head] of heads) {
      if (key === id) head.setAttribute("aria-sort", desc ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    return `sorted by ${heads.get(id).textContent}, ${desc ? "highest" : "lowest"} first`;
  }

  app.renderRanking = function (state, rows) {
    const table = document.getElementById("ranking-table");
    table.dataset.column = state.column;
    latest = state;
    const said = markHeads(state);
    table.caption.firstChild.textContent = `Models by group, ${said}; figures in percent with 95% intervals`;
    const item = app.board.columns.find((column) => column.key === state.column);
    const better = item.higher ? "Higher is better." : "Lower is better.";
    document.getElementById("explanation").textContent = `${item.explanation} ${better}`;
    const groups = app.within(app.byGroup(rows), app.pageOf(state, rows));
    const width = app.board.columns.length + 4;
    if (!app.fill(table, groups, width, lineOf, `${state.column}:`)) {
      for (const { own, row } of built.values()) mark(own, row, state);
    }
  };
})(globalThis.PolyRefuse);
