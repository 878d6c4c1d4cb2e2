// Up to four models side by side: the figures, then one measure in each language.
"use strict";
(function (app) {
  const make = app.make;

  function head(rows, first) {
    const row = make("tr", {}, make("th", { scope: "col" }, first));
    for (const model of rows) {
      const remove = make("button", { type: "button", "data-remove": model.folder }, "Remove");
      remove.setAttribute("aria-label", `Remove ${model.model}`);
      row.append(make("th", { scope: "col" }, app.modelLink(model), " ", remove));
    }
    return make("thead", {}, row);
  }

  function cellOf(value, low, high, note) {
    if (value === null || value === undefined) return make("td", {}, "–");
    return make("td", {}, app.bar(value, low, high),
      make("span", { class: "value" }, app.percent(value, 1)), " ",
      make("span", { class: "muted" }, app.interval(low, high, 1)), " ",
      note ? make("span", { class: "muted whole" }, note) : null);
  }

  function figures(rows) {
    const body = make("tbody", {});
    for (const item of app.board.columns) {
      const cells = rows.map((row) => {
        const figure = row.figures[item.key];
        if (!figure) return cellOf(null);
        const note = `rank ${app.rank(figure)}`;
        return cellOf(figure[0], figure[1], figure[2], note);
      });
      body.append(make("tr", {}, make("th", { scope: "row" }, item.title), ...cells));
    }
    return make("table", { class: "board side", id: "compared-figures" },
      app.caption("Figures in percent, with 95% intervals and ranks"),
      head(rows, "Figure"), body);
  }

  function languages(rows, measure) {
    const used = new Set(rows.flatMap((row) => app.board.groups[row.group].languages));
    const body = make("tbody", {});
    for (const code of Object.keys(app.board.languages).filter((item) => used.has(item))) {
      const cells = rows.map((row) => {
        const at = app.board.groups[row.group].languages.indexOf(code);
        const found = at < 0 ? null : row.cells[measure.key][at];
        return found ? cellOf(found[2], found[3], found[4]) : cellOf(null);
      });
      const name = make("th", { scope: "row" },
        make("a", { href: `languages/${code}.html` }, app.languageName(code)));
      body.append(make("tr", {}, name, ...cells));
    }
    return make("table", { class: "board side", id: "compared-languages" },
      app.caption(`${measure.title} by language, in percent, with 95% intervals`),
      head(rows, "Language"), body);
  }

  function region(label, table) {
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
  }

  app.renderCompare = function (state) {
    const rows = state.models.map((name) => app.board.rows.find((row) => row.folder === name));
    const place = document.getElementById("comparison");
    const others = app.board.rows
      .filter((row) => !state.models.includes(row.folder) && (!row.selfTest || state.selftests))
      .sort((a, b) => app.collator.compare(a.model, b.model));
    const add = document.getElementById("add");
    app.options(add, [["", "Choose"], ...others.map((row) => [row.folder, row.model])], "");
    add.disabled = rows.length >= app.mostCompared;
    if (!rows.length) {
      const text = `Choose up to ${app.mostCompared} models here, or tick them in the ranking.`;
      place.replaceChildren(make("p", {}, text));
      return;
    }
    const measure = app.board.measures.find((item) => item.key === state.measure);
    const parts = [];
    if (new Set(rows.map((row) => row.group)).size > 1) {
      parts.push(make("p", { class: "note", role: "note" },
        "These models were measured under different settings: their figures are not of the same prompts or judge."));
    }
    parts.push(region("Figures", figures(rows)), region("By language", languages(rows, measure)));
    place.replaceChildren(...parts);
  };
})(globalThis.PolyRefuse);
