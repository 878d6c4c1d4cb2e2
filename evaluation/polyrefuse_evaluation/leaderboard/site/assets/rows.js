// Which models are shown, and in what order: filters, facets and sorting by @tanstack/table-core.
"use strict";
(function (app) {
  const lib = globalThis.TableCore;
  const board = app.board;
  const collator = (app.collator = new Intl.Collator("en"));
  const exactly = (row, id, wanted) => row.getValue(id) === wanted;
  const within = (row, id, wanted) => row.getValue(id).toLowerCase().includes(wanted.toLowerCase());
  const judgeOf = (row) => board.groups[row.group].judge;

  function compare(a, b, id) {
    const [x, y] = [a.getValue(id), b.getValue(id)];
    return x < y ? -1 : x > y ? 1 : 0;
  }

  function facet(id, accessorFn) {
    return { id, accessorFn, filterFn: exactly, enableSorting: false };
  }

  const columns = [
    { id: "model", accessorFn: (row) => row.model, filterFn: within, sortingFn: (a, b, id) =>
      collator.compare(a.getValue(id), b.getValue(id)) },
    { id: "size", accessorFn: (row) => row.parameters ?? undefined, sortingFn: compare,
      sortUndefined: "last" },
    facet("class", (row) => row.size),
    facet("family", (row) => row.family ?? "not given"),
    facet("licence", (row) => row.licence ?? "not given"),
    facet("judge", judgeOf),
    facet("verified", (row) => (row.rescored ? "rescored" : "labels")),
    facet("selftest", (row) => (row.selfTest ? "yes" : "no")),
    ...board.columns.map((item) => ({
      id: item.key, accessorFn: (row) => row.figures[item.key]?.[0], sortingFn: compare,
      sortUndefined: "last",
    })),
  ];

  let current = { columnFilters: [], sorting: [], globalFilter: undefined };
  const table = lib.createTable({
    data: board.rows,
    columns,
    getRowId: (row) => row.folder,
    getCoreRowModel: lib.getCoreRowModel(),
    getFilteredRowModel: lib.getFilteredRowModel(),
    getSortedRowModel: lib.getSortedRowModel(),
    getFacetedRowModel: lib.getFacetedRowModel(),
    getFacetedUniqueValues: lib.getFacetedUniqueValues(),
    renderFallbackValue: null,
    state: {},
    onStateChange: () => {},
  });
  const initial = table.initialState;

  // Models can be told apart by a figure only where it is better first; ties go by name.
  app.sortingOf = function (state) {
    const id = state.sort === "column" ? state.column : state.sort;
    const item = board.columns.find((column) => column.key === id);
    const descending = state.dir ? state.dir === "desc" : Boolean(item && item.higher);
    return { id, desc: descending };
  };

  app.applyState = function (state) {
    const wanted = {
      model: state.q.trim(), class: state.size, family: state.family, licence: state.licence,
      judge: state.judge, verified: state.verified, selftest: state.selftests ? "" : "no",
    };
    const filters = Object.entries(wanted).filter(([, value]) => value !== "");
    const sorting = app.sortingOf(state);
    const next = {
      columnFilters: filters.map(([id, value]) => ({ id, value })),
      sorting: sorting.id === "model" ? [sorting] : [sorting, { id: "model", desc: false }],
    };
    // Equal states keep their identity, so that nothing is filtered or sorted twice.
    for (const key of Object.keys(next)) {
      if (JSON.stringify(next[key]) !== JSON.stringify(current[key])) {
        current = { ...current, [key]: next[key] };
      }
    }
    table.setOptions((options) => ({ ...options, state: { ...initial, ...current } }));
  };

  app.shownRows = () => table.getSortedRowModel().rows.map((row) => row.original);

  // Rows by group, in the order of the board; self-tests last.
  app.byGroup = function (rows) {
    const found = board.groups.map((group, at) => ({ group, rows: rows.filter((r) => r.group === at) }));
    return found.filter((item) => item.rows.length)
      .sort((a, b) => Number(a.group.selfTest) - Number(b.group.selfTest));
  };

  // Values of a facet among rows that pass the other filters: [[value, count], ...].
  app.facets = function (id) {
    const counts = table.getColumn(id).getFacetedUniqueValues();
    return [...counts].sort(([a], [b]) => collator.compare(a, b));
  };
})(globalThis.PolyRefuse);
