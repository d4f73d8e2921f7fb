"""HTTP without models. In reading order:

errors       Errors in OpenAI's format
body_errors  Messages for invalid bodies: field, rule, value
docs_page    GET /docs: the routes and their fields as one HTML page
connection   Closes connections of clients that are too slow
thread_pool  Runs blocking work in few threads, with a deadline
"""
