from lmprep.training import clock as module
from lmprep.training.clock import Clock


def test_pauses_and_earlier_sittings(monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    clock = Clock(5.0)
    now += 1
    assert clock.seconds == 5
    clock.start()
    now += 2
    with clock.paused():
        now += 40
        assert clock.seconds == 7
    now += 3
    assert clock.seconds == 10
