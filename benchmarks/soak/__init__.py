"""A soak: a real deployment, a dozen tenants, mishaps by the seed, and what must hold all along.

Owns: the traffic, the mishaps, and the checks that neither may break. Does not own: the deployment,
which is `tests.support.stack`, the whole product as its processes.

Invariants that are looked at while it runs, of every answer:

- it comes within its bound, whole, and shows no other tenant's words (`caller`);
- a refusal has a documented shape, and a reason: the tenant's own limit, or a mishap that lay over
  the request (`refusals`, `reasons`).

And in each quiet moment, with nothing under way (`checks`):

- the ledger's invariants hold, and it equals the emulator's bill to the token;
- what a customer was told of a charge is what the ledger has of it;
- no budget and no limit was passed;
- what was acknowledged of documents is so: found, or gone;
- open files and connections are as many as ever, and no process is left over.

Memory is told as a slope over the second half, in which no process dies.
"""
