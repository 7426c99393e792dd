"""Step 6 of a run: train again on all rows whose outcome is known."""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.REFIT_MODEL)
