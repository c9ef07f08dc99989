"""What an engine tells of its routes when it introduces itself.

Apart from the engine's other events, and without what those need: whoever starts an engine shows
its routes before it speaks, and must not import what sends requests for that.
"""

from probes.config import Route
from probes.config.urls import mask_url
from probes.events import RouteInfo
from probes.money.pricing import price_info


def route_info(route: Route) -> RouteInfo:
    """Return what the board must know of a route."""
    return RouteInfo(
        name=route.name,
        base_url=mask_url(route.base_url),
        model=route.model,
        dialect=route.dialect,
        concurrency=route.concurrency,
        interval=route.interval,
        max_tokens=route.max_tokens,
        prompt_tokens=route.input_tokens,
        stall_after=route.stall_after,
        goal_ttft_s=route.goals.ttft_s,
        goal_e2e_s=route.e2e_goal_s,
        goal_e2e_set=route.goals.e2e_s is not None,
        goal_success=route.goals.success,
        goal_cost_usd_per_probe=route.goals.cost_usd_per_probe,
        price_known=route.price is not None,
        price=None if route.price is None else price_info(route.price, "price"),
        retries=route.retries,
        tags=route.tags,
        paused=route.paused,
        streamed=route.stream,
        goal_tokens_per_s=route.goals.tokens_per_s,
        evidence=route.evidence,
        first_token_timeout_s=route.timeouts.first_token,
        pace=route.pace,
        rate=route.rate or 0.0,
        shapes=tuple(route.shapes),
        expects=route.expect.words,
        adaptive=route.adaptive,
        concurrency_min=route.concurrency_min,
        concurrency_max=route.concurrency_max,
        place=route.place,
    )
