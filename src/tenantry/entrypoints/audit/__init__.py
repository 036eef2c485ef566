"""The audit of isolation: a client that attacks a running deployment from outside.

Owns: the canary tenants, the catalogue of attacks, how a reply is judged, the report's forms.
Does not own: the walls, which it knows by their effect alone; the store of reports.
Invariants: only the canaries' things are written, and they are put away however the audit ends; an
attack that could not have succeeded is `void`, never `held`.
"""
