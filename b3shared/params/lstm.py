"""Parameters of the LSTM: names, defaults, bounds."""

from typing import Literal

from pydantic import Field

from b3shared.params.base import Params


class LSTMParams(Params):
    """The multi-task network (action and return) and its training.

    The names are those of the reference project. ``lookback``, ``horizon``, ``max_gap`` and
    ``interval_level`` are the run's (:class:`b3shared.params.run.PipelineParams`), because
    features, labels, evaluation and serving need them too.
    """

    epochs: int = Field(
        default=25, ge=1, le=1000, description="passes over the training windows, at most"
    )
    batch_size: int = Field(
        default=256, ge=1, le=65_536, description="windows a gradient step sees"
    )
    learning_rate: float = Field(
        default=3e-4, gt=0, le=1, description="of Adam, at the start; lr for short"
    )
    units: int = Field(default=64, ge=1, le=1024, description="size of the LSTM's state")
    dropout: float = Field(
        default=0.6, ge=0, lt=1, description="share of the last state that training leaves out"
    )
    loss_weight_action: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="weight of the action's focal loss; not 0: the head that decides would stay "
        "untrained",
    )
    loss_weight_return: float = Field(
        default=0.3, ge=0, le=1000, description="weight of the return's loss"
    )
    loss_return: Literal["huber", "mse"] = Field(
        default="huber",
        description="loss of the return, which is counted in volatilities over the horizon",
    )
    focal_loss_gamma: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="0 is plain cross-entropy; above, easy rows count less",
    )
    use_class_weights: bool = Field(
        default=False, description="rare classes count more in the loss, in inverse proportion"
    )
    oversample: bool | Literal["sqrt"] = Field(
        default=False,
        description="rare classes are drawn more often: as often as others (true), or half way "
        "(sqrt)",
    )
    early_stopping_patience: int = Field(
        default=5, ge=1, le=1000, description="epochs without a better validation loss"
    )
    early_stopping_min_delta: float = Field(
        default=0.0, ge=0, le=100, description="by how much better counts as better"
    )
    gradient_clip_norm: float = Field(
        default=1.0, gt=0, le=1000, description="greatest norm of a step's gradient"
    )
    weight_decay: float = Field(default=1e-3, ge=0, le=1, description="L2 penalty of Adam")
    lr_scheduler_patience: int = Field(
        default=2, ge=0, le=1000, description="epochs without improvement until the rate falls"
    )
    lr_scheduler_factor: float = Field(
        default=0.5, gt=0, lt=1, description="what the rate is multiplied with then"
    )
    lr_scheduler_min_lr: float = Field(
        default=1e-6, ge=0, le=1, description="the rate never falls below"
    )
    price_col: Literal["close"] = Field(
        default="close",
        description="column whose return is forecast; labels, features and last_price are of the "
        "close",
    )
    max_slices: int = Field(
        default=48, ge=1, le=1000, description="calls of the trainer that one training may take"
    )
