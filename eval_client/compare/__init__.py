"""Two runs on the same samples: what differs, what is equivalent, and what the sample could have shown.

pairing    two results directories that may be compared, or the reason why not
values     what each sample scored in both runs, metric by metric
metrics    differences, tests, equivalence and power
latency    differences of the timed passes
verdict    outcomes, in plain words
render     a table for the terminal, and Markdown
"""
