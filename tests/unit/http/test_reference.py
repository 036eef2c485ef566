"""`docs/reference/http.md` names every route and every refusal, as they are."""

import re
from pathlib import Path

from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.errors import BY_STATUS, SHAPES
from tenantry.entrypoints.http.routes import RouteTable

TEXT = (Path(__file__).parents[3] / "docs/reference/http.md").read_text()


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def routes_in(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^\| `([A-Z]+) (/\S*)` \|", text, re.MULTILINE))


def routes_of(table: RouteTable) -> set[tuple[str, str]]:
    return {(route.method, route.template) for route in table.routes}


def test_every_route_is_documented() -> None:
    assert routes_in(section("Data plane")) == routes_of(DATA_PLANE)
    assert routes_in(section("Admin port")) == routes_of(ADMIN_PLANE)


def test_scopes_are_those_of_the_routes() -> None:
    for route in DATA_PLANE.routes:
        line = next(x for x in TEXT.splitlines() if f"`{route.method} {route.template}`" in x)
        scopes = line.split("|")[3]
        assert re.findall(r"`([a-z:]+)`", scopes) == [str(scope) for scope in route.scopes]


def test_every_refusal_is_documented() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (\d+) `(\w+)` \| (\d+) \|", section("Refusals"), re.MULTILINE
    )
    assert {(code, int(aws), name, int(other)) for code, aws, name, other in rows} == {
        (kind.code, shape.aws_status, shape.aws_type, shape.status)
        for kind, shape in SHAPES.items()
    } | {
        (code, shape.aws_status, shape.aws_type, shape.status) for code, shape in BY_STATUS.values()
    }
