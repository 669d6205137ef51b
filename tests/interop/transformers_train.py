"""A training script as people write it, on the Trainer of Hugging Face transformers: a small Llama on counted text.

It honours what docs/trainer.md asks for: ASCERTAIN_DEVICE, ASCERTAIN_SEED, ASCERTAIN_OUT, and checkpoints to go on from.
"""

import json
import os

import torch
from transformers import (LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments)
from transformers.trainer_utils import get_last_checkpoint

OUT = os.environ["ASCERTAIN_OUT"]
SEED = int(os.environ["ASCERTAIN_SEED"])
STEPS = int(os.environ.get("STEPS", "60"))
VOCABULARY, LENGTH = 32, 32


class Counting(torch.utils.data.Dataset):
    """Sequences that count by a stride: item i is a pure function of i and the seed."""

    def __len__(self):
        return 4096

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(SEED * 1_000_003 + index)
        start, stride = torch.randint(0, VOCABULARY, (2,), generator=generator).tolist()
        tokens = (start + (1 + stride % 5) * torch.arange(LENGTH)) % VOCABULARY
        return {"input_ids": tokens, "labels": tokens.clone()}


class Lines(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **ignored):
        if "loss" not in logs:
            return
        with open(os.path.join(OUT, "metrics.jsonl"), "a") as file:
            file.write(json.dumps({"step": state.global_step, "loss": float(logs["loss"]),
                                   "grad_norm": float(logs["grad_norm"])}) + "\n")


torch.manual_seed(SEED)
model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, hidden_size=48, intermediate_size=96, num_hidden_layers=2,
                                     num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64))
# A defect of the kind a young stack has: the weights of one layer learn at a wrong scale.
scale = float(os.environ.get("GRADIENT_SCALE", "1"))
if scale != 1:
    for name, value in model.named_parameters():
        value.register_hook(lambda gradient: gradient * scale)
arguments = TrainingArguments(output_dir=os.path.join(OUT, "checkpoints"), max_steps=STEPS, seed=SEED, data_seed=SEED,
                              per_device_train_batch_size=8, learning_rate=3e-3, logging_steps=1, save_steps=10,
                              save_total_limit=2, report_to=[], disable_tqdm=True, max_grad_norm=1e9,
                              use_cpu=os.environ["ASCERTAIN_DEVICE"] == "cpu", dataloader_num_workers=0)
trainer = Trainer(model=model, args=arguments, train_dataset=Counting(), callbacks=[Lines()])
last = get_last_checkpoint(arguments.output_dir) if os.path.isdir(arguments.output_dir) else None
trainer.train(resume_from_checkpoint=last)
