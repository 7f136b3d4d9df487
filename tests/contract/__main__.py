"""`make contract CONTRACT=FILE`: what we rely on, held against the vendor's OpenAPI description.

Every difference is printed, those that are known with their reason; any other one fails.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from jsonschema_path import SchemaPath
from openapi_spec_validator import OpenAPIV2SpecValidator

from agent.api.contract import OPERATIONS, Operation, Schema
from agent.sandbox.server import Sandbox
from tests.contract.asking import ask_everything
from tests.contract.playing import Exchanged
from tests.station import KEY

Description = Mapping[str, Any]

# Differences that are meant, as patterns of their lines, and why.
REASONS = {
    r"jumping upload.*: field exercise .*": "the vendor's later reference requires it",
    r"jumping upload.*: field incline_degree is not described": "the vendor's upload guide has it",
    r".* upload.*: field body_joint_angles is not described": "the vendor's upload guide has it",
    r"jumping export answer 200 keypoints: 'etc' is a .*": "it stands for further names",
    r".* session: not relied on: (calculated_metrics|summary)": "optional, and shown nowhere",
}


def main() -> int:
    """Compare, print, and say by the exit code whether anything is new."""
    if len(sys.argv) != 2:
        sys.stderr.write("make contract CONTRACT=the vendor's OpenAPI description\n")
        return 2
    spec = SchemaPath.from_file_path(str(Path(sys.argv[1]).resolve()))
    description: Description = spec.read_value()
    faults = [error.message for error in OpenAPIV2SpecValidator(spec).iter_errors()]
    sys.stdout.write(f"the description itself: {len(faults)} faults\n")
    for fault in faults[:5]:
        sys.stdout.write(f"  {fault[:160]}\n")
    found = [line for operation in OPERATIONS for line in _differences(operation, description)]
    with Sandbox(key=KEY, processing_s=60) as sandbox:
        exchanged = ask_everything(sandbox)
    found += [line for one in exchanged for line in _answers(one, description)]
    found += [line for one in exchanged for line in _requests(one, description)]
    return _tell(list(dict.fromkeys(found)), exchanged)


def _tell(found: list[str], exchanged: list[Exchanged]) -> int:
    new, met = [], set()
    for line in found:
        reason = next((known for known in REASONS if re.fullmatch(known, line)), None)
        if reason is None:
            new.append(line)
        else:
            met.add(reason)
            sys.stdout.write(f"known  {line}  ({REASONS[reason]})\n")
    new += [f"no longer there: {known}" for known in REASONS if known not in met]
    for line in new:
        sys.stdout.write(f"NEW    {line}\n")
    sys.stdout.write(
        f"{len(OPERATIONS)} operations and {len(exchanged)} exchanges compared: "
        f"{len(found) - len(new)} known differences, {len(new)} new\n"
    )
    return 1 if new else 0


def _name(operation: Operation) -> str:
    return f"{operation.activity} {operation.name}".strip()


def _described(operation: Operation, description: Description) -> Description | None:
    """Return what the description says of an operation."""
    of_path = description["paths"].get(operation.path, {})
    told = of_path.get(operation.method.lower())
    return None if told is None else {**told, "shared": of_path.get("parameters", [])}


def _parameters(told: Description, place: str) -> dict[str, Description]:
    return {
        p["name"]: p for p in (*told["shared"], *told.get("parameters", ())) if p["in"] == place
    }


def _differences(operation: Operation, description: Description) -> Iterator[str]:
    name, told = _name(operation), _described(operation, description)
    if told is None:
        yield f"{name}: {operation.method} {operation.path} is not described"
        return
    yield from _fields(f"{name}: query", operation.query, (), _parameters(told, "query"))
    form = operation.form or {"properties": {}, "required": []}
    described = {k: v for k, v in _parameters(told, "formData").items() if k != "video"}
    yield from _fields(f"{name}: field", form["properties"], form["required"], described)
    bodies = [p["schema"] for p in _parameters(told, "body").values()]
    for body in bodies:
        yield from _shapes(f"{name} body", operation.document or {}, body)
    yield from _shapes(name, operation.answer, told["responses"]["200"].get("schema", {}))
    statuses = {int(status) for status in told["responses"]} - {200}
    if statuses != operation.errors:
        yield f"{name}: errors {sorted(statuses)}, not {sorted(operation.errors)}"


def _fields(
    name: str, ours: Mapping[str, Schema], required: Any, theirs: Mapping[str, Description]
) -> Iterator[str]:
    for field in sorted(set(ours) | set(theirs)):
        if field not in theirs:
            yield f"{name} {field} is not described"
        elif field not in ours:
            yield f"{name} {field} is described, and not known here"
        elif theirs[field].get("type") != ours[field]["type"]:
            yield f"{name} {field} is {theirs[field].get('type')}, not {ours[field]['type']}"
        elif bool(theirs[field].get("required")) != (field in required) and required != ():
            yield f"{name} {field} is required: {bool(theirs[field].get('required'))}"
        elif sorted(theirs[field].get("enum", ())) != sorted(ours[field].get("enum", ())):
            yield f"{name} {field} is one of {theirs[field].get('enum')}"


def _shapes(at: str, ours: Schema, theirs: Description) -> Iterator[str]:
    """Yield where two schemas differ; what the description does not say is not compared."""
    if "type" in ours and "type" in theirs and ours["type"] != theirs["type"]:
        yield f"{at}: is {theirs['type']}, not {ours['type']}"
        return
    described, known = theirs.get("properties", {}), ours.get("properties", {})
    if described and known:
        needed, required = set(theirs.get("required", ())), set(ours.get("required", ()))
        yield from (f"{at}: {field} is not required" for field in sorted(required - needed))
        yield from (f"{at}: {field} is required" for field in sorted(needed - required))
        yield from (f"{at}: {field} is not described" for field in sorted({*known} - {*described}))
        yield from (f"{at}: not relied on: {field}" for field in sorted({*described} - {*known}))
    for field in sorted(set(known) & set(described)):
        yield from _shapes(f"{at}.{field}", known[field], described[field])
    for inner in ("items", "additionalProperties"):
        if isinstance(ours.get(inner), dict) and isinstance(theirs.get(inner), dict):
            yield from _shapes(f"{at}[]", ours[inner], theirs[inner])


def _answers(one: Exchanged, description: Description) -> Iterator[str]:
    """Yield how an answer of the sandbox departs from the description's schema."""
    operation = one.operation
    told = None if operation is None else _described(operation, description)
    if operation is None or told is None:
        yield f"{one.method} {one.path}: no operation"
        return
    answer = told["responses"].get(str(one.status))
    if answer is None:
        yield f"{_name(operation)}: the sandbox answers {one.status}, which is not described"
        return
    for error in Draft4Validator(answer.get("schema", {})).iter_errors(one.document()):
        where = ".".join(str(part) for part in error.path if isinstance(part, str))
        yield f"{_name(operation)} answer {one.status} {where}: {error.message[:120]}"


def _requests(one: Exchanged, description: Description) -> Iterator[str]:
    """Yield what the description requires of a request and the client does not send."""
    operation = one.operation
    told = None if operation is None else _described(operation, description)
    if operation is None or told is None:
        return
    needed = {n for n, p in _parameters(told, "formData").items() if p.get("required")}
    if operation.form is not None:
        for field in sorted(needed - set(one.form())):
            yield f"{_name(operation)} request: {field} is missing"
    for body in _parameters(told, "body").values():
        for error in Draft4Validator(body["schema"]).iter_errors(one.sent_document()):
            yield f"{_name(operation)} request: {error.message[:120]}"


if __name__ == "__main__":
    sys.exit(main())
