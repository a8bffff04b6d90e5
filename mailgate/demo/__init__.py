"""The demo: plays a city's guardians, teachers and the next mail server against a gate that runs as a process of its own.

It sees the gate as the world does: by SMTP, by HTTP and by commands. What it expects, it works out from the sample city's files.
"""
