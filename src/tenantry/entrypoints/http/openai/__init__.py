"""OpenAI's chat completions, embeddings and models, carried by Converse.

Owns: the pure converters to and from Converse, and the server-sent events.
Does not own: anything Converse cannot say; such a request is refused by name, never bent.
"""
