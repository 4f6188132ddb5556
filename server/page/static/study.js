// The third tab: what each bit bought, over all plans of a study.

import { bytes, element, fixed, number, table } from "./element.js";
import { get } from "./gateway.js";
import { plot } from "./plot.js";

const SIZES = [
  { key: "bpw", label: "Bits per weight", text: (value) => fixed(value, 1) },
  { key: "bytes", label: "Bytes", text: bytes },
];

class Study extends HTMLElement {
  connectedCallback() {
    this.message = element("p", { role: "status", className: "note" });
    this.score = element("select", { id: "score" });
    this.size = element("select", { id: "size" }, ...SIZES.map((size) => element("option", { value: size.key }, size.label)));
    this.controls = element(
      "div", { className: "row", hidden: true },
      element("label", { className: "row" }, "Score", this.score), element("label", { className: "row" }, "Size", this.size),
    );
    this.body = element("div");
    this.append(element("h2", {}, "Study"), this.message, this.controls, this.body);
    for (const select of [this.score, this.size]) select.addEventListener("change", () => this.draw());
    addEventListener("bitloom-tab", () => this.load());
    addEventListener("bitloom-key", () => this.load());
  }

  async load() {
    if (this.closest("[hidden]")) return;
    try {
      this.figures = await get("/page/study");
      this.message.textContent = this.figures.message ?? "";
      const kept = this.score.value;
      this.score.replaceChildren(...this.figures.scores.map((name) => element("option", { value: name }, name)));
      if (this.figures.scores.includes(kept)) this.score.value = kept;
      this.controls.hidden = !this.figures.plans.length;
      this.draw();
    } catch (error) {
      this.message.textContent = error.message;
    }
  }

  draw() {
    const { plans } = this.figures;
    if (!plans.length) return this.body.replaceChildren();
    const score = this.score.value;
    const size = SIZES.find((each) => each.key === this.size.value);
    const front = plans.filter((plan) => plan.front.includes(score)).sort((a, b) => a.bpw - b.bpw);
    const rows = front.map((plan) => [
      plan.plan, number(fixed(plan.bpw, 2)), number(bytes(plan.bytes)),
      number(`${fixed(plan.scores[score], 3)} ± ${fixed(1.96 * plan.errors[score], 3)}`),
    ]);
    const heads = ["Plan", number("Bits/weight"), number("Bytes"), number(`${score}, 95 %`)];
    this.body.replaceChildren(plot(plans, score, size), table("The Pareto front: no plan is smaller and better", heads, rows));
  }
}

customElements.define("bl-study", Study);
