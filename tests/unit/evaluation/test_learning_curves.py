from b3shared.evaluation.learning_curves import curves_of


def test_a_training_without_epochs_has_no_curves():
    assert curves_of({}) is None
    assert curves_of({"history": []}) is None


def test_the_best_epoch_is_the_trainers_own_and_else_that_of_the_least_validation_loss():
    history = [
        {"epoch": n, "val_loss": loss}
        for n, loss in ((1, 2.0), (2, float("nan")), (3, 1.5), (4, 1.6))
    ]
    assert curves_of({"history": history})["best_epoch"] == 3
    assert curves_of({"history": history, "chosen": {"best_epoch": 1}})["best_epoch"] == 1
    assert curves_of({"history": history})["val_loss"] == [2.0, None, 1.5, 1.6]


def test_what_a_trainer_does_not_write_is_left_out_and_unnumbered_epochs_are_counted():
    assert curves_of({"history": [{"train_loss": 1.0}, {"train_loss": 0.9, "note": "x"}]}) == {
        "epochs": [1, 2], "train_loss": [1.0, 0.9], "best_epoch": None,
    }  # fmt: skip
    assert curves_of({"history": [{"val_loss": None}]})["best_epoch"] is None
