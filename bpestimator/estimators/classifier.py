"""BackpropClassifier: a multilayer perceptron for classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from bpestimator.estimators._base import BaseBackprop, has_partial_fit
from bpestimator.estimators.fitting import Call
from bpestimator.estimators.parameters import ClassifierSettings
from bpestimator.estimators.targets import (
    ClassTargets,
    announced_classes,
    check_class_weight_of_chunk,
    decode_classes,
)
from bpestimator.nn import Activation, Initializer, Loss
from bpestimator.training import Optimizer, Schedule

ClassWeights = Mapping[Any, float] | Sequence[Mapping[Any, float]] | Literal["balanced"] | None


class BackpropClassifier(ClassifierMixin, BaseBackprop):
    """Multilayer perceptron for classification, trained by hand-written backpropagation.

    A drop-in for :class:`sklearn.neural_network.MLPClassifier`: for the same parameters and
    ``random_state``, the same weights. It minimises the mean loss, by default
    -log p(true class), plus alpha / (2 n) times the sum of squared weights. The probability p is
    the softmax of the outputs; for two classes and for multilabel y, it is the logistic function
    of each output.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer, from the inputs on. ``()`` is a linear model.
    activation : str, Activation, or a list of these, one per hidden layer, default='relu'
        The function that the hidden layers apply to z = a W + b, for inputs a:

        - 'identity': z
        - 'logistic': 1 / (1 + exp(-z))
        - 'tanh': tanh(z)
        - 'relu': max(0, z)
        - 'leaky_relu', 'elu', 'selu', 'gelu', 'silu', 'mish', 'softplus': see
          :class:`bpestimator.LeakyReLU`, ``ELU`` and so on, whose objects take parameters:
          ``activation=LeakyReLU(slope=0.1)``
        - :class:`bpestimator.CustomActivation`: a function and its derivative of your own
    solver : str or Optimizer, default='adam'
        'lbfgs' uses all rows in each step, which suits a few thousand rows or fewer. The others
        take a step for each batch: 'sgd' (with momentum), 'adam', 'adamw', 'nadam', 'rmsprop',
        'adagrad'. A name takes its hyperparameters from ``momentum``, ``beta_1``, ``epsilon`` and
        so on. An object such as ``solver=AdamW(weight_decay=0.1)`` has its own; see
        :class:`bpestimator.AdamW`, ``SGD`` and so on. It is an error to set a parameter that the
        object overrules.
    alpha : float, default=0.0001
        Strength of the L2 penalty, alpha / 2 times the sum of squared weights, divided by the
        rows (or their total weight) of the batch; at least 0.
    batch_size : int or 'auto', default='auto'
        Rows per step; 'auto' is min(200, n_samples). Not used by 'lbfgs'.
    learning_rate : float, str or Schedule, default='constant'
        A number is a constant rate, in place of ``learning_rate_init``. A schedule shapes
        ``learning_rate_init`` over the run, with every solver but 'lbfgs':

        - 'constant': it does not change.
        - 'invscaling': after a fit's first epoch it is divided by (t + 1) ** power_t, with t
          the rows seen.
        - 'adaptive': it is divided by 5 whenever ``n_iter_no_change`` epochs in a row have not
          improved by ``tol``; at 1e-6 training stops.
        - 'exponential', 'cosine', 'one_cycle', 'coslog4': it changes at every step; see
          :class:`bpestimator.Exponential`, ``Cosine``, ``OneCycle`` and ``CosLog4``, whose
          objects take parameters and a warm-up: ``learning_rate=Cosine(warmup=5)``. All but
          the first end with epoch ``max_iter``, so that ``partial_fit`` cannot use them.
    learning_rate_init : float or 'auto', default=0.001
        The initial learning rate, above 0. 'auto' finds a rate by short trials of five rates before
        training. They cost 20 epochs, or more if all diverge or the loss still falls in proportion
        to the rate. The larger ``max_iter``, the lower the rate, in ``partial_fit`` too. Not used
        by 'lbfgs'.
    power_t : float, default=0.5
        Exponent of 'invscaling', at least 0.
    max_iter : int, default=200
        The largest number of epochs (passes over the rows), or of iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether each epoch sees the rows in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, of early stopping's split and of the order of the rows.
        An int makes results repeatable.
    tol : float, default=1e-4
        An epoch that improves the training loss (with ``early_stopping``, the validation score) by
        less than this counts towards ``n_iter_no_change``. 'lbfgs' has converged when every entry
        of the gradient is at most this large.
    verbose : bool or int, default=False
        Whether to print each epoch's loss.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the last call.
    momentum : float, default=0.9
        Fraction of its last update that 'sgd' adds to the next, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether to hold out ``validation_fraction`` of the rows (or use ``X_val``), stop once the
        score on these rows has not improved by ``tol`` for ``n_iter_no_change`` epochs, and keep
        the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows held out for early stopping, in [0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the running means of the gradient and of its square, in [0, 1); for 'adam',
        'adamw' and 'nadam'.
    epsilon : float, default=1e-8
        Added to the denominator of all solvers but 'sgd' and 'lbfgs', above 0.
    n_iter_no_change : int or inf, default=10
        Epochs in a row without improvement before training stops.
    max_fun : int, default=15000
        The largest number of evaluations of the loss by 'lbfgs'.
    loss : str or Loss, default='log_loss'
        - 'log_loss': -log p(true class).
        - 'squared_error': half the squared distance of the probabilities from 1 for the true class
          and 0 for the others (the Brier score); gentler on wrong labels.
        - 'focal': -(1 - p)^2 log p, which gives less weight to rows that are classified well; see
          :class:`bpestimator.Focal`.
        - :class:`bpestimator.CustomLoss`: a function and its derivative of your own
    class_weight : dict, 'balanced', list of dicts or None, default=None
        The weight of each class, which multiplies ``sample_weight``: a dict from label to weight (1
        for labels that it lacks), or 'balanced': n_samples / (n_classes * rows of the class). For
        multilabel y, a list with one dict per label, or 'balanced'. It also weights the validation
        rows. ``partial_fit`` takes dicts only, since one chunk does not show how often a class
        occurs in all data.
    label_smoothing : float, default=0.0
        Share s of each target that is spread evenly over the k classes: 1 becomes 1 - s + s / k,
        and 0 becomes s / k (k = 2 for two classes and for each label). In [0, 1).
    dropout : float or list of float, default=0.0
        Share of the hidden units set to 0 at random in each step of training, in [0, 1). The others
        are multiplied by 1 / (1 - rate). A list has one rate per hidden layer, and may have the
        rate of the features in front. Not used by 'lbfgs'.
    weight_init : str or Initializer, default='auto'
        How the initial weights are drawn: 'auto' as in scikit-learn; 'glorot_uniform',
        'glorot_normal', 'he_uniform', 'he_normal', 'lecun_uniform', 'lecun_normal' or 'orthogonal'
        with biases of 0; or an object such as :class:`bpestimator.Orthogonal`.
    max_grad_norm : float or None, default=None
        The largest Euclidean norm of the gradient over all weights and biases. A gradient of a
        larger norm is scaled down to it before the step. Above 0; not used by 'lbfgs'.
    max_time : float or None, default=None
        Seconds after which a call stops, with a warning, at the end of the epoch (with 'lbfgs', of
        the iteration). Above 0.
    scoring : str, callable or None, default=None
        The validation score, of which more is better: a scorer of scikit-learn, such as
        'balanced_accuracy' or 'neg_log_loss', 'loss' for minus the loss, or None for the accuracy.
        Only used with ``early_stopping`` or ``X_val``.
    diagnostics : bool, default=False
        Whether ``history_`` also has, for the last step of each epoch and each layer k = 1, 2, ...,
        'gradient_norm_k', 'weight_norm_k', 'update_ratio_k' (norm of the update over that of the
        weights; about 1e-3 is usual) and 'idle_units_k' (share of hidden units that are dead or
        saturated). Not used by 'lbfgs'.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; for multilabel y, the column numbers.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of each layer. With ``intercepts_`` they are the model: if you set them, ``predict``
        and ``partial_fit`` use the new values.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases of each layer.
    loss_ : float
        The penalised training loss of the last epoch.
    loss_curve_ : list of float
        The penalised training loss of each epoch. Not with 'lbfgs'.
    best_loss_ : float or None
        The lowest of ``loss_curve_``; None with ``early_stopping``. Not with 'lbfgs'.
    validation_scores_ : list of float or None
        Accuracy, or the score that ``scoring`` names, of the validation rows after each epoch.
    best_validation_score_ : float or None
        The highest of ``validation_scores_``, with ``early_stopping``.
    validation_loss_curve_ : list of float or None
        The loss of the validation rows after each epoch, without the penalty.
    learning_rate_ : float
        The learning rate of the last step. Not with 'lbfgs'.
    history_ : dict of lists of float
        One entry for each epoch (with 'lbfgs', for each iteration) of all calls that trained the
        model, ready for ``pandas.DataFrame``: 'epoch', 'loss', 'validation_loss',
        'validation_score', 'learning_rate', 'seconds'; NaN for a value that does not exist.
    stop_reason_ : str
        Why the last call stopped, in a word and a sentence: 'converged: ...', 'max_iter: ...',
        'max_time: ...', 'diverged: ...' (then the best finite weights are kept), 'callback: ...',
        'interrupted: ...' or 'partial_fit: ...'; with 'lbfgs' also 'max_fun: ...' or 'failed: ...'.
    n_iter_ : int
        Epochs, or iterations of 'lbfgs', of the last call.
    t_ : int
        Rows seen so far, each counted once in every epoch.
    n_layers_ : int
        Layers, the inputs included.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : str
        The activation of the output layer: 'softmax' or 'logistic'.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    See Also
    --------
    BackpropRegressor : The same network for numbers.
    sklearn.neural_network.MLPClassifier : The class that this one can replace.

    References
    ----------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors",
    Nature 323 (1986).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from bpestimator import BackpropClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(learning_rate=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.95
    True
    """

    classes_: NDArray[Any]

    _settings = ClassifierSettings
    _fitted_attributes: ClassVar[set[str]] = BaseBackprop._fitted_attributes | {"classes_"}
    _takes_sparse_y = False

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[Any] = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: float | str | Schedule = "constant",
        learning_rate_init: float | Literal["auto"] = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str | Loss = "log_loss",
        class_weight: ClassWeights = None,
        label_smoothing: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        weight_init: str | Initializer = "auto",
        max_grad_norm: float | None = None,
        max_time: float | None = None,
        scoring: str | Callable[..., Any] | None = None,
        diagnostics: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.weight_init = weight_init
        self.max_grad_norm = max_grad_norm
        self.max_time = max_time
        self.scoring = scoring
        self.diagnostics = diagnostics

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> BackpropClassifier:
        """Fit the network to X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), or a multilabel indicator (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
            The weight of each row; rows of weight 0 do not affect training.
        X_val, y_val, sample_weight_val : array-like, default=None
            Rows to validate on after each epoch, in the form of ``X``, ``y`` and ``sample_weight``.
            With ``early_stopping``, their score decides when to stop, and no rows of ``X`` are held
            out.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        ValueError
            For a parameter outside its range, data that are not finite or do not match, or
            weights that became infinite.
        """
        self._fit(X, y, sample_weight, validation=(X_val, y_val, sample_weight_val))
        return self

    @available_if(has_partial_fit)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> BackpropClassifier:
        """Train for one epoch on X and y, continuing from the weights of earlier calls.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), or a multilabel indicator (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes that occur in any chunk; needed in the first call.
        X_val, y_val, sample_weight_val : array-like, default=None
            Rows to validate on after the epoch.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        ValueError
            As :meth:`fit`; or if ``classes`` is missing in the first call, differs from those of
            the first call, or lacks a class of y.
        AttributeError
            If the solver is 'lbfgs', which does not train batch by batch.
        """
        announced = announced_classes(classes, getattr(self, "classes_", None))
        validation = (X_val, y_val, sample_weight_val)
        self._fit(X, y, sample_weight, incremental=True, classes=announced, validation=validation)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row; for multilabel y, the labels above one half.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_labels)
            A sparse matrix if y was one in ``fit``.
        """
        labels = decode_classes(self._predict(X), self.classes_, self.out_activation_)
        return csr_matrix(labels) if self._takes_sparse_y else labels

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, or of each label.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), columns in the order of ``classes_``
        """
        probabilities = self._predict(X)
        if probabilities.shape[1] == 1:
            both = np.empty((2, len(probabilities)), probabilities.dtype)
            both[1] = probabilities[:, 0]
            np.subtract(1, both[1], both[0])
            return both.T
        return probabilities

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def _targets_of(
        self, y: Any, settings: ClassifierSettings, call: Call, classes: np.ndarray | None
    ) -> ClassTargets:
        if call.incremental:
            check_class_weight_of_chunk(settings.class_weight)
        if classes is None and not call.fresh:
            classes = getattr(self, "classes_", None)
        goes_on_as_a_whole = not (call.fresh or call.incremental)
        targets = ClassTargets.of(y, settings, classes, same=goes_on_as_a_whole)
        if not call.fresh:
            out_activation = getattr(self, "out_activation_", "softmax")
            targets.check_same_form(np.shape(self.intercepts_[-1])[0], out_activation)
        return targets

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
