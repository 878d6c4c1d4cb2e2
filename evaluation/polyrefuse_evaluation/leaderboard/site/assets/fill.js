// Fills a table group by group: what is seen first at once, the rest in short steps.
"use strict";
(function (app) {
  const FIRST = 60;
  const STEP = 60;
  const pending = new WeakMap();
  const filled = new WeakMap();
  const make = app.make;

  function groupBody(group, columns) {
    const name = make("span", { class: "stay" }, group.title);
    const title = make("th", { scope: "rowgroup", colspan: columns, class: "group" }, name);
    return make("tbody", {}, make("tr", {}, title));
  }

  // Rows to show of each group: the first `limit` over all groups.
  app.within = function (groups, limit) {
    let left = limit;
    return groups.map((item) => {
      const rows = item.rows.slice(0, left);
      left -= rows.length;
      return { ...item, rows };
    }).filter((item) => item.rows.length);
  };

  // `key` says what is shown besides the rows' order: where nothing changes, nothing moves, and
  // focus stays where it is. The table is busy until the last row is there.
  app.fill = function (table, groups, columns, lineOf, key) {
    const order = key + groups.map((item) => item.rows.map((row) => row.folder).join()).join(";");
    if (filled.get(table) === order) return false;
    filled.set(table, order);
    clearTimeout(pending.get(table));
    const queue = [];
    const bodies = groups.map((item) => {
      const body = groupBody(item.group, columns);
      for (const row of item.rows) queue.push([body, row]);
      return body;
    });
    const place = table.parentElement;
    if (queue.length > FIRST) place.style.minHeight = `${place.offsetHeight}px`;
    for (const old of [...table.tBodies]) old.remove();

    let at = 0;
    const step = (count) => {
      const end = Math.min(queue.length, at + count);
      for (; at < end; at++) queue[at][0].append(lineOf(queue[at][1]));
      for (const body of bodies) if (!body.isConnected && body.rows.length > 1) table.append(body);
      table.setAttribute("aria-busy", String(at < queue.length));
      if (at < queue.length) pending.set(table, setTimeout(step, 0, STEP));
      else place.style.minHeight = "";
    };
    step(FIRST);
    return true;
  };
})(globalThis.PolyRefuse);
