"""Put one mutant in the place of its module, in a process that runs the tests or is run by them.

No file is changed: `LLMTOP_MUTANT=probes.answers.outcome:17` names the module and the mutant's
number, and an import hook gives the changed module whenever that name is imported.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

from mutants import mutated

_WANTED, _, _NUMBER = os.environ.get("LLMTOP_MUTANT", "").rpartition(":")


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = mutated(Path(path).read_text(encoding="utf-8"), int(_NUMBER))
        return compile(tree, path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _WANTED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        return importlib.util.spec_from_file_location(
            fullname,
            spec.origin,
            loader=_Loader(fullname, spec.origin),
            submodule_search_locations=spec.submodule_search_locations,
        )


if _WANTED:
    sys.meta_path.insert(0, _Finder())
