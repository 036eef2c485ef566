"""A seeded simulation of tenants, traffic and trouble, and an auditor that recomputes the money.

    scenario ──▶ stage (gateway workers, keeper, emulator, PostgreSQL) ──▶ records ──▶ auditor

`scenario` is a pure function of a seed; `stage` plays it; `auditor` shares no code with tenantry.
"""
