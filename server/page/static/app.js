// Tabs and the key; each tab is an element of its own.

import "./compare.js";
import "./live.js";
import "./study.js";
import { keepKey, key } from "./gateway.js";

const tabs = [...document.querySelectorAll("[role=tab]")];

function show(chosen) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
  history.replaceState(null, "", `#${chosen.id.replace("tab-", "")}`);
  dispatchEvent(new Event("bitloom-tab"));
}

for (const [index, tab] of tabs.entries()) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const place = { Home: 0, End: tabs.length - 1 }[event.key] ?? (step ? (index + step + tabs.length) % tabs.length : null);
    if (place === null) return;
    event.preventDefault();
    tabs[place].focus();
    show(tabs[place]);
  });
}

const field = document.getElementById("key");
field.value = key();
field.addEventListener("change", () => {
  keepKey(field.value);
  dispatchEvent(new Event("bitloom-key"));
});

const wanted = document.getElementById(`tab-${location.hash.slice(1)}`);
if (wanted) show(wanted);
