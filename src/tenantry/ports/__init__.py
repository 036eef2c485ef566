"""What the application needs of the world, as Protocols and the frozen words that cross them.

Owns: the shape of every outside dependency. Does not own: any logic.
Invariants: nothing here imports an adapter, the application or a third-party package.
"""
