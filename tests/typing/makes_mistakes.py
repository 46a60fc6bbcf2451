"""A user's script with mistakes that type checkers find: each line marked below."""

from bpestimator import BackpropClassifier, BackpropRegressor

BackpropClassifier(max_iter="x")  # error: max_iter
BackpropClassifier(activation=0.5)  # error: activation
BackpropClassifier(shuffle="yes")  # error: shuffle
BackpropRegressor(learning_rate_init="fast")  # error: learning_rate_init
BackpropRegressor(hidden_units=(4,))  # error: hidden_units
text: str = BackpropRegressor().history_  # error: history_
number: int = BackpropRegressor().loss_  # error: loss_
