"""What the application needs of the world, as Protocols and the frozen words that cross them.

Owns: the shape of every outside dependency, and names that both sides must spell alike. Does not
own: any decision. A few ports lie within the application (`Embedder`, `NumberGuard`), which fills
them with another of its parts.
Invariants: nothing here imports an adapter, the application or a third-party package.
"""
