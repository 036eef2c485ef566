"""The wire of bedrock-agent-runtime: knowledge bases, sessions, reranking.

Owns: what its requests may look like, and its answers and frames. A knowledge base is the tenant's
own documents, whatever is named: the tenant comes from the API key alone.
Does not own: how passages are found, answers made or sessions kept.
"""
