"""Learning curves are read from what a trainer reports."""

from b3shared.evaluation.learning_curves import learning_curves


def test_a_training_without_epochs_has_no_curves():
    assert learning_curves({}) is None
    assert learning_curves({"history": []}) is None


def test_the_best_epoch_is_the_trainers_own_else_that_of_the_least_validation_loss():
    history = [
        {"epoch": n, "val_loss": loss}
        for n, loss in ((1, 2.0), (2, float("nan")), (3, 1.5), (4, 1.6))
    ]
    assert learning_curves({"history": history})["best_epoch"] == 3
    assert learning_curves({"history": history, "chosen": {"best_epoch": 1}})["best_epoch"] == 1
    assert learning_curves({"history": history})["val_loss"] == [2.0, None, 1.5, 1.6]


def test_curves_that_a_trainer_does_not_write_are_left_out():
    history = [{"train_loss": 1.0}, {"train_loss": 0.9, "note": "x"}]
    found = learning_curves({"history": history})
    assert found == {"epochs": [1, 2], "train_loss": [1.0, 0.9], "best_epoch": None}
    assert learning_curves({"history": [{"val_loss": None}]})["best_epoch"] is None
