"""Where the world comes in: HTTP, command line, worker. Nothing else imports them."""
