"""Use cases: one public function or one small class each, written against ports alone.

Owns: the request's way, metering, ingestion, retrieval, administration.
Does not own: wires, SQL, files, processes.
Invariants: nothing leaves for Bedrock without a committed intent; tenant data is reached only
through a unit of work of one tenant.
"""
