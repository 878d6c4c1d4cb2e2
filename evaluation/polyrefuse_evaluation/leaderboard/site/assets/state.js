// What the page shows, kept in the address after '#', so that a link shows the same.
"use strict";
(function (app) {
  const DEFAULTS = {
    view: "ranking", column: "refusal", sort: "column", dir: "", q: "", size: "", family: "",
    licence: "", judge: "", verified: "", selftests: "", page: "", measure: "refusal", models: "",
  };
  const VIEWS = ["ranking", "heatmap", "compare"];
  const MOST_COMPARED = 4;

  function known(list, value, fallback) {
    return list.includes(value) ? value : fallback;
  }

  // Only keys that the page knows are read; values are compared with the data's, never shown.
  app.readState = function (hash) {
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    const state = { ...DEFAULTS };
    for (const key of Object.keys(DEFAULTS)) {
      if (given.has(key)) state[key] = given.get(key);
    }
    const columns = app.board.columns.map((item) => item.key);
    const measures = app.board.measures.map((item) => item.key);
    state.view = known(VIEWS, state.view, DEFAULTS.view);
    state.column = known(columns, state.column, DEFAULTS.column);
    state.measure = known(measures, state.measure, DEFAULTS.measure);
    state.sort = known(["column", "model", "size"], state.sort, DEFAULTS.sort);
    state.dir = known(["asc", "desc"], state.dir, "");
    const folders = new Set(app.board.rows.map((row) => row.folder));
    state.models = state.models.split(",").filter((name) => folders.has(name));
    state.models = [...new Set(state.models)].slice(0, MOST_COMPARED);
    return state;
  };

  app.writeState = function (state) {
    const given = new URLSearchParams();
    for (const [key, fallback] of Object.entries(DEFAULTS)) {
      const value = key === "models" ? state.models.join(",") : state[key];
      if (value !== fallback) given.set(key, value);
    }
    return "#" + given.toString().replaceAll("%2C", ",");
  };

  app.defaults = DEFAULTS;
  app.mostCompared = MOST_COMPARED;
})((globalThis.PolyRefuse = globalThis.PolyRefuse || { board: globalThis.POLYREFUSE_BOARD }));
