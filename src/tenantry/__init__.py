"""Tenantry: every request to Amazon Bedrock belongs to a tenant, from its first byte to its invoice."""
