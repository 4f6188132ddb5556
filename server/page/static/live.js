// The second tab: variants and their states, routes and weights, experiments; read anew while it is shown.

import { bytes, element, fixed, number, percent, table } from "./element.js";
import { experiment } from "./experiment.js";
import { get } from "./gateway.js";

const EVERY_MS = 3000;

class Live extends HTMLElement {
  connectedCallback() {
    this.message = element("p", { role: "status", className: "error" });
    this.body = element("div");
    this.append(element("h2", {}, "Live"), this.message, this.body);
    addEventListener("bitloom-tab", () => this.refresh());
    addEventListener("bitloom-key", () => this.refresh());
    setInterval(() => this.refresh(), EVERY_MS);
  }

  async refresh() {
    if (this.closest("[hidden]") || document.hidden || this.isBusy) return;
    this.isBusy = true;
    try {
      const overview = await get("/page/overview");
      const divided = overview.routes.filter((route) => route.arms.length > 1);
      const experiments = await Promise.all(divided.map((route) => this.experiment(route)));
      this.body.replaceChildren(variants(overview), ...routes(overview), ...experiments);
      this.message.textContent = "";
    } catch (error) {
      this.message.textContent = error.message;
    } finally {
      this.isBusy = false;
    }
  }

  async experiment(route) {
    const heading = element("h2", {}, `Experiment ${route.name}`);
    try {
      const found = await get(`/admin/experiments/${encodeURIComponent(route.name)}`);
      return element("section", {}, heading, ...experiment(found));
    } catch (error) {
      return element("section", {}, heading, element("p", { className: "note" }, `No figures: ${error.message}.`));
    }
  }
}

function variants(overview) {
  const heads = ["Variant", "State", "Engine", number("Bytes"), number("Bits/weight"), number("Memory"),
    number("In flight"), number("Votes won")];
  const rows = overview.variants.map((each) => [
    each.name, each.state, each.engine ?? "remote", number(bytes(each.bytes)),
    number(fixed(each.bpw ?? NaN, 2)), number(bytes(each.memory_bytes)), number(String(each.in_flight)),
    number(`${each.votes_won} of ${each.votes}`),
  ]);
  return table("Variants, as they are now", heads, rows);
}

function routes(overview) {
  if (!overview.routes.length) return [element("p", { className: "note" }, "No routes: every model is a variant.")];
  const rows = overview.routes.flatMap((route) => route.arms.map((arm, index) => [
    index ? "" : route.name, arm.variant + (arm.variant === route.control ? " (control)" : ""),
    number(percent(arm.share)),
  ]));
  return [table("Routes and the share that each arm serves", ["Route", "Arm", number("Share")], rows)];
}

customElements.define("bl-live", Live);
