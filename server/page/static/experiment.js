// The figures of one experiment, as /admin/experiments/NAME gives them.

import { element, fixed, number, percent, table } from "./element.js";

const MEASURES = [
  ["error_rate", "Errors", 0, (value) => percent(value)],
  ["empty_rate", "Empty answers", 0, (value) => percent(value)],
  ["feedback", "Feedback", 0, (value) => fixed(value, 3)],
  ["ttft_ratio", "First token", 1, ratio],
  ["latency_ratio", "Whole answer", 1, ratio],
];

export function experiment({ report, shadow }) {
  const parts = [arms(report)];
  for (const arm of report.arms) if (arm.against_control) parts.push(differences(arm, report.control));
  return [...parts, split(report.sample_ratio), ...shadows(shadow), ...changes(report.changes)];
}

function arms(report) {
  const heads = ["Arm", number("Share"), number("Requests"), number("Errors"), number("First token, p50"),
    number("Answer, p50"), number("Feedback"), "Standing"];
  const rows = report.arms.map((arm) => [
    arm.variant + (arm.is_control ? " (control)" : ""), number(percent(arm.share)), number(String(arm.requests)),
    number(percent(arm.error_rate.value ?? NaN)), number(seconds(arm.ttft_s.p50)), number(seconds(arm.latency_s.p50)),
    number(`${fixed(arm.feedback.value ?? NaN, 2)} (${arm.feedback.count})`), standing(arm.standing),
  ]);
  return table(`Arms of ${report.experiment}`, heads, rows);
}

function standing(state) {
  return state.rolled_back_for ? `rolled back: ${state.rolled_back_for}` : "in force";
}

function differences(arm, control) {
  const confidence = percent(arm.against_control.confidence, 0);
  const rows = MEASURES.map(([key, label, nothing, text]) => {
    const { count, value, low, high } = arm.against_control[key];
    if (value === null) return [label, number("–"), number("–"), number(String(count)), "nothing measured yet"];
    const isClear = low > nothing || high < nothing;
    const side = value > nothing ? "higher" : "lower";
    return [label, number(text(value)), number(`${text(low)} to ${text(high)}`), number(String(count)),
      isClear ? `${side} than control` : "no difference shown"];
  });
  const heads = ["Measure", number("Difference"), number(`${confidence} interval`), number("Pairs at least"), "Reading"];
  const caption = `${arm.variant} against ${control}; the intervals may be watched, a ratio of 1 means equal`;
  return table(caption, heads, rows);
}

function split({ units, p_value: chance, is_mismatch: isMismatch }) {
  if (!isMismatch) return element("p", { className: "good" }, `The split is as dealt (${units} units, p = ${fixed(chance, 3)}).`);
  return element("p", { className: "error" }, `The split is not as dealt (${units} units, p = ${chance.toExponential(1)}): `
    + "units are lost somewhere; do not read the differences until the cause is known.");
}

function shadows(counts) {
  const rows = Object.entries(counts).map(([variant, each]) => [variant, ...Object.values(each).map((value) => number(String(value)))]);
  if (!rows.length) return [];
  const heads = Object.keys(Object.values(counts)[0]).map((name) => number(name));
  return [table("Shadow copies since the gateway started", ["Variant", ...heads], rows)];
}

function changes(past) {
  if (!past.length) return [];
  const rows = past.map((each) => [new Date(1000 * each.at).toLocaleString(), each.variant, each.kind, each.reason, each.detail]);
  return [table("Changes, the newest first", ["When", "Arm", "Change", "Reason", "Figures"], rows)];
}

// An interval of few pairs reaches over thousands: that it is wide is all there is to read.
function ratio(value) {
  return value >= 100 ? "over 100 ×" : `${fixed(value, 2)} ×`;
}

const seconds = (value) => (value === null ? "–" : `${fixed(1000 * value, 0)} ms`);
