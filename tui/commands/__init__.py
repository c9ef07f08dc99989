"""The sub-commands of `llmtop`, one file each; none imports Textual before a screen is wanted."""

__all__: list[str] = []
