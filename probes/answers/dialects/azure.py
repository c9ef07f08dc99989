"""Azure OpenAI: Chat Completions under a deployment's path, with its version and key header.

Source: learn.microsoft.com, "Azure OpenAI in Azure AI Foundry Models REST API reference".
"""

import re
from typing import Final
from urllib.parse import quote

from probes.answers.dialects.base import endpoint
from probes.answers.dialects.chat import ChatDialect
from probes.config import Route

_DEPLOYMENT: Final = re.compile(r"/openai/deployments/[^/]+$")


class AzureDialect(ChatDialect):
    """`POST /openai/deployments/MODEL/chat/completions?api-version=…`, streamed."""

    name = "azure"
    key_header = "api-key"

    def url(self, route: Route) -> str:
        """Return the deployment's URL; a base URL may hold parts of its path, or a version."""
        base, _, query = route.base_url.partition("?")
        base = base.rstrip("/")
        if not _DEPLOYMENT.search(base):
            deployment = quote(route.model, safe="")
            base = f"{base.removesuffix('/openai')}/openai/deployments/{deployment}"
        versioned = any(pair.startswith("api-version=") for pair in query.split("&"))
        pairs = [query] if query else []
        if not versioned:
            pairs.append(f"api-version={route.api_version}")
        return endpoint(f"{base}?{'&'.join(pairs)}", "/chat/completions")
