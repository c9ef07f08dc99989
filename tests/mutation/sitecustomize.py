"""Put the mutant in every process that a test starts, too.

Python imports a module of this name when it starts, where it finds one: the run of the mutants
puts this folder on PYTHONPATH, which what the tests start inherits.
"""

import plugin  # noqa: F401 - it does its work as it is imported
