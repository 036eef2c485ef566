"""Readers of request bodies: each API family's JSON becomes one `Prompt`, or a refusal.

Owns: validation in Bedrock's words.
Does not own: generation, rendering of answers.
Invariants: no reader generates anything; the same body always counts the same tokens.
"""
