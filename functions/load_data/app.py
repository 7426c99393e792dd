"""Step 1 of a run: load the quotes of the period and the tickers, and clean them."""

from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler

handler = make_handler(Step.LOAD_DATA)
