"""Breaking: what of an OpenAPI document a client may rely on, and would miss in a newer one.

Not everything that could break somebody: what can be told from the document. Adding is never breaking, but for a
parameter or a member of a request that is required.
"""

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]


def breaking_changes(old: Document, new: Document) -> list[str]:
    """One line for each change by which a client of `old` may fail with `new`."""
    found: list[str] = []
    for path, method, operation in _operations(old):
        name = f"{method.upper()} {path}"
        other = new["paths"].get(path, {}).get(method)
        if other is None:
            found.append(f"{name} is gone")
            continue
        found += [f"{name}: {change}" for change in _operation_changes(operation, other)]
    schemas = new.get("components", {}).get("schemas", {})
    for name, schema in old.get("components", {}).get("schemas", {}).items():
        found += [f"schema {name}: {change}" for change in _schema_changes(schema, schemas.get(name))]
    return found


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict):
                yield path, method, operation


def _operation_changes(old: Document, new: Document) -> Iterator[str]:
    before = {parameter["name"]: parameter for parameter in old.get("parameters", [])}
    after = {parameter["name"]: parameter for parameter in new.get("parameters", [])}
    for name, parameter in before.items():
        if name not in after:
            yield f"the parameter {name} is gone"
            continue
        yield from (f"the parameter {name}: {change}" for change in _value_changes(parameter, after[name]))
    for name, parameter in after.items():
        if parameter.get("required") and not before.get(name, {}).get("required"):
            yield f"the parameter {name} has become required"
    for media in old.get("requestBody", {}).get("content", {}):
        if media not in new.get("requestBody", {}).get("content", {}):
            yield f"bodies of {media} are no longer taken"
    for status, answer in old["responses"].items():
        yield from _answer_changes(status, answer, new["responses"].get(status))


def _answer_changes(status: str, old: Document, new: Document | None) -> Iterator[str]:
    if new is None:
        yield f"the status {status} is gone"
        return
    for media, content in old.get("content", {}).items():
        if media not in new.get("content", {}):
            yield f"the status {status} has no answer of {media} any more"
            continue
        for code in content.get("examples", {}):
            if code not in new["content"][media].get("examples", {}):
                yield f"the status {status} has no problem {code} any more"
    for header in old.get("headers", {}):
        if header not in new.get("headers", {}):
            yield f"the status {status} has no header {header} any more"


def _value_changes(old: Document, new: Document) -> Iterator[str]:
    """Of a parameter: values that were taken must be taken."""
    before, after = old.get("schema", {}), new.get("schema", {})
    if before.get("type") != after.get("type"):
        yield f"its type was {before.get('type')} and is {after.get('type')}"
    gone = set(before.get("enum", [])) - set(after.get("enum", before.get("enum", [])))
    if gone:
        yield f"no longer takes {', '.join(sorted(map(str, gone)))}"
    if before.get("maximum", 0) > after.get("maximum", float("inf")):
        yield f"takes at most {after['maximum']}"
    if before.get("minimum", 0) < after.get("minimum", float("-inf")):
        yield f"takes at least {after['minimum']}"
    if before.get("default") != after.get("default"):
        yield f"its default was {before.get('default')!r} and is {after.get('default')!r}"


def _schema_changes(old: Document, new: Document | None) -> Iterator[str]:
    """Of an answer: members that were there must be there, of the same type."""
    if new is None:
        yield "is gone"
        return
    after = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name not in after:
            yield f"the member {name} is gone"
        elif schema.get("type") != after[name].get("type"):
            yield f"the member {name} was {schema.get('type')} and is {after[name].get('type')}"
    for name in set(old.get("required", [])) - set(new.get("required", [])):
        if name in after:
            yield f"the member {name} may be missing"
