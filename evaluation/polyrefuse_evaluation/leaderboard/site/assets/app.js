// Wires controls, address and views together.
"use strict";
(function (app) {
  const FACETS = { size: "class", family: "family", licence: "licence", judge: "judge", verified: "verified" };
  const WORDS = { labels: "recomputed from labels", rescored: "also rescored" };
  const STAYS = ["page", "models", "measure"];
  const form = document.getElementById("filters");
  const box = form.closest("details");
  const TITLES = { ranking: "Ranking", heatmap: "Languages", compare: "Compare" };
  let state;
  let retry;

  function nameOf(key, value) {
    if (key === "verified") return WORDS[value];
    if (key === "size") return app.board.sizes.find(([name]) => name === value)[1];
    return value;
  }

  function order(key, items) {
    if (key !== "size") return items;
    const places = app.board.sizes.map(([name]) => name);
    return [...items].sort(([a], [b]) => places.indexOf(a) - places.indexOf(b));
  }

  function renderFilters() {
    for (const [key, id] of Object.entries(FACETS)) {
      const found = order(key, app.facets(id)).map(([value, count]) =>
        [value, `${nameOf(key, value)} (${count})`]);
      // A chosen value that the other filters leave nothing of stays chosen, and visible.
      if (state[key] && !found.some(([value]) => value === state[key])) {
        found.push([state[key], `${key === "size" || key === "verified" ? "chosen" : state[key]} (0)`]);
      }
      app.options(form.elements[key], [["", "All"], ...found], state[key]);
    }
    if (form.elements.q.value !== state.q) form.elements.q.value = state.q;
    form.elements.selftests.checked = Boolean(state.selftests);
  }

  function render() {
    app.applyState(state);
    const rows = app.shownRows();
    for (const name of Object.keys(TITLES)) document.getElementById(name).hidden = name !== state.view;
    document.getElementById("reference").hidden = state.view !== "ranking";
    document.querySelector(".lead-in p").hidden = state.view !== "ranking";
    document.title = `${TITLES[state.view]}: PolyRefuse leaderboard`;
    const ticked = state.models.length ? ` (${state.models.length})` : "";
    document.querySelector("[data-view=compare]").textContent = TITLES.compare + ticked;
    box.hidden = state.view === "compare";
    for (const link of document.querySelectorAll("[data-view]")) {
      const here = link.dataset.view === state.view;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      link.href = app.writeState({ ...state, view: link.dataset.view });
    }
    renderFilters();
    const all = app.board.rows.filter((row) => state.selftests || !row.selfTest).length;
    const count = document.getElementById("count");
    count.hidden = state.view === "compare";
    count.textContent = rows.length ? `${rows.length} of ${all} models` : noneText(all);
    document.getElementById("column").value = state.column;
    for (const select of document.querySelectorAll(".measure")) select.value = state.measure;
    for (const place of document.querySelectorAll(`#${state.view} .pages`)) {
      app.renderPages(place, state, rows);
    }
    if (state.view === "ranking") app.renderRanking(state, rows);
    if (state.view === "heatmap") app.renderHeatmap(state, rows);
    if (state.view === "compare") app.renderCompare(state);
  }

  function noneText(all) {
    if (all) return "No model passes these filters.";
    return app.board.rows.length ? "No model yet; self-tests are hidden." : "No model yet.";
  }

  // What changes which rows there are, or their order, leads back to the first page.
  function update(changes) {
    const stays = Object.keys(changes).every((key) => STAYS.includes(key));
    state = { ...state, ...(stays ? {} : { page: "" }), ...changes };
    keepAddress();
    render();
  }

  // Some browsers refuse many changes in a row (fast typing): then the last one is kept later.
  function keepAddress() {
    clearTimeout(retry);
    try {
      history.replaceState(null, "", app.writeState(state));
    } catch {
      retry = setTimeout(keepAddress, 1000);
    }
  }

  // The new page is read from its top; the pressed control keeps the focus.
  function turnTo(page) {
    update({ page: page > 1 ? `${page}` : "" });
    document.getElementById(`${state.view}-title`).scrollIntoView();
  }

  function sortBy(id) {
    const isColumn = id !== "model" && id !== "size";
    const now = app.sortingOf(state);
    const next = isColumn ? { column: id, sort: "column", dir: "" } : { sort: id, dir: "asc" };
    if (now.id === id) next.dir = now.desc ? "asc" : "desc";
    update(next);
  }

  function listen() {
    form.addEventListener("submit", (event) => event.preventDefault());
    form.elements.q.addEventListener("input", (event) => update({ q: event.target.value }));
    form.addEventListener("change", (event) => {
      const { name, type, value, checked } = event.target;
      update({ [name]: type === "checkbox" ? (checked ? "1" : "") : value });
    });
    document.getElementById("reset").addEventListener("click", () => {
      const { q, size, family, licence, judge, verified, selftests } = app.defaults;
      update({ q, size, family, licence, judge, verified, selftests });
    });
    document.getElementById("column").addEventListener("change", (event) =>
      update({ column: event.target.value, sort: "column", dir: "" }));
    for (const select of document.querySelectorAll(".measure")) {
      select.addEventListener("change", (event) => update({ measure: event.target.value }));
    }
    document.getElementById("add").addEventListener("change", (event) => {
      if (event.target.value) update({ models: [...state.models, event.target.value] });
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.sort) sortBy(button.dataset.sort);
      if (button.dataset.step && button.getAttribute("aria-disabled") !== "true") {
        turnTo(app.pageOf(state, app.shownRows()).page + Number(button.dataset.step));
      }
      if (button.dataset.remove) {
        update({ models: state.models.filter((name) => name !== button.dataset.remove) });
        document.getElementById("add").focus();
      }
    });
    for (const select of document.querySelectorAll(".pages select")) {
      select.addEventListener("change", (event) => turnTo(Number(event.target.value)));
    }
    document.getElementById("ranking-table").addEventListener("change", (event) => {
      const { pick } = event.target.dataset;
      if (!pick) return;
      const others = state.models.filter((name) => name !== pick);
      update({ models: event.target.checked ? [...others, pick] : others });
    });
    app.listenToHeatmap(() => state);
    globalThis.addEventListener("hashchange", () => {
      state = app.readState(location.hash);
      render();
    });
  }

  state = app.readState(location.hash);
  app.applyState(state);
  app.buildRanking();
  app.options(document.getElementById("column"), app.board.columns.map((x) => [x.key, x.title]), state.column);
  for (const select of document.querySelectorAll(".measure")) {
    app.options(select, app.board.measures.map((x) => [x.key, x.title]), state.measure);
  }
  // On a wide screen the filters always show; on a phone they open on demand, or where they filter.
  const wide = matchMedia("(min-width: 50.01rem)");
  const filtered = ["q", "size", "family", "licence", "judge", "verified"].some((key) => state[key]);
  box.open = wide.matches || filtered;
  wide.addEventListener("change", () => (box.open = wide.matches || box.open));
  listen();
  render();
})(globalThis.PolyRefuse);
