"""Every way in which a results file is unusable is named with its place and the remedy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bitloom.errors import DataError, InputError
from bitloom.study.observations import Observations, read_observations, require_rows

Writer = Callable[[str], Path]
HEADER = "vit,llm,m,score,score_se,bpw\n"
GOOD = HEADER + "2,3,gptq,1,0.1,2.5\n4,3,rtn,2,0.2,3.5\n"


def read(path: Path, *, features: tuple[str, ...] = ("vit", "llm")) -> Observations:
    return read_observations(path, score="score", features=features, size="bpw")


def test_columns_become_arrays(write_csv: Writer) -> None:
    found = read(write_csv(GOOD), features=("vit", "m"))
    assert found.values.tolist() == [[2, 0], [4, 1]]
    assert found.categories == {"m": ("gptq", "rtn")}
    assert found.scores.tolist() == [1, 2]
    assert found.sizes is not None
    assert found.sizes.tolist() == [2.5, 3.5]
    assert found.standard_errors is not None
    assert found.standard_errors.tolist() == [0.1, 0.2]


def test_failed_rows_are_left_out_and_counted(write_csv: Writer) -> None:
    text = "vit,state,score,bpw\n2,measured,1,2\n3,measured,2,3\n4,failed,,\n"
    found = read(write_csv(text), features=("vit",))
    assert (len(found), found.failed) == (2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "8,3,gptq,,0.1,4\n", "'score' is empty in line 4"),
        (GOOD + ",3,gptq,3,0.1,4\n", "'vit' is empty in line 4"),
        (GOOD + "8,3,gptq,nan,0.1,4\n", "holds 'nan' in line 4"),
        (GOOD + "8,3,gptq,best,0.1,4\n", "holds 'best' in line 4"),
        (GOOD + "2,3,awq,3,0.1,4\n", r"lines 2 and 4 are the same plan \(vit=2, llm=3\)"),
        (HEADER + "2,3,a,1,0,2\n3,4,a,1,0,3\n", r"every row has the same score \(1\)"),
        (GOOD, "llm has the same value in every row"),
        ("vit,score,bpw\n2,1,2\n3,2,3\n", "no column 'llm'"),
        ("vit,llm,state,score,bpw\n2,3,failed,,\n", "no row with a score"),
    ],
)
def test_bad_files_are_refused_with_place_and_remedy(write_csv: Writer, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write_csv(text))


def test_a_column_given_twice_is_refused(write_csv: Writer) -> None:
    with pytest.raises(InputError, match="'vit' is given twice"):
        read(write_csv(GOOD), features=("vit", "vit"))


def test_fewer_rows_than_levels_need_are_refused(grid: Observations) -> None:
    require_rows("results", grid)
    few = grid.subset(np.arange(len(grid)) % 11 == 0)
    with pytest.raises(DataError, match=r"12 rows, but 3 features with \[5, 5, 5\] levels need at least 13"):
        require_rows("results", few)


def test_a_subset_keeps_rows_together(grid: Observations) -> None:
    kept = grid.values[:, 0] > 2
    part = grid.subset(kept)
    assert len(part) == 100
    assert part.scores.tolist() == grid.scores[kept].tolist()
    assert part.sizes is not None
    assert grid.sizes is not None
    assert part.sizes.tolist() == grid.sizes[kept].tolist()
