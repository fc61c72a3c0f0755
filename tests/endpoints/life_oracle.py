"""What docs/contracts.md says of statuses, history, aliases and selection, in plain Python that knows no product code.

It is written from that page alone, so that the product can be held against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

STATUSES = ("testing", "staging", "production", "ab_testing", "archived")


class Refused(Exception):
    """The contract refuses it, with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Kind(NamedTuple):
    """Which algorithm of an endpoint."""

    name: str
    version: str


class Asked(NamedTuple):
    """How a prediction narrows."""

    algorithm: str | None = None
    version: str | None = None
    status: str | None = None
    alias: str | None = None


class Step(NamedTuple):
    kind: Kind
    status: str


class Change(NamedTuple):
    """The steps of one moment, and who was in production after them."""

    steps: list[Step]
    production: Kind | None


@dataclass
class Endpoint:
    statuses: dict[Kind, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    # Who was in production, one after another, without those whom a rollback left.
    line: list[Kind] = field(default_factory=list)
    aliases: dict[str, Kind] = field(default_factory=dict)

    @property
    def production(self) -> Kind | None:
        there = [kind for kind, status in self.statuses.items() if status == "production"]
        assert len(there) <= 1
        return there[0] if there else None

    def change(self, *steps: Step) -> None:
        self.statuses.update(steps)
        self.changes.append(Change(list(steps), self.production))

    def enter_production(self, kind: Kind) -> None:
        left = [] if self.production is None else [Step(self.production, "staging")]
        self.change(*left, Step(kind, "production"))


class Oracle:
    """The registry as the contract has it."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}

    def endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Refused("not_found")
        return self.endpoints[name]

    def create(self, name: str) -> None:
        if name in self.endpoints:
            raise Refused("conflict")
        self.endpoints[name] = Endpoint()

    def delete(self, name: str) -> None:
        if self.endpoint(name).statuses:
            raise Refused("conflict")
        del self.endpoints[name]

    def register(self, name: str, kind: Kind) -> None:
        self.endpoints.setdefault(name, Endpoint()).change(Step(kind, "testing"))

    def move(self, name: str, kind: Kind, status: str) -> bool:
        """Whether anything changed."""
        endpoint = self.endpoint(name)
        present = endpoint.statuses[kind]
        if present == status:
            return False
        if status == "ab_testing" or (present == "archived" and status != "testing"):
            raise Refused("conflict")
        if status == "production":
            endpoint.enter_production(kind)
            endpoint.line.append(kind)
        else:
            endpoint.change(Step(kind, status))
        return True

    def roll_back(self, name: str) -> Kind:
        """Who is in production again."""
        endpoint = self.endpoint(name)
        line = list(endpoint.line)
        while line and (line[-1] == endpoint.production or endpoint.statuses[line[-1]] == "archived"):
            line.pop()
        if not line:
            raise Refused("conflict")
        endpoint.line = line
        endpoint.enter_production(line[-1])
        return line[-1]

    def put_alias(self, name: str, alias: str, owner: str, kind: Kind) -> bool:
        """Whether it is new. The algorithm is one of the endpoint `owner`."""
        endpoint = self.endpoint(name)
        if owner != name or endpoint.statuses[kind] == "archived":
            raise Refused("conflict")
        new = alias not in endpoint.aliases
        endpoint.aliases[alias] = kind
        return new

    def remove_alias(self, name: str, alias: str) -> None:
        if alias not in self.endpoint(name).aliases:
            raise Refused("not_found")
        del self.endpoints[name].aliases[alias]

    def predict(self, name: str, asked: Asked) -> Kind:
        """Who answers."""
        endpoint = self.endpoint(name)
        fitting = [
            kind
            for kind, status in endpoint.statuses.items()
            if status != "archived"
            and asked.algorithm in (None, kind.name)
            and asked.version in (None, kind.version)
            and asked.status in (None, status)
        ]
        if asked.alias is not None:
            fitting = [kind for kind in fitting if kind == endpoint.aliases.get(asked.alias)]
        elif asked.status is None:
            in_production = [kind for kind in fitting if kind == endpoint.production]
            narrowed = asked.algorithm is not None or asked.version is not None
            fitting = in_production or (fitting if narrowed else [])
        if not fitting:
            raise Refused("not_found")
        if len(fitting) > 1:
            raise Refused("ambiguous")
        return fitting[0]
