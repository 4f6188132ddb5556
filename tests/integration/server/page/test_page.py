"""The page's paths: open files under a strict policy, and documents that need a key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from server.keys import create_key
from server.page.files import FILES, HEADERS, PAGE_PATHS, asset

STUDY = """plan,plan_hash,state,error,vision,caption,caption_se,bytes,bpw,bpw_paper,seconds
a,1,measured,,4,0.5,0.01,400,4.5,4,1
b,2,measured,,8,0.9,0.02,800,8.5,8,1
c,3,measured,,6,0.4,0.02,600,6.5,6,1
d,4,failed,no,6,,,,,,1
"""


async def test_every_file_is_served_under_the_policy(connect: Any) -> None:
    served = await connect("a")
    for path in sorted(PAGE_PATHS):
        async with served.http.get(path) as response:
            assert response.status == 200, path
            assert {name: response.headers[name] for name in HEADERS} == HEADERS
            tag = response.headers["etag"]
        async with served.http.get(path, headers={"if-none-match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")
    for path in ("/page/app.py", "/page/..%2ffiles.py", "/page/", "/page/static/app.js"):
        async with served.http.get(path) as response:
            assert response.status == 404, path


def test_the_files_refer_to_each_other_and_to_nothing_else() -> None:
    texts = {name: asset(name).body.decode() for name in ("index.html", *FILES)}
    named: set[str] = set()
    for name, text in texts.items():
        named |= set(re.findall(r'(?:src|href)="/page/([\w.]+)"', text))
        named |= set(re.findall(r'(?:from|import) "\./([\w.]+)"', text))
        outside = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}\S*", text))
        assert outside <= {'http://www.w3.org/2000/svg"', 'http://www.w3.org/2000/svg";'}, name
        assert not re.search(r"\bstyle=|\bon\w+=\"|innerHTML|\beval\(", text), (
            f"{name}: the policy forbids it"
        )
    assert named == set(FILES)


async def test_the_files_need_no_key_and_the_documents_do(connect: Any, tmp_path: Path) -> None:
    secret = create_key(tmp_path / "keys.json", "me", ("infer",))
    served = await connect("a", keys_file=str(tmp_path / "keys.json"))
    async with served.http.get("/") as response:
        assert response.status == 200
    for path in ("/page/overview", "/page/study"):
        async with served.http.get(path) as response:
            assert response.status == 401
        async with served.http.get(path, headers={"authorization": f"Bearer {secret}"}) as response:
            assert response.status == 200


async def test_the_overview_tells_states_and_shares(connect: Any) -> None:
    arms = [{"variant": "a", "weight": 3}, {"variant": "b", "weight": 1}]
    served = await connect("a", "b", routes=[{"name": "r", "arms": arms}])
    async with served.http.get("/page/overview") as response:
        document = await response.json()
    assert [(each["name"], each["state"]) for each in document["variants"]] == [
        ("a", "ready"),
        ("b", "ready"),
    ]
    assert document["variants"][0]["bytes"] is None
    shares = [{"variant": "a", "share": 0.75}, {"variant": "b", "share": 0.25}]
    assert document["routes"] == [{"name": "r", "control": "a", "arms": shares}]
    assert (document["takes_votes"], document["has_study"]) == (False, False)


async def test_the_study_and_its_front(connect: Any, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text(STUDY)
    served = await connect("a", study=str(file))
    async with served.http.get("/page/study") as response:
        document = await response.json()
    assert document["scores"] == ["caption"]
    fronts = {plan["plan"]: plan["front"] for plan in document["plans"]}
    assert fronts == {"a": ["caption"], "b": ["caption"], "c": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("plan,bpw\n", "no data rows"),
        ("plan,bytes\na,1\n", "results file of a study"),
        ("plan,bytes,bpw,x,x_se\na,1,wide,1,0\n", "results file of a study"),
    ],
)
async def test_a_study_that_cannot_be_shown_says_why(
    connect: Any, tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "results.csv"
    if text is not None:
        file.write_text(text)
    served = await connect("a", study=str(file))
    async with served.http.get("/page/study") as response:
        document = await response.json()
    assert response.status == 200
    assert message in document["message"]
    assert document["plans"] == []
