"""Documents, search and answers of a tenant.

Owns: uploads as JSON and multipart, the JSON of documents, passages and answers.
Does not own: what is found; every access rule is the use cases'.
"""
