"""`/docs`: what `/openapi.json` says, as one page to read.

Owns: how an OpenAPI document of ours looks in a browser, at any width.
Does not own: what it says (`openapi`).
Invariants: the page is made of the document alone, without scripts, and asks nothing of any server;
every word of the document is escaped.
"""

from tenantry.entrypoints.http.docs.page import POLICY, to_page

__all__ = ["POLICY", "to_page"]
