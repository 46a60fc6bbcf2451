import pytest

from bpestimator.training import lockstep


@pytest.fixture
def sizes(monkeypatch):
    """How many models were in training, each time that a group was gathered."""
    sizes = []
    train = lockstep.train

    def spied(spec, batches, rules, state, **others):
        sizes.append(len(state.runs))
        return train(spec, batches, rules, state, **others)

    monkeypatch.setattr(lockstep, "train", spied)
    return sizes
