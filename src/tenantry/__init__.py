"""Tenantry: every request to Amazon Bedrock belongs to a tenant, from first byte to invoice."""
