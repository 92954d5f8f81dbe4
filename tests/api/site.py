"""The API of a lab on a real socket, with a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from drip.api.app import create_app
from drip.api.server import Server, serving
from drip.core.address import Address
from drip.core.sequence import Template
from drip.core.tokens import Purpose, make_token
from drip.engine.keys import create_key
from drip.project import Project
from tests.lab import Lab

SEQUENCES = "/v1/bulk/sequences"
WORDS = {"subject": "Hi {{ name }}", "body_text": "Hello {{ name }}."}


class _Hasty:
    """asyncio for uvicorn's server, which looks every tenth of a second whether it shall end, and then rests again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        """A twentieth of it."""
        await asyncio.sleep(seconds / 20)


class Site:
    """A lab, a client with a key, and a few words for what tests do often."""

    def __init__(self, lab: Lab, client: httpx.Client, key: str, key_id: str, server: Server) -> None:
        self.lab = lab
        self.client = client
        self.key = key
        self.key_id = key_id
        self.server = server

    def call(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """One request; the JSON of its answer, or None. With a status, nothing else may come."""
        response = self.client.request(method, path, **({} if body is None else {"json": body}))
        if status is not None:
            assert response.status_code == status, response.text
        return response.json() if response.content else None

    def error(self, method: str, path: str, body: Any = None, status: int = 422) -> dict[str, Any]:
        """One request that is refused: its error."""
        error: dict[str, Any] = self.call(method, path, body, status)["error"]
        return error

    def sequence(self, name: str = "Welcome", *, active: bool = True, steps: int = 1, **fields: Any) -> str:
        """The path of a new sequence with so many steps, an hour apart."""
        made = self.call("POST", SEQUENCES, {"name": name, **fields}, 201)
        path = f"{SEQUENCES}/{made['id']}"
        for position in range(1, steps + 1):
            offset = 0 if position == 1 else 3600
            self.call("POST", f"{path}/steps", {"position": position, "offset_seconds": offset, **WORDS}, 201)
        if active:
            self.call("PATCH", path, {"status": "active"}, 200)
        return path

    def subscribe(self, path: str, email: str = "ana@empresa.com", status: int = 201, **fields: Any) -> Any:
        """Subscribe somebody over HTTP."""
        return self.call("POST", f"{path}/subscribers", {"email": email, **fields}, status)

    def link(self, subscription_id: int) -> str:
        """The path of somebody's link for leaving."""
        return "/u/" + make_token(self.lab.store.secret(), Purpose.UNSUBSCRIBE, subscription_id)


@contextmanager
def open_site(folder: Path, **settings: Any) -> Iterator[Site]:
    """A site that answers until the block ends."""
    given = {
        "database": f"sqlite:///{folder}/drip.db",
        "sender": Address("hola@miempresa.com", "Ana de Mi Empresa"),
        "authorized_domains": frozenset({"miempresa.com"}),
        "base_url": "https://mail.miempresa.com",
        **settings,
    }
    lab = Lab(folder, **given)
    project = Project(lab.settings)
    lab.store = project.store
    with project.store.opened():
        made = create_key(lab.store, "tests", lab.now)
        lab.store.sequences.save_templates(FILE_TEMPLATES, lab.now)
        app = create_app(project, clock=lambda: lab.now)
        # Reading the system's authorities takes longer than most tests, which speak no TLS.
        habits: dict[str, Any] = {"timeout": 60, "verify": False}
        habits["headers"] = {"Authorization": f"Bearer {made.secret}"}
        with (
            patch("uvicorn.server.asyncio", _Hasty()),
            serving(app, "127.0.0.1", 0) as server,
            httpx.Client(base_url=f"http://127.0.0.1:{server.port}", **habits) as client,
        ):
            yield Site(lab, client, made.secret, made.key.id, server)


FILE_TEMPLATES = {
    name: Template(name, markdown=f"Hola {{{{ name }}}}, esto es {name}.", subject="De un archivo")
    for name in ("bienvenida-fc9674", "followup-fc9675")
}
