"""A user's script that type checkers accept."""

import numpy as np

from bpestimator import (
    AdamW,
    BackpropClassifier,
    BackpropRegressor,
    Cosine,
    He,
    Huber,
    LeakyReLU,
    LockstepGridSearchCV,
    Tanh,
)

X = np.zeros((20, 3))
y = np.arange(20) % 2

classifier = BackpropClassifier(
    (8, 4),
    ["relu", LeakyReLU(slope=0.1)],
    solver=AdamW(weight_decay=0.1),
    learning_rate=Cosine(warmup=1.0),
    max_iter=3,
    class_weight={0: 1.0, 1: 2.0},
    weight_init=He(),
    n_iter_no_change=np.inf,
    scoring="roc_auc",
    random_state=0,
)
history: dict[str, list[float]] = classifier.fit(X, y, X_val=X, y_val=y).history_
shapes: list[tuple[int, ...]] = [weights.shape for weights in classifier.coefs_]
reason: str = classifier.stop_reason_
epochs: int = classifier.partial_fit(X, y).n_iter_
probabilities = classifier.predict_proba(X)
n_classes: int = classifier.classes_.size

regressor = BackpropRegressor(
    Huber(delta=2.0), 8, Tanh(), learning_rate=0.01, learning_rate_init="auto", batch_size="auto"
)
curve: list[float] = regressor.fit(X, y).loss_curve_
score: float = regressor.score(X, y)
predictions = regressor.predict(X) + 1.0

search = LockstepGridSearchCV(regressor, {"learning_rate": [0.01, 0.1]}, cv=3)
