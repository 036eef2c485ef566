"""Where the world comes in: HTTP, command line, background worker, demo and audit.

Beside their folders lies what several of them share. Nothing else imports them.
"""
