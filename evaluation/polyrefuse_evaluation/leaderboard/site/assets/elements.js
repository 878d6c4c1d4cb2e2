// Elements and texts. Text of submissions reaches the page as text nodes only.
"use strict";
(function (app) {
  app.make = function (tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children) {
      if (child !== null && child !== undefined) element.append(child);
    }
    return element;
  };
  const make = app.make;

  app.caption = (text) => make("caption", {}, make("span", { class: "stay" }, text));

  // As `percent` of the report: only a true 0 or 1 reads 0.0 or 100.0.
  app.percent = function (fraction, decimals) {
    if (fraction === null || fraction === undefined) return "–";
    const value = 100 * fraction;
    const text = value.toFixed(decimals);
    const certain = value < 1e-9 || Math.abs(value - 100) < 1e-9;
    if ((Number(text) === 0 || Number(text) === 100) && !certain) {
      if (value < 50) return value < 0.05 ? "<0.1" : value.toFixed(1);
      return value >= 99.95 ? ">99.9" : value.toFixed(1);
    }
    return text;
  };

  app.interval = function (low, high, decimals) {
    if (low === null || high === null) return "";
    return `${(100 * Math.max(low, 0)).toFixed(decimals)}–${(100 * high).toFixed(decimals)}`;
  };

  app.rank = function (figure) {
    if (!figure || figure[3] === null) return "–";
    return figure[3] === figure[4] ? `${figure[3]}` : `${figure[3]}–${figure[4]}`;
  };

  app.sizeText = function (parameters) {
    if (parameters === null) return "unknown";
    for (const [unit, name] of [[1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
      if (parameters >= unit) {
        const value = parameters / unit;
        return `${value.toFixed(value >= 100 ? 0 : 1)} ${name}`;
      }
    }
    return `${parameters}`;
  };

  // A bar with its interval; what it shows stands beside it as text.
  app.bar = function (value, low, high, kind) {
    const fill = make("span", { class: "fill" });
    fill.style.width = `${100 * value}%`;
    const bar = make("span", { class: `bar ${kind || ""}`, "aria-hidden": "true" }, fill);
    if (low !== null && high !== null) {
      const whisker = make("span", { class: "whisker" });
      whisker.style.left = `${100 * low}%`;
      whisker.style.width = `${100 * (high - low)}%`;
      bar.append(whisker);
    }
    return bar;
  };

  app.modelLink = function (row) {
    const name = make("bdi", {});
    name.textContent = row.model;
    return make("a", { href: `models/${encodeURIComponent(row.folder)}.html` }, name);
  };

  app.languageName = function (code) {
    const language = app.board.languages[code];
    const name = make("span", {}, language.name);
    if (language.native !== language.name) {
      name.append(" ", make("bdi", { class: "native", lang: code, dir: language.dir }, language.native));
    }
    return name;
  };

  // Choices that are there already are not made again: that would cost a layout at every sort.
  const offered = new WeakMap();
  app.options = function (select, items, chosen) {
    const key = JSON.stringify(items);
    if (offered.get(select) !== key) {
      offered.set(select, key);
      select.replaceChildren(
        ...items.map(([value, text]) => {
          const option = make("option", { value });
          option.textContent = text;
          return option;
        }),
      );
    }
    if (select.value !== chosen) select.value = chosen;
  };
})(globalThis.PolyRefuse);
