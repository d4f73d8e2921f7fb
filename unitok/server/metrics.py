"""Metrics of a running server in Prometheus' text format. Knows names and numbers alone.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import threading
from collections import Counter
from collections.abc import Mapping

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper edges of the histogram's buckets."""
HELP = {
    "unitok_requests_total": ("counter", "Requests by route and status."),
    "unitok_request_seconds": ("histogram", "Seconds from a request's first byte to its answer's last."),
    "unitok_documents_total": ("counter", "Documents completed, by kind of request."),
    "unitok_codes_total": ("counter", "Codes generated, by modality."),
    "unitok_cancelled_total": ("counter", "Documents cancelled because their client disconnected."),
    "unitok_steps_total": ("counter", "Steps of the engine."),
    "unitok_row_steps_total": (
        "counter",
        "Batch rows over all steps; divided by unitok_steps_total the mean batch size.",
    ),
    "unitok_requests_running": ("gauge", "Requests being answered."),
    "unitok_documents_held": ("gauge", "Documents in the batch or waiting for a row."),
    "unitok_documents_most": ("gauge", "Capacity for documents; more are refused with 429."),
}
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Thread-safe counters."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, Labels]] = Counter()
        self.running = 0

    def _add(self, name: str, amount: float, **labels: str) -> None:
        self._counts[name, tuple(labels.items())] += amount

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request and its duration."""
        with self._lock:
            self._add("unitok_requests_total", 1, route=route, status=str(status))
            for edge in SECONDS:
                self._add("unitok_request_seconds_bucket", seconds <= edge, route=route, le=f"{edge:g}")
            self._add("unitok_request_seconds_bucket", 1, route=route, le="+Inf")
            self._add("unitok_request_seconds_sum", seconds, route=route)
            self._add("unitok_request_seconds_count", 1, route=route)

    def step(self, *, rows: int) -> None:
        """Count a step of the engine with `rows` rows."""
        with self._lock:
            self._add("unitok_steps_total", 1)
            self._add("unitok_row_steps_total", rows)

    def document(self, kind: str, codes: Mapping[str, int]) -> None:
        """Count a complete document, and its codes by modality."""
        with self._lock:
            self._add("unitok_documents_total", 1, kind=kind)
            for modality, count in codes.items():
                self._add("unitok_codes_total", count, modality=modality)

    def cancelled(self, documents: int) -> None:
        """Count cancelled documents."""
        with self._lock:
            self._add("unitok_cancelled_total", documents)

    def count(self, name: str, **labels: str) -> float:
        """The value of a counter."""
        with self._lock:
            return self._counts[name, tuple(labels.items())]

    def render(self, **gauges: float) -> str:
        """All counters, and the current gauges, as text."""
        with self._lock:
            counts = list(self._counts.items())
        counts += [((f"unitok_{name}", ()), value) for name, value in gauges.items()]
        lines = []
        for name, (kind, text) in HELP.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            lines += [
                f"{series}{_labels(labels)} {value}"
                for (series, labels), value in counts
                if series == name or (kind == "histogram" and series.startswith(f"{name}_"))
            ]
        return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    """Format {route="/v1/models",status="200"}; labels are our own, so nothing needs escaping."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
