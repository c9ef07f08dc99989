"""What servers say of their rate limits, in headers and bodies, and what is known of them now.

Two faces: `reading` finds limits in an answer, `state` keeps them. They are imported by name, for
who keeps limits in the cockpit must not wait for all the patterns by which an engine reads them.
"""
