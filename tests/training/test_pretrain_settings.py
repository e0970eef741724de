import pytest

from lmprep.pretrain_settings import PretrainSettings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "exactly one of steps, tokens and time is needed; found none"),
        ({"steps": 1, "time": 2.0}, "found steps and time"),
        ({"steps": 0}, "steps 0 must be above 0"),
        ({"time": float("inf")}, "time inf must be above 0"),
        ({"steps": 1, "lr": 0.0}, "lr 0.0 must be between 0 and 1"),
        ({"steps": 1, "schedule": "step"}, "schedule is 'step'; it must be one of linear"),
        ({"steps": 1, "precision": "fp16"}, "precision is 'fp16'"),
        ({"steps": 1, "device": "tpu"}, "device is 'tpu'"),
        ({"steps": 1, "dropout": 1.0}, "dropout 1.0 must be from 0 to below 1"),
        ({"steps": 1, "beta2": 1.0}, "beta2 1.0 must be from 0 to below 1"),
        ({"steps": 1, "clip": 0.0}, "clip 0.0 must be above 0"),
        ({"steps": 1, "batch_tokens": 0}, "batch_tokens 0 must be above 0"),
        ({"steps": 1, "weight_decay": -0.1}, "weight_decay -0.1 must not be negative"),
        ({"steps": 1, "seed": -1}, "seed -1 must be from 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        PretrainSettings(model="bert-tiny", **given)
