"use strict";
// Brings the <title> of a mark to pointer and touch at once; without this, titles still show late.
const tip = document.getElementById("tip");
let shown = null;
function sentence(mark) {
  const title = mark.querySelector("title");
  if (title) { mark.dataset.tip = title.textContent; title.remove(); }
  return mark.dataset.tip;
}
function hide() { tip.hidden = true; shown = null; }
function show(event) {
  const mark = event.target.closest ? event.target.closest(".mark") : null;
  if (!mark) { if (shown) hide(); return; }
  if (mark !== shown) { tip.textContent = sentence(mark); tip.hidden = false; shown = mark; }
  const box = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 12, innerWidth - box.width - 8);
  const below = event.clientY + 18 + box.height < innerHeight;
  tip.style.left = Math.max(8, left) + "px";
  tip.style.top = (below ? event.clientY + 18 : event.clientY - box.height - 12) + "px";
}
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
document.addEventListener("scroll", hide, { passive: true });
