// The card of one variant's answer: text, figures, vote.

import { bytes, element, fixed } from "./element.js";
import { ask, tokensPerSecond } from "./stream.js";

export class Answer {
  constructor(variant, letter, isBlind, onVote) {
    this.variant = variant;
    this.label = isBlind ? `Answer ${letter}` : variant.name;
    this.done = null;
    this.heading = element("h3", {}, this.label);
    this.text = element("p", { className: "text", ariaLive: "polite" });
    this.figures = element("dl");
    this.vote = element("button", { type: "button", disabled: true }, `${this.label} is better`);
    this.vote.addEventListener("click", () => onVote(this));
    this.node = element("article", { tabIndex: -1 }, this.heading, this.text, this.figures, this.vote);
    this.isNamed = !isBlind;
    this.show({});
  }

  async run(request, signal) {
    try {
      this.done = await ask({ ...request, model: this.variant.name }, signal, (answer) => this.show(answer));
      if (!this.done.text) this.text.append(element("span", { className: "note" }, "(an empty answer)"));
      this.show(this.done);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.text.append(element("span", { className: "error" }, error.message));
    }
  }

  show(answer) {
    if (answer.text) this.text.textContent = answer.text;
    // Sizes would give a variant away.
    const { bytes: size, bpw } = this.isNamed ? this.variant : {};
    const figures = [
      ["First token", answer.ttft ? `${fixed(answer.ttft, 0)} ms` : "–"],
      ["Tokens a second", fixed(tokensPerSecond(answer), 1)],
      ["Bytes", this.isNamed ? bytes(size) : "hidden"],
      ["Bits per weight", this.isNamed ? fixed(bpw ?? NaN, 2) : "hidden"],
    ];
    this.figures.replaceChildren(...figures.flatMap(([name, value]) => [
      element("dt", {}, name), element("dd", {}, value),
    ]));
  }

  reveal(isWinner) {
    this.isNamed = true;
    this.heading.textContent = this.label === this.variant.name ? this.label : `${this.label}: ${this.variant.name}`;
    this.vote.disabled = true;
    if (isWinner) this.node.classList.add("won");
    this.show(this.done ?? {});
  }
}
