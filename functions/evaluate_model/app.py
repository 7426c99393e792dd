"""Step 5 of a run: evaluate the model against the baselines."""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.EVALUATE_MODEL)
