"""Reads the scalars of a run's log. Knows no model."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read_scalars(log: str | Path, name: str) -> dict[int, float]:
    """The values of a scalar by step, over all processes that wrote to a run's folder `logs`."""
    events = EventAccumulator(str(log), size_guidance={"scalars": 0})
    events.Reload()
    if name not in events.Tags()["scalars"]:
        return {}
    return {event.step: event.value for event in events.Scalars(name)}
