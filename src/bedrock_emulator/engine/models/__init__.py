"""The small models that play the large ones. Their card: docs/reference/emulator-models.md.

Owns: what is said (a `Draft`) and what vector a text has.
Does not own: limits, stop sequences, shapes of answers.
Invariants: deterministic; nothing is downloaded; the model's file is checked before it is loaded.
"""
