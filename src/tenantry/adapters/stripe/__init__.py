"""Finalised invoices at Stripe, behind `ports.delivery.Sink`; the only place that knows its SDK.

Owns: amounts in Stripe's units, and one invoice at Stripe for one of ours, whatever is repeated.
Does not own: what an invoice says, who is a customer, retries.
Invariants: Stripe is asked what it has before anything is made; each request that makes something
carries an idempotency key of invoice and line; nothing is finalised whose total is not ours.
"""
