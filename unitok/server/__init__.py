"""An OpenAI-compatible server. In reading order:

app             The server: routes, error handlers, start and shutdown
chat            POST /v1/chat/completions: answers conversations in text and images
responses       POST /v1/responses: the same in items, by the API that agents' libraries call
images          POST /v1/images/generations and /v1/images/edits: draws and edits images
schemas         Request schemas, by the names of OpenAI's API
readable        Leaves out of a conversation what the model never learned to read
response_schemas  Request schemas of the Responses API
image_io        Images from clients and back: data URIs, uploads, base64
stop_sequences  Stop sequences: ends an answer before any of several texts
jobs            Jobs for the worker, and the events it returns
pending_job     A job that a route awaits: events, deadline, cancellation when the client disconnects
worker          The worker thread that owns the engine: jobs from any thread share one batch
state           The state that routes share: model, name, worker, limits
middleware      Middleware before any body is read: API keys, body size, rate limit; the access log
metrics         Metrics of a running server in Prometheus' text format
http/           HTTP without models: errors, slow clients, threads
"""
