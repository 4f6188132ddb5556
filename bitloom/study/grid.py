"""A grid of plans as a file: axes multiplied into rule templates, or plans listed one by one.

    name: llava-vqa
    base: zoo/tiny-llava
    axes:
      vision_bits: [2, 3, 4, 16]
      language_bits: [2, 3, 4, 16]
      front: [0, 1]
    rules:                                  # as in a plan; `$axis` stands for the axis's value,
      - {component: vision, bits: $vision_bits}             # `when: axis` leaves the rule out at 0
      - {component: language, bits: $language_bits}
      - {when: front, component: language, blocks: front, bits: 8}

Each axis is a feature of the results table. A list of plans has `plans: [{name: ..., rules: [...]}]` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bitloom.errors import InputError, PlanError
from bitloom.plan import Calibration, Rule
from bitloom.schema import Schema

Value = int | str
AxisName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
PRESETS = Path(__file__).resolve().parent / "presets"


class Template(Schema):
    """A rule of a plan in which any field may be `$axis`. `when` names an axis: at 0 the rule is left out."""

    when: str | None = None
    component: str | None = None
    blocks: str | None = None
    layers: str | None = None
    bits: Value | None = None
    method: str | None = None
    group_size: Value | None = None
    symmetric: bool | str | None = None
    activations: Value | None = None
    container_bits: Value | None = None

    @property
    def axes(self) -> set[str]:
        """Names of the axes that the rule mentions."""
        fields = self.model_dump(exclude={"when"}).values()
        named = {value[1:] for value in fields if isinstance(value, str) and value.startswith("$")}
        return named | ({self.when} if self.when else set())

    def fill(self, values: Mapping[str, Value]) -> dict[str, object] | None:
        """The rule's fields at one point of the product, or None where `when` leaves it out."""
        if self.when is not None and not values[self.when]:
            return None
        fields = self.model_dump(exclude={"when"}, exclude_none=True)
        return {
            name: values[value[1:]] if isinstance(value, str) and value.startswith("$") else value
            for name, value in fields.items()
        }


class ListedPlan(Schema):
    """One plan of a grid that lists its plans."""

    name: str
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]


class Grid(Schema):
    """A product (`axes` and `rules`) or a list (`plans`) of plans over one base checkpoint."""

    file_error: ClassVar[type[InputError]] = PlanError

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$")]
    base: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    calibration: Calibration = Calibration(mode="independent")
    axes: dict[AxisName, Annotated[tuple[Value, ...], Field(min_length=1)]] = Field(default_factory=dict)
    rules: tuple[Template, ...] = ()
    plans: tuple[ListedPlan, ...] = ()

    @model_validator(mode="after")
    def _product_or_list(self) -> Self:
        if bool(self.plans) == bool(self.axes or self.rules):
            raise ValueError("a grid has either axes and rules (a product) or plans (a list); give one")
        if self.axes and not self.rules:
            raise ValueError("axes without rules make no plan; add rules that mention them as $axis")
        return self

    @model_validator(mode="after")
    def _axes_match_rules(self) -> Self:
        used: set[str] = set().union(*(rule.axes for rule in self.rules))
        unknown, unused = sorted(used - set(self.axes)), sorted(set(self.axes) - used)
        if unknown:
            raise ValueError(f"rules mention ${', $'.join(unknown)}, but the axes are {', '.join(self.axes)}")
        if unused:
            raise ValueError(f"no rule mentions ${', $'.join(unused)}; remove the axis, or use it in a rule")
        for name, values in self.axes.items():
            if len(set(values)) != len(values):
                raise ValueError(f"axis {name} has a value twice; list each once")
        return self


def preset_names() -> list[str]:
    """Names of the grids that come with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def read_grid(source: str, *, base: str | None = None) -> Grid:
    """The grid of a YAML file or of a preset's name; `base` replaces its checkpoint. Raises PlanError."""
    path = PRESETS / f"{source}.yaml" if source in preset_names() else Path(source)
    if not path.is_file():
        raise PlanError(f"{source}: no such file, and no preset; presets are {', '.join(preset_names())}")
    grid = Grid.read(path)
    return grid if base is None else grid.model_copy(update={"base": base})
