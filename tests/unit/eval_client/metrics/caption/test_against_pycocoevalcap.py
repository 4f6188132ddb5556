"""Random captions, tokenized and scored by pycocoevalcap itself."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_client.metrics.caption import CaptionScorer
from eval_client.metrics.ptb_tokenizer import PtbTokenizer

_PEER = """
import contextlib, json, sys
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

def tokenized(side):
    return PTBTokenizer().tokenize({k: [{"caption": c} for c in v] for k, v in side.items()})

with contextlib.redirect_stdout(sys.stderr):
    tokens = [tokenized(side) for side in json.load(open(sys.argv[1]))]
    bleu = Bleu(4).compute_score(*tokens)
    scores = {"CIDEr": Cider().compute_score(*tokens), "ROUGE_L": Rouge().compute_score(*tokens)}
    scores |= {f"Bleu_{n + 1}": (bleu[0][n], bleu[1][n]) for n in range(4)}
print(json.dumps([tokens, {k: [float(c), [float(x) for x in v]] for k, (c, v) in scores.items()}]))
"""

_PIECES = """
a the The dog cat dogs two three on in with man's isn't can't cannot gonna U.S. Mr. St. Ave. Inc. etc. vs.
I. C. No. 5 1/2 5,000 3:45 10:30pm p.m. a.m. $5 50% #1 @joe twin-hulled close-up A-B x/y and/or (left)
[sign] "STOP" 'go' ``x'' “quoted” ‘it’ — – … ... !! ?! ; : , . - -- & &amp; <b> é ü ñ 日本 ½ ² ° 😀 o'clock
'90s rock'n'roll www.a.com http://b.c/d j@k.org 555-1234 (408) A1 4x4 6' 2" * ** ^ ~ _ a_b = + / \\ | `
{ } wanna 'tis y'all d'être
"""


def _captions(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    pieces = _PIECES.split()
    joiners = (" ", " ", " ", "", "  ")
    return [
        "".join(draw.choice(pieces) + draw.choice(joiners) for _ in range(draw.randint(0, 14)))
        for _ in range(count)
    ]


def _ask_peer(python: Path, folder: Path, document: object) -> Any:
    path = folder / "captions.json"
    path.write_text(json.dumps(document))
    done = subprocess.run(
        [python, "-c", _PEER, path], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return json.loads(done.stdout)


@pytest.mark.java
def test_random_captions(pycocoevalcap_python: Path, tmp_path: Path) -> None:
    images = 400
    references = {str(row): _captions(3, seed=row) for row in range(images)}
    candidates = {str(row): _captions(1, seed=-1 - row) for row in range(images)}
    (peer_references, peer_candidates), peer_scores = _ask_peer(
        pycocoevalcap_python, tmp_path, [references, candidates]
    )
    tokenizer = PtbTokenizer()
    ours = iter(tokenizer.tokenize([caption for texts in references.values() for caption in texts]))
    assert {key: [next(ours) for _ in texts] for key, texts in references.items()} == peer_references
    flat = {key: texts[0] for key, texts in candidates.items()}
    assert tokenizer.tokenize(list(flat.values())) == [texts[0] for texts in peer_candidates.values()]
    scores = CaptionScorer(references, tokenizer).score(flat)
    for name, (corpus, per_image) in peer_scores.items():
        assert scores.corpus[name] == pytest.approx(corpus, abs=1e-12), name
        assert np.abs(scores.per_sample[name] - np.array(per_image)).max() <= 1e-12, name
