"""A mkdocs hook: adds the home page and a reference page for each package, and orders the navigation.

The reference is read from the source, not imported: half of the packages need torch, and folders without an
`__init__.py` are packages here, which the usual plugin does not find.
"""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bitloom", "quantize", "server", "eval_client")
# Worker processes and generated code: nobody imports them.
SKIPPED = ("server.workers.",)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef
GUIDES = ("deploy.md", "ab-test.md", "watch.md")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that no file of `docs/` holds."""
    if files.get_file_from_path("index.md") is None:
        files.append(File.generated(config, "index.md", content=home()))
    for package in PACKAGES:
        for name, text in reference(package).items():
            files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_config(config: Any) -> Any:
    """Guides first, then topics, decisions, reference."""
    docs = Path(config.docs_dir)
    topics = sorted(path.name for path in docs.glob("*.md") if path.name != "index.md")
    decisions = sorted(f"adr/{path.name}" for path in (docs / "adr").glob("*.md"))
    references = [f"reference/{name}.md" for package in PACKAGES for name in reference(package)]
    config.nav = [
        {"Home": "index.md"},
        {"Guides": [f"guides/{name}" for name in GUIDES]},
        {"Topics": topics},
        {"Decisions": decisions},
        {"Reference": references},
    ]
    return config


def home() -> str:
    """The README's words on what this is; its links into `docs/` are links within the site."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## The flow")[0].replace("](docs/", "](")
    links = "\n".join(f"- [{title(name)}](guides/{name})" for name in GUIDES)
    return f"{text}\n## Guides\n\n{links}\n"


def title(guide: str) -> str:
    """First heading of a guide."""
    return (ROOT / "docs" / "guides" / guide).read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


def reference(package: str) -> dict[str, str]:
    """Pages by name: one for each package folder, with every module of it that is public."""
    pages: dict[str, list[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts)
        if path.stem.startswith("_") or module.startswith(SKIPPED):
            continue
        pages.setdefault(".".join(parts[:-1]), []).append(module)
    return {name: _page(name, modules) for name, modules in pages.items()}


def _page(name: str, modules: list[str]) -> str:
    return "\n\n".join([f"# {name}", *(_module(module) for module in modules)]) + "\n"


def _module(module: str) -> str:
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    parts = [f"## {module}", ast.get_docstring(tree) or ""]
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            parts += _definition(node, 3)
            if isinstance(node, ast.ClassDef):
                parts += [
                    part
                    for inner in node.body
                    if isinstance(inner, Function) and not inner.name.startswith("_")
                    for part in _definition(inner, 4)
                ]
    return "\n\n".join(parts)


def _definition(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, level: int) -> list[str]:
    """Heading, signature as it stands in the code, docstring."""
    bare = copy.deepcopy(node)
    bare.body = [ast.Expr(ast.Constant(...))]
    bare.decorator_list = []
    if isinstance(node, ast.ClassDef):
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        bare.body = [*fields] or bare.body
    signature = ast.unparse(ast.fix_missing_locations(bare))
    return [
        f"{'#' * level} {node.name}",
        f"```python\n{signature}\n```",
        ast.get_docstring(node) or "",
    ]
