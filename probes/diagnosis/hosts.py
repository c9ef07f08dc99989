"""Who runs a host."""


def provider_of(host: str) -> str:
    """Return who runs a host: the last two labels of its name, without port; an address whole."""
    name = host.rpartition("@")[2]
    name = name if name.startswith("[") else name.partition(":")[0]
    labels = name.split(".")
    if len(labels) < 2 or labels[-1].isdigit() or name.startswith("["):
        return host
    return ".".join(labels[-2:])
