// The first tab: one picture, one question, the answers of two to four variants, a vote.

import { Answer } from "./answer.js";
import { element } from "./element.js";
import { get, post } from "./gateway.js";

const MOST = 4;

class Compare extends HTMLElement {
  connectedCallback() {
    this.picture = null;
    this.answers = [];
    this.file = element("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif", id: "picture" });
    this.preview = element("img", { alt: "", hidden: true });
    this.hint = element("span", {}, "Drop a picture here, or choose one");
    this.drop = element("label", { className: "drop", htmlFor: "picture" }, this.preview, this.hint, this.file);
    this.question = element("textarea", { id: "question", rows: 2, value: "What is in the picture?" });
    this.choice = element("fieldset", {}, element("legend", {}, "Variants, two to four"));
    this.blind = element("input", { type: "checkbox", id: "blind" });
    this.length = element("input", { type: "number", id: "tokens", min: 1, max: 1024, value: 64 });
    this.go = element("button", { type: "submit", className: "main" }, "Ask");
    this.message = element("p", { role: "status", className: "note" });
    this.cards = element("div", { className: "answers" });
    const form = element("form", { className: "ask" }, this.drop, this.fields());
    this.append(element("h2", {}, "Compare answers"), form, this.message, this.cards);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.ask(); });
    this.watchPicture();
    addEventListener("bitloom-key", () => this.load());
    this.load();
  }

  fields() {
    return element(
      "div", { className: "fields" },
      element("label", { htmlFor: "question" }, "Question"), this.question, this.choice,
      element(
        "div", { className: "row" },
        element("label", { className: "row" }, this.blind, "Blind: hide the names until the vote"),
        element("label", { className: "row" }, "Tokens at most", this.length),
        this.go,
      ),
    );
  }

  watchPicture() {
    this.file.addEventListener("change", () => this.take(this.file.files[0]));
    this.drop.addEventListener("dragover", (event) => { event.preventDefault(); this.drop.classList.add("over"); });
    this.drop.addEventListener("dragleave", () => this.drop.classList.remove("over"));
    this.drop.addEventListener("drop", (event) => {
      event.preventDefault();
      this.drop.classList.remove("over");
      this.take(event.dataTransfer.files[0]);
    });
  }

  take(file) {
    if (!file) return;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      this.picture = reader.result;
      this.preview.src = this.picture;
      this.preview.alt = `The picture: ${file.name}`;
      this.preview.hidden = false;
      this.hint.textContent = file.name;
    });
    reader.readAsDataURL(file);
  }

  async load() {
    try {
      this.overview = await get("/page/overview");
      const boxes = this.overview.variants.map((variant, index) => {
        const box = element("input", { type: "checkbox", value: variant.name, checked: index < 2 });
        const state = variant.state === "ready" ? "" : ` (${variant.state})`;
        return element("label", {}, box, variant.name + state);
      });
      this.choice.replaceChildren(this.choice.firstChild, ...boxes);
      this.say("");
    } catch (error) {
      this.say(error.message, true);
    }
  }

  async ask() {
    const chosen = [...this.choice.querySelectorAll("input:checked")].map((box) => box.value);
    if (!this.picture) return this.say("Choose a picture first.", true);
    if (chosen.length < 2 || chosen.length > MOST) return this.say("Choose two to four variants.", true);
    this.stop?.abort();
    this.stop = new AbortController();
    const { signal } = this.stop;
    const variants = this.overview.variants.filter((variant) => chosen.includes(variant.name));
    if (this.blind.checked) shuffle(variants);
    this.answers = variants.map(
      (variant, index) => new Answer(variant, "ABCD"[index], this.blind.checked, (answer) => this.vote(answer)),
    );
    this.cards.replaceChildren(...this.answers.map((answer) => answer.node));
    this.say("Asking…");
    const request = this.request();
    await Promise.all(this.answers.map((answer) => answer.run(request, signal)));
    if (signal.aborted) return;
    const isWhole = this.answers.every((answer) => answer.done);
    for (const answer of this.answers) answer.vote.disabled = !(isWhole && this.overview.takes_votes);
    if (!isWhole) this.say("Not every variant answered, so there is no vote.", true);
    else if (this.overview.takes_votes) this.say("Which answer is better?");
    else this.say("All answers are here. This server keeps no votes: it has no state_dir.");
  }

  request() {
    const content = [
      { type: "image_url", image_url: { url: this.picture } },
      { type: "text", text: this.question.value },
    ];
    return { messages: [{ role: "user", content }], max_tokens: Number(this.length.value), temperature: 0 };
  }

  async vote(winner) {
    for (const answer of this.answers) answer.vote.disabled = true;
    try {
      await Promise.all(this.answers.map((answer) => post("/v1/feedback", {
        request_id: answer.done.id, score: answer === winner ? 1 : 0, comment: "compared side by side",
      })));
      for (const answer of this.answers) answer.reveal(answer === winner);
      this.overview = await get("/page/overview");
      this.say(`Voted for ${winner.variant.name}: ${this.count(winner.variant.name)}. Thank you.`);
      winner.node.focus();
    } catch (error) {
      for (const answer of this.answers) answer.vote.disabled = false;
      this.say(error.message, true);
    }
  }

  count(name) {
    const { votes, votes_won: won } = this.overview.variants.find((variant) => variant.name === name);
    return `better in ${won} of ${votes} ${votes === 1 ? "vote" : "votes"}`;
  }

  say(text, isError = false) {
    this.message.textContent = text;
    this.message.className = isError ? "error" : "note";
  }
}

function shuffle(list) {
  for (let index = list.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1));
    [list[index], list[other]] = [list[other], list[index]];
  }
}

customElements.define("bl-compare", Compare);
