"""Step 2 of a run: compute features and labels."""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.PREPROCESS_DATA)
