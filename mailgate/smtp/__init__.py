"""Mail's edge: what comes in by SMTP and what goes out by it. Nothing here decides what a mail means."""
