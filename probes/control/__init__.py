"""What a user wants of an engine: `knobs` (ranges, steps, moves), `commands`, what is `wanted` of
each route by now, the `status` of whoever is to do it, and the bounds of `evidence` on demand."""
