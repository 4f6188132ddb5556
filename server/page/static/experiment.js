// The figures of one experiment, as /admin/experiments/NAME gives them.

import { element } from "./element.js";

export function experiment(document) {
  return [element("pre", {}, JSON.stringify(document, null, 1))];
}
