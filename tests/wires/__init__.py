"""What lies between a client and its server, and can be bad: the wire, names, certificates, a front
that hangs up, a machine that is busy. For tests and benchmarks; each part goes bad by a schedule.
"""
