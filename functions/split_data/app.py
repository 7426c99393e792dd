"""Step 3 of a run: decide which rows train, validate and test."""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.SPLIT_DATA)
