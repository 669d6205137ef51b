"""Trainers as people write them, for the recorder's tests: python trainers.py NAME."""

import os
import sys

import torch

torch.manual_seed(1)


class Block(torch.nn.Module):
    """Attention and a gated perceptron, residual and normalised."""

    def __init__(self, width=64, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = torch.nn.RMSNorm(width)
        self.qkv = torch.nn.Linear(width, 3 * width, bias=False)
        self.out = torch.nn.Linear(width, width, bias=False)
        self.gate = torch.nn.Linear(width, 2 * width)
        self.down = torch.nn.Linear(2 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm(x)).view(batch, length, 3, self.heads, width // self.heads).unbind(2)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(torch.nn.functional.silu(self.gate(x)))


def plain():
    """A small language model in bf16: (model, loss of one batch)."""
    model = torch.nn.Sequential(torch.nn.Embedding(256, 64), Block(), torch.nn.Linear(64, 256)).to(torch.bfloat16)

    tokens = torch.randint(256, (2, 33))  # outside of the step: random numbers are judged by their statistics

    def loss():
        return torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    return model, loss


def transformers_llama():
    """A Llama of transformers with random weights: its own forward and loss."""
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
    model = LlamaForCausalLM(config).to(torch.bfloat16)

    tokens = torch.randint(512, (2, 48))

    def loss():
        return model(input_ids=tokens, labels=tokens).loss
    return model, loss


def step(model, optimizer, loss):
    optimizer.zero_grad()
    loss().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def main():
    name, how = sys.argv[1:3]
    torch.ops.load_library(os.environ["RECORDER"])
    model, loss = {"plain": plain, "transformers": transformers_llama}[name]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    step(model, optimizer, loss)
    if how == "api":
        torch.ops.ascertain.record_start(sys.argv[3])
    step(model, optimizer, loss)
    if how == "api":
        print(torch.ops.ascertain.record_stop())


if __name__ == "__main__":
    main()
