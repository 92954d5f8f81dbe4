"""`/docs`: what `/openapi.json` says, for people. The script that draws it is Swagger UI's own, from the net."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

_PLACE = '<div id="swagger-ui">'
_MEANWHILE = """
    <p>This page is drawn by a script from cdn.jsdelivr.net. Where that can't be reached (no internet, no JavaScript),
    <a href="openapi.json">openapi.json</a> says the same for any viewer of OpenAPI documents,
    and <code>drip guide api</code> is the manual.</p>
"""


def install(app: FastAPI) -> None:
    """Serve the page."""

    async def docs(request: Request) -> HTMLResponse:
        page = get_swagger_ui_html(openapi_url="openapi.json", title=app.title, swagger_favicon_url="data:,")
        # The script puts its own content in the place of this.
        return HTMLResponse(bytes(page.body).decode().replace(_PLACE, _PLACE + _MEANWHILE, 1))

    app.add_route("/docs", docs, include_in_schema=False)
