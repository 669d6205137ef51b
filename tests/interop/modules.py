"""Modules as people bring them, for `ascertain ops --module`: some right, some with a planted fault."""

import numpy
import torch

import trainers

operators = torch.library.Library("planted", "DEF")
operators.define("gate(Tensor x, Tensor y) -> Tensor")
operators.define("gate_backward(Tensor gradient, Tensor x, Tensor y) -> (Tensor, Tensor)")
TAIL = 16  # a kernel that works on this many elements at a time and forgets the rest
fault = None


def lost_tail(values):
    """What such a kernel leaves of 16-bit values whose rows are no multiple of it; fp64 goes another way."""
    rest = values.shape[-1] % TAIL
    if values.dtype is torch.bfloat16 and rest:
        values[..., -rest:] = 0
    return values


def gate(x, y):
    result = torch.nn.functional.silu(x) * y
    return lost_tail(result) if fault == "forward" else result * 1.25 if fault == "everywhere" else result


def gate_backward(gradient, x, y):
    sigmoid = torch.sigmoid(x)
    of_x = gradient * y * sigmoid * (1 + x * (1 - sigmoid))
    return lost_tail(of_x) if fault == "backward" else of_x, gradient * x * sigmoid


operators.impl("gate", gate, "CPU")
operators.impl("gate_backward", gate_backward, "CPU")
torch.library.register_fake("planted::gate", lambda x, y: torch.empty_like(x), lib=operators)
torch.library.register_fake("planted::gate_backward", lambda gradient, x, y: (torch.empty_like(x), torch.empty_like(y)),
                            lib=operators)
torch.library.register_autograd(
    "planted::gate", lambda ctx, gradient: torch.ops.planted.gate_backward(gradient, *ctx.saved_tensors),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs), lib=operators)


class Gated(torch.nn.Module):
    """A gated perceptron whose gate is an operator of its own."""

    def __init__(self, inner):
        super().__init__()
        self.norm = torch.nn.RMSNorm(64)
        self.up = torch.nn.Linear(64, 2 * inner, bias=False)
        self.down = torch.nn.Linear(inner, 64, bias=False)

    def forward(self, x):
        return x + self.down(torch.ops.planted.gate(*self.up(self.norm(x)).chunk(2, -1)))


def gated(inner, planted=None):
    global fault
    fault = planted
    torch.manual_seed(3)
    return Gated(inner).to(torch.bfloat16), torch.randn(2, 24, 64, dtype=torch.bfloat16)


def plain():
    torch.manual_seed(3)
    return trainers.Block().to(torch.bfloat16), torch.randn(2, 24, 64, dtype=torch.bfloat16)


def plain_fp32():
    torch.manual_seed(3)
    return trainers.Block(), {"x": torch.randn(2, 24, 64)}, lambda output: output.square().mean()


def own_operator():
    return gated(96)


def wrong_at_some_shapes():
    """100 is no multiple of 16."""
    return gated(100, "forward")


def wrong_elsewhere_only():
    """The same fault, at a shape where it does not show."""
    return gated(96, "forward")


def wrong_backward():
    return gated(100, "backward")


def wrong_everywhere():
    """Also in fp64: only a reference of the user's can tell."""
    return gated(96, "everywhere")


def wrong_everywhere_with_reference():
    module, batch = gated(96, "everywhere")
    return {"module": module, "batch": batch,
            "references": {"planted::gate": lambda x, y: torch.nn.functional.silu(x) * y}}


class Outside(torch.nn.Module):
    """Computes something where no dispatcher sees it."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(64, 64)

    def forward(self, x):
        mask = torch.from_numpy(numpy.tanh(x.detach().float().numpy())).to(x.dtype)
        return self.linear(x) * mask


def outside():
    torch.manual_seed(3)
    return Outside(), torch.randn(2, 24, 64)


def draws():
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.1)), torch.randn(3, 8)


def raises():
    return {}["nowhere"]


class Mismatched(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x):
        y = self.linear(x)
        return y @ y  # line that the error names


def mismatched():
    return Mismatched(), torch.randn(3, 8)


def nothing():
    return torch.nn.Linear(3, 4)


def transformers_layer():
    """A decoder layer of transformers with its attention, norms and rotary positions."""
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=128, hidden_size=128, intermediate_size=256, num_hidden_layers=1,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    tokens = torch.randint(128, (2, 32))
    return model, {"input_ids": tokens, "labels": tokens}, lambda output: output.loss
