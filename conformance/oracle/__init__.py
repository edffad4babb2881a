"""The same requests to a real server and to ours, answers compared.

It knows scripts, HTTP and how answers are told apart. It knows no protocol: what is peculiar to one (how its server is
started, which words change from run to run) is in that suite's `oracle` folder.
"""
