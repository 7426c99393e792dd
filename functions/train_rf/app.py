"""Step 4 of a run, Random Forest: search, train, calibrate."""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.TRAIN_MODEL)
