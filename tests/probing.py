"""One probe to its end, as most tests want it."""

from random import Random

from probes.config import Route
from probes.engine.route import TransportFactory, default_transport
from probes.engine.single import ProbeRecord, SingleProbe
from probes.kit.clock import Clock


async def probe_once(
    route: Route,
    headers: dict[str, str],
    *,
    clock: Clock,
    random: Random,
    include_text: bool = False,
    transport: TransportFactory = default_transport,
) -> ProbeRecord:
    """Send one probe to its end; `headers` are the route's, secrets filled in."""
    probe = SingleProbe(
        route,
        headers,
        clock=clock,
        random=random,
        include_text=include_text,
        transport=transport,
    )
    record = await probe.run()
    assert record is not None  # nobody cancels it, and everybody may pass
    return record
