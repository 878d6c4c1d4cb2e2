// Fills a table group by group, a page of rows at a time: the table never holds more than a page.
"use strict";
(function (app) {
  const SIZE = 50;
  const filled = new WeakMap();
  const make = app.make;

  // Which rows a page shows: { page, pages, first, last }, counted from 1; `last` is included.
  app.pageOf = function (state, rows) {
    const pages = Math.max(1, Math.ceil(rows.length / SIZE));
    const page = Math.min(Math.max(1, Number.parseInt(state.page, 10) || 1), pages);
    return { page, pages, first: SIZE * (page - 1) + 1, last: Math.min(SIZE * page, rows.length) };
  };

  // Rows of each group that a page shows: pages run over the groups in order.
  app.within = function (groups, { first, last }) {
    let start = 1;
    return groups.map((item) => {
      const rows = item.rows.slice(Math.max(0, first - start), Math.max(0, last + 1 - start));
      start += item.rows.length;
      return { ...item, rows };
    }).filter((item) => item.rows.length);
  };

  function bodyOf(item, columns, lineOf) {
    const name = make("span", { class: "stay" }, item.group.title);
    const title = make("th", { scope: "rowgroup", colspan: columns, class: "group" }, name);
    return make("tbody", {}, make("tr", {}, title), ...item.rows.map(lineOf));
  }

  // `key` says what is shown besides the rows' order: where nothing changes, nothing moves, and
  // focus stays where it is. Bodies are filled before they are put in place: one layout, not many.
  app.fill = function (table, groups, columns, lineOf, key) {
    const order = key + groups.map((item) => item.rows.map((row) => row.folder).join()).join(";");
    if (filled.get(table) === order) return false;
    filled.set(table, order);
    for (const old of [...table.tBodies]) old.remove();
    table.append(...groups.map((item) => bodyOf(item, columns, lineOf)));
    return true;
  };

  // Previous, next and a choice of page under a table; nothing where one page holds all.
  app.renderPages = function (place, state, rows) {
    const { page, pages, first, last } = app.pageOf(state, rows);
    place.hidden = pages < 2;
    place.querySelector("[data-page-text]").textContent = `Models ${first}–${last} of ${rows.length}`;
    const select = place.querySelector("select");
    const numbers = Array.from({ length: pages }, (_, at) => [`${at + 1}`, `${at + 1} of ${pages}`]);
    app.options(select, numbers, `${page}`);
    for (const button of place.querySelectorAll("button")) {
      const to = page + Number(button.dataset.step);
      // Not disabled: a button that was just pressed keeps the focus.
      button.setAttribute("aria-disabled", String(to < 1 || to > pages));
    }
  };
})(globalThis.PolyRefuse);
