"""Alerts by mail, behind `ports.delivery.Sink`.

Owns: the wording of a mail and the talk with one server. Does not own: retries, which kinds go.
"""
