"""The meaning of a run's labels, as one text."""

from b3shared.params.run import PipelineParams


def target_of(params: PipelineParams) -> str:
    """Name the kind, horizon and width of the labels, such as "direction, horizon 2, width 0.5"."""
    lag = f", lag {params.signal_lag}" if params.label == "signal" else ""
    return f"{params.label}, horizon {params.horizon}, width {params.label_width:g}{lag}"
