// Making DOM nodes; text never becomes markup.

export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function table(caption, heads, rows) {
  const cell = (tag, value) => {
    const isNumber = value !== null && typeof value === "object" && "number" in value;
    const content = isNumber ? value.number : value;
    const node = element(tag, isNumber ? { className: "number" } : {}, content ?? "–");
    if (tag === "th") node.scope = "col";
    return node;
  };
  const body = rows.map((row) => element("tr", {}, ...row.map((value) => cell("td", value))));
  const made = element(
    "table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...heads.map((value) => cell("th", value)))),
    element("tbody", {}, ...body),
  );
  // What scrolls must be reachable by keyboard.
  return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, made);
}

export const number = (value) => ({ number: value });

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  const step = count <= 0 ? 0 : Math.min(4, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** step).toFixed(step ? 2 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][step]}`;
}

export const fixed = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
export const percent = (share, digits = 1) => (Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : "–");
