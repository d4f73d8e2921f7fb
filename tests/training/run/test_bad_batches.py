"""Skipped batches are counted, and too many in a row end the run."""

import pytest

from unitok.training.run.bad_batches import BadBatches


def test_a_good_batch_ends_a_row_of_bad_ones_and_all_are_counted():
    bad = BadBatches(3)
    assert bad.skip("values not finite", step=4) == "step 4: values not finite, skipped (1 in a row)"
    bad.skip("values not finite", step=5)
    bad.count_good()
    bad.skip("values not finite", step=7)
    assert (bad.in_a_row, bad.skipped) == (1, 3)


def test_too_many_in_a_row_end_the_run():
    bad = BadBatches(2)
    bad.skip("gradient norm nan", step=0)
    with pytest.raises(ValueError, match="step 1: gradient norm nan, 2 batches in a row; the last"):
        bad.skip("gradient norm nan", step=1)
