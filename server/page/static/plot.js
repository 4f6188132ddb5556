// Score against size as an SVG, with the Pareto front; the table beside it says the same in words.

const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [720, 400, 64, 52, 16, 20];
const TICKS = 5;

export function plot(plans, score, size) {
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img" });
  svg.append(node("title", {}, `${score} against ${size.label}, ${plans.length} plans`));
  const x = scale(plans.map((plan) => plan[size.key]), LEFT, WIDTH - RIGHT);
  const y = scale(plans.map((plan) => plan.scores[score]), HEIGHT - BOTTOM, TOP);
  svg.append(node("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
  svg.append(node("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: HEIGHT - BOTTOM }));
  for (const value of x.ticks) svg.append(node("text", { x: x(value), y: HEIGHT - BOTTOM + 20, "text-anchor": "middle" }, size.text(value)));
  for (const value of y.ticks) svg.append(node("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value.toPrecision(3)));
  svg.append(node("text", { x: WIDTH / 2, y: HEIGHT - 8, "text-anchor": "middle" }, size.label));
  const front = plans.filter((plan) => plan.front.includes(score)).sort((a, b) => a.bpw - b.bpw);
  const points = front.map((plan) => `${x(plan[size.key])},${y(plan.scores[score])}`).join(" ");
  svg.append(node("polyline", { class: "front", points }));
  // The front is drawn last, over the others.
  for (const plan of [...plans.filter((each) => !front.includes(each)), ...front]) {
    const isBest = plan.front.includes(score);
    const at = { cx: x(plan[size.key]), cy: y(plan.scores[score]), r: isBest ? 5 : 3, class: isBest ? "best" : "" };
    const circle = node("circle", at);
    circle.append(node("title", {}, `${plan.plan}: ${plan.scores[score].toPrecision(4)}`));
    svg.append(circle);
  }
  return svg;
}

function scale(values, from, to) {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const place = (value) => from + ((value - low) / span) * (to - from);
  place.ticks = Array.from({ length: TICKS }, (_, index) => low + (span * index) / (TICKS - 1));
  return place;
}

function node(tag, attributes, text = "") {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(text);
  return made;
}
