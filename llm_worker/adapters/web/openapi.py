"""The OpenAPI document, from the operations and the models that they read and answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from llm_worker.adapters.web.answers import json_answer
from llm_worker.adapters.web.operations import Key, reading
from llm_worker.contracts.http import ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiohttp import web
    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaMode

    from llm_worker.adapters.web.operations import Operation

    Refs = Mapping[tuple[Any, JsonSchemaMode], dict[str, Any]]

_JSON: Final = "application/json"
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def openapi_operation(operations: Sequence[Operation], version: str) -> Operation:
    """Give the operation that answers with the document of all operations, itself included."""

    async def openapi(_request: web.Request) -> web.Response:
        return json_answer(HTTPStatus.OK, document)

    own = reading("/api/openapi.json", openapi, "This document", {200: _JSON})
    document = openapi_document((*operations, own), version)
    return own


def openapi_document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """Describe the operations as OpenAPI 3.1."""
    known = tuple(operations)
    refs, schemas = models_json_schema(
        sorted(_models(known), key=lambda each: (each[0].__name__, each[1])),
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for each in known:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "llm-worker", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {}), "securitySchemes": _SECURITY},
    }


def _models(
    operations: Iterable[Operation],
) -> set[tuple[type[BaseModel], JsonSchemaMode]]:
    models: set[tuple[type[BaseModel], JsonSchemaMode]] = {(ErrorAnswer, "serialization")}
    for each in operations:
        if each.body is not None:
            models.add((each.body, "validation"))
        for answer in each.answers.values():
            if not isinstance(answer, str):
                models.add((answer, "serialization"))
    return models


def _described(operation: Operation, refs: Refs) -> dict[str, Any]:
    said: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.handle.__name__,
        "responses": {
            **{str(status): _error(status, refs) for status in sorted(operation.faults)},
            **{
                str(status): _answer(status, answer, refs)
                for status, answer in operation.answers.items()
            },
        },
    }
    if operation.parameters:
        said["parameters"] = list(operation.parameters)
    if operation.body is not None:
        said["requestBody"] = {
            "required": not operation.is_body_optional,
            "content": {_JSON: {"schema": refs[operation.body, "validation"]}},
        }
    if operation.key is not None:
        either: list[dict[str, list[str]]] = [{name: []} for name in _SECURITY]
        said["security"] = either if operation.key is Key.ADMIN else [*either, {}]
    return said


def _answer(status: int, answer: type[BaseModel] | str, refs: Refs) -> dict[str, Any]:
    if isinstance(answer, str):
        content: dict[str, Any] = {answer: {}}
    else:
        content = {_JSON: {"schema": refs[answer, "serialization"]}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _error(status: int, refs: Refs) -> dict[str, Any]:
    return _answer(status, ErrorAnswer, refs)
