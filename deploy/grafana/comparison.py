"""A/B: control against each arm, with intervals.

A share p of n requests has the standard error sqrt(p (1 - p) / n). Feedback lies in [0, 1], where a mean m
bounds the variance by m (1 - m), so its interval is never too narrow. Differences add the variances; 1.96
standard errors make 95 %. These intervals hold for one look; the gateway's /admin/experiments/NAME has those
that may be watched.
"""

from __future__ import annotations

from deploy.grafana.panel import Dashboard, Panel, Query, Variable
from deploy.grafana.selector import quantile, rate, select
from server.metrics import Metrics

EXPERIMENT = 'experiment="$experiment"'
ROUTE = 'route="$experiment"'
CONTROL = 'variant="$control"'
WINDOW = "$__range"
Z = 1.96


def comparison(metrics: Metrics) -> Dashboard:
    """What the arms of one experiment do."""
    weights = select(metrics.arm_weight)
    arms = select(metrics.arm_weight, EXPERIMENT)
    return Dashboard(
        "bitloom-ab",
        "Bitloom: A/B",
        "Control against each arm over the chosen time; intervals are for one look.",
        (Variable("experiment", weights, "experiment"), Variable("control", arms, "variant")),
        (*_traffic(metrics), *_quality(metrics), *_speed(metrics), *_guards(metrics)),
    )


def difference(successes: str, trials: str, control: str) -> tuple[Query, ...]:
    """Share of each arm minus control's, with the ends of its 95 % interval.

    `successes` and `trials` are sums by variant, `control` picks control's of such a sum.
    """
    share = f"({successes} / ({trials} > 0))"
    error = f"({share} * (1 - {share}) / ({trials} > 0))"
    apart = f"({share} - on () group_left () {_of_control(share, control)})"
    spread = f"{Z} * sqrt({error} + on () group_left () {_of_control(error, control)})"
    return (
        Query(apart, "{{variant}}"),
        Query(f"{apart} - {spread}", "{{variant}} low"),
        Query(f"{apart} + {spread}", "{{variant}} high"),
    )


def _of_control(expression: str, control: str) -> str:
    # The sum over one series drops its label, which a match on nothing needs.
    return f"sum ({expression} and on (variant) {control})"


def _increase(selector: str) -> str:
    return f"sum by (variant) (increase({selector}[{WINDOW}]))"


def _control(metrics: Metrics) -> str:
    return f"max by (variant) ({select(metrics.arm_weight, EXPERIMENT, CONTROL)})"


def _traffic(metrics: Metrics) -> tuple[Panel, ...]:
    assigned = rate(select(metrics.assignments, EXPERIMENT))
    return (
        Panel(
            "Weight",
            "Share of the traffic that each arm serves now; a rolled-back arm is at 0.",
            (Query(f"avg by (variant) ({select(metrics.arm_weight, EXPERIMENT)})", "{{variant}}"),),
            "percentunit",
        ),
        Panel(
            "Assigned requests",
            "Requests for which each arm was chosen.",
            (Query(f"sum by (variant) ({assigned})", "{{variant}}"),),
            "reqps",
        ),
        Panel(
            "Distance from the weight",
            "Standard errors between an arm's share of an hour and its weight; over 4 the result is void.",
            (Query(f"arm:bitloom_share_deviation:z1h{{{EXPERIMENT}}}", "{{variant}}"),),
        ),
        Panel(
            "Served by another arm",
            "Requests that did not get the unit's arm; they count for no arm.",
            (Query(f"sum by (reason) ({rate(select(metrics.departures))})", "{{reason}}"),),
            "reqps",
        ),
    )


def _quality(metrics: Metrics) -> tuple[Panel, ...]:
    requests = _increase(select(metrics.requests, ROUTE))
    failed = _increase(select(metrics.requests, ROUTE, 'code=~"5.."'))
    errors = f"({failed} or 0 * {requests})"
    scores = _increase(select(metrics.feedback_scores, EXPERIMENT, part="sum"))
    scored = _increase(select(metrics.feedback_scores, EXPERIMENT, part="count"))
    return (
        Panel(
            "Errors, difference to control",
            "Share of 5xx minus control's, with its 95 % interval; above 0 is worse.",
            difference(errors, requests, _control(metrics)),
            "percentunit",
        ),
        Panel(
            "Feedback, difference to control",
            "Mean score minus control's, with an interval that is at least 95 %; above 0 is better.",
            difference(scores, scored, _control(metrics)),
            "percentunit",
        ),
        Panel(
            "Feedback",
            "Mean score of each arm over the chosen time.",
            (Query(f"{scores} / ({scored} > 0)", "{{variant}}"),),
            "percentunit",
            "bargauge",
        ),
        Panel(
            "Scores received",
            "Corrections of earlier scores included.",
            (Query(_increase(select(metrics.feedback, EXPERIMENT)), "{{variant}}"),),
            kind="bargauge",
        ),
    )


def _speed(metrics: Metrics) -> tuple[Panel, ...]:
    within = _increase(select(metrics.time_to_first_token, ROUTE, 'le="1.0"', part="bucket"))
    streams = _increase(select(metrics.time_to_first_token, ROUTE, part="count"))
    return (
        Panel(
            "First token within 1 s, difference to control",
            "Share of streams minus control's, with its 95 % interval; above 0 is better.",
            difference(within, streams, _control(metrics)),
            "percentunit",
        ),
        Panel(
            "First token, p50 and p95",
            "Arrival to the first chunk with content, on this route.",
            (
                Query(quantile(0.5, metrics.time_to_first_token, ROUTE), "p50 {{variant}}"),
                Query(quantile(0.95, metrics.time_to_first_token, ROUTE), "p95 {{variant}}"),
            ),
            "s",
        ),
        Panel(
            "Time per output token, p50",
            "First chunk with content to the last, over the tokens after the first.",
            (Query(quantile(0.5, metrics.time_per_output_token, ROUTE), "{{variant}}"),),
            "s",
        ),
        Panel(
            "Whole answer, p50 and p95",
            "Arrival to the end of the answer, on this route.",
            (
                Query(quantile(0.5, metrics.request_latency, ROUTE), "p50 {{variant}}"),
                Query(quantile(0.95, metrics.request_latency, ROUTE), "p95 {{variant}}"),
            ),
            "s",
        ),
    )


def _guards(metrics: Metrics) -> tuple[Panel, ...]:
    return (
        Panel(
            "Rollbacks",
            "Arms whose weight a guardrail moved back to control, in all.",
            (Query(f"sum by (reason) ({select(metrics.rollbacks)})", "{{reason}}"),),
            kind="stat",
            width=8,
        ),
        Panel(
            "Shadow copies",
            "Copies for the shadow variant: sent, dropped because it is busy, failed.",
            (Query(f"sum by (outcome) ({rate(select(metrics.shadow_requests))})", "{{outcome}}"),),
            "reqps",
            width=8,
        ),
        Panel(
            "Agreement of the shadow",
            "Share of the shadow's answers that equal the answer given.",
            (
                Query(
                    f"avg by (variant) ({select(metrics.shadow_agreement, EXPERIMENT)})",
                    "{{variant}}",
                ),
            ),
            "percentunit",
            width=8,
        ),
    )
