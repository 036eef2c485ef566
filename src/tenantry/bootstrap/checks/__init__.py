"""What is wrong with settings and with what they name, a line each, before anything is opened.

None repeats a secret.
"""
