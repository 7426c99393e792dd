"""Steps 4 and 6 of a run, LSTM: train, and train again on all rows.

A training that answers "partial" is called again.
"""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.TRAIN_MODEL, Step.REFIT_MODEL)
