"""The description of the API: OpenAPI for programs, and one page of HTML for people that asks no other machine."""

from __future__ import annotations

import html
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_SECURITY = "token"
_INTRODUCTION = (
    "Every route takes a token, made with `qcbench records token STUDY --client NAME --scope read|rate|write|admin` "
    "and sent in the header Authorization, as it is or after the word Bearer. A scope includes those before it. "
    "A body is JSON of at most 1 MB, not packed. An error is JSON with `_status`, `_error` and, for a payload or a "
    "parameter, `_issues` field by field. On 503 come again after the seconds in Retry-After: a payload that was "
    "stored all the same is not stored twice."
)
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "code{font-size:.95em}h2{margin-top:2.5rem}summary{cursor:pointer;padding:.25rem 0}"
    "table{border-collapse:collapse}td,th{border:1px solid #767676;padding:.2rem .5rem;text-align:left}"
)


def described(app: FastAPI) -> Callable[[], dict]:
    """Return what makes the OpenAPI description of an application, once."""

    def openapi() -> dict:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=_INTRODUCTION, routes=app.routes)
            parts = made.setdefault("components", {})
            parts["securitySchemes"] = {_SECURITY: {"type": "apiKey", "in": "header", "name": "Authorization"}}
            made["security"] = [{_SECURITY: []}]
            for operations in made["paths"].values():
                for operation in operations.values():
                    # FastAPI's own form of an error, which no route here gives.
                    _drop_unused(operation)
            app.openapi_schema = made
        return app.openapi_schema

    return openapi


def _drop_unused(operation: dict) -> None:
    schema = operation["responses"].get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "HTTPValidationError" in str(schema):
        del operation["responses"]["422"]


def as_html(openapi: dict) -> str:
    """Return the description as one page without a script."""
    text = html.escape
    lines = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{text(openapi['info']['title'])}</title>",
        f"<style>{_STYLE}</style><h1>{text(openapi['info']['title'])} {text(openapi['info']['version'])}</h1>",
        f"<p>{text(_INTRODUCTION)}</p><p>For programs: <a href=/openapi.json>openapi.json</a></p>",
    ]
    section = None
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            if (tag := operation["tags"][0]) != section:
                section = tag
                lines.append(f"<h2>{text(tag)}</h2>")
            lines += _operation(method, path, operation)
    return "\n".join(lines)


def _operation(method: str, path: str, operation: dict) -> list[str]:
    text = html.escape
    head = f"<code>{method.upper()} {text(path)}</code> {text(operation['summary'])}"
    lines = [f"<details><summary>{head}</summary><p>{text(operation.get('description', ''))}</p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        lines.append("<table><tr><th>parameter</th><th>what</th></tr>")
        lines += [
            f"<tr><td><code>{text(each['name'])}</code></td><td>{text(each.get('description', each['in']))}</td></tr>"
            for each in parameters
        ]
        lines.append("</table>")
    if "requestBody" in operation:
        form = operation["requestBody"]["content"]["application/json"]["schema"]
        fields, required = form.get("properties", {}), form.get("required", ())
        named = ", ".join(f"<code>{text(name)}</code>{'' if name in required else '?'}" for name in fields)
        lines.append(f"<p>Takes (a question mark: may be left out): {named or 'a list'}</p>")
    lines.append(f"<p>Answers: {', '.join(operation['responses'])}</p></details>")
    return lines
