"""Breaking: what of an OpenAPI document a client may rely on, and would miss in a newer one.

Not everything that could break somebody: what can be told from the document. What clients send must still be taken, and
what they get must still be there. Adding is never breaking, but for what a request then has to have.
"""

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")  # smaller is breaking; larger for the lower ones
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")


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
        changes = _given_changes(schema, schemas[name]) if name in schemas else ["is gone"]
        found += [f"schema {name}: {change}" for change in changes]
    return found


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict):
                yield path, method, operation


def _operation_changes(old: Document, new: Document) -> Iterator[str]:
    before = {(parameter["in"], parameter["name"]): parameter for parameter in old.get("parameters", [])}
    after = {(parameter["in"], parameter["name"]): parameter for parameter in new.get("parameters", [])}
    for (place, name), parameter in before.items():
        if (place, name) not in after:
            yield f"the {place} parameter {name} is gone"
            continue
        changes = _taken_changes(parameter.get("schema", {}), after[place, name].get("schema", {}))
        yield from (f"the parameter {name}: {change}" for change in changes)
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"the parameter {key[1]} has become required"
    yield from _body_changes(old.get("requestBody", {}), new.get("requestBody", {}))
    if {} in old.get("security", [{}]) and {} not in new.get("security", [{}]):
        yield "it has come to need a key"
    for status, answer in old["responses"].items():
        yield from _answer_changes(status, answer, new["responses"].get(status))


def _body_changes(old: Document, new: Document) -> Iterator[str]:
    if new.get("required") and not old.get("required"):
        yield "a body has become required"
    after = new.get("content", {})
    for media, content in old.get("content", {}).items():
        if media not in after:
            yield f"bodies of {media} are no longer taken"
            continue
        changes = _taken_changes(content.get("schema", {}), after[media].get("schema", {}))
        yield from (f"bodies of {media}: {change}" for change in changes)


def _answer_changes(status: str, old: Document, new: Document | None) -> Iterator[str]:
    if new is None:
        yield f"the status {status} is gone"
        return
    for media, content in old.get("content", {}).items():
        other = new.get("content", {}).get(media)
        if other is None:
            yield f"the status {status} has no answer of {media} any more"
            continue
        changes = _given_changes(content.get("schema", {}), other.get("schema", {}))
        yield from (f"the status {status}, {media}: {change}" for change in changes)
        for code in content.get("examples", {}):
            if code not in other.get("examples", {}):
                yield f"the status {status} has no problem {code} any more"
    for header in old.get("headers", {}):
        if header not in new.get("headers", {}):
            yield f"the status {status} has no header {header} any more"


def _taken_changes(old: Document, new: Document) -> Iterator[str]:
    """Of what clients send: values that were taken must be taken."""
    if not _covers(new, old):
        yield f"its type was {_named(old)} and is {_named(new)}"
        return
    if "enum" in new:
        gone = (
            sorted({str(value) for value in old["enum"]} - {str(value) for value in new["enum"]})
            if "enum" in old
            else ["others"]
        )
        if gone:
            yield f"no longer takes {', '.join(gone)}"
    for bound in UPPER + LOWER:
        if bound in new and (
            bound not in old or (new[bound] < old[bound] if bound in UPPER else new[bound] > old[bound])
        ):
            yield f"its {bound} was {old.get(bound, 'none')} and is {new[bound]}"
    if new.get("pattern") not in (None, old.get("pattern")):
        yield f"its pattern has become {new['pattern']}"
    if old.get("default") != new.get("default"):
        yield f"its default was {old.get('default')!r} and is {new.get('default')!r}"
    yield from (f"the member {name} has become required" for name in _newly_required(old, new))
    members = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name in members:
            yield from (f"the member {name}: {change}" for change in _taken_changes(schema, members[name]))
        elif new.get("additionalProperties") is False:
            yield f"the member {name} is no longer taken"
    for kind, schema in _alternatives(old).items():
        if kind in _alternatives(new):
            yield from _taken_changes(schema, _alternatives(new)[kind])


def _given_changes(old: Document, new: Document) -> Iterator[str]:
    """Of what clients get: members that were there must be there, and nothing of another type."""
    if not _covers(old, new):
        yield f"its type was {_named(old)} and is {_named(new)}"
        return
    members = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name not in members:
            yield f"the member {name} is gone"
            continue
        yield from (f"the member {name}: {change}" for change in _given_changes(schema, members[name]))
    for name in _newly_required(new, old):
        if name in members:
            yield f"the member {name} may be missing"
    if "items" in old:
        yield from (f"each: {change}" for change in _given_changes(old["items"], new.get("items", {})))
    for kind, schema in _alternatives(old).items():
        if kind in _alternatives(new):
            yield from _given_changes(schema, _alternatives(new)[kind])


def _newly_required(old: Document, new: Document) -> list[str]:
    return sorted(set(new.get("required", [])) - set(old.get("required", [])))


def _alternatives(schema: Document) -> dict[str, Document]:
    """By type, or by the name of the schema that is referred to."""
    found: dict[str, Document] = {}
    for one in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
        found |= dict.fromkeys(_kinds(one), one)
    return found


def _covers(wide: Document, narrow: Document) -> bool:
    """Whether a value of `narrow` is one of `wide`, by its type."""
    if not _kinds(wide):
        return True
    taken = _kinds(wide) | ({"integer"} if "number" in _kinds(wide) else set())
    return bool(_kinds(narrow)) and _kinds(narrow) <= taken


def _kinds(schema: Document) -> set[str]:
    """The types a value may have, or the schemas it may be; empty where anything goes."""
    if "$ref" in schema:
        return {schema["$ref"].rpartition("/")[2]}
    if "anyOf" in schema or "oneOf" in schema:
        return set(_alternatives(schema))
    kinds = schema.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _named(schema: Document) -> str:
    return " or ".join(sorted(_kinds(schema))) or "any"
