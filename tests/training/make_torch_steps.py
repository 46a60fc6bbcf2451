"""Ten steps of PyTorch's optimizers, for test_optimizers.py to compare ours with.

pip install torch==2.13.0
python tests/training/make_torch_steps.py > tests/training/torch_steps.json
"""

import json
import math

START = [1.0, -0.5, 0.25, 3.0]
GRADIENTS = [[math.sin(5 * step + k) * (k + step / 4) for k in range(4)] for step in range(10)]


def hat(group, t):
    """Let epsilon at step t mean what it does in scikit-learn.

    PyTorch adds it to sqrt(v / (1 - beta_2^t)), scikit-learn to sqrt(v): the "epsilon hat" that
    Kingma and Ba's Adam has where they reorder its computation for speed.
    """
    group["eps"] = 1e-3 / math.sqrt(1 - group["betas"][1] ** t)


def main():
    import torch

    kinds = {
        "adam": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-12),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.3, eps=1e-12),
        "nadam": lambda p: torch.optim.NAdam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-12),
        # Large enough to be seen in every step; see hat.
        "adam, epsilon": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
        "adamw, epsilon": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.3, eps=1e-3),
        "nadam, epsilon": lambda p: torch.optim.NAdam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.9, eps=1e-3),
        "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.3, eps=1e-3),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.7, nesterov=True),
        "sgd without nesterov": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.7),
    }
    paths = {}
    for name, kind in kinds.items():
        params = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
        optimizer = kind([params])
        paths[name] = []
        for t, gradient in enumerate(GRADIENTS, start=1):
            if name.endswith("epsilon"):
                hat(optimizer.param_groups[0], t)
            params.grad = torch.tensor(gradient, dtype=torch.float64)
            optimizer.step()
            paths[name].append(params.tolist())
    made_by = f"PyTorch {torch.__version__}"
    made = {"made_by": made_by, "start": START, "gradients": GRADIENTS, "paths": paths}
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
