"""Step 7 of a run: register the version and decide whether it goes live."""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.SAVE_MODEL)
