"""Cuts `retrieval/` (20 pairs with their texts, every 25th of 500) out of the
full set: cut_retrieval.py <models>/minilm/retrieval. Needs numpy."""

import json
import os
import sys

import numpy as np

PICK = slice(0, 500, 25)
source = sys.argv[1]
target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "retrieval")

with open(os.path.join(source, "texts.json")) as f:
    texts = json.load(f)
for side in ("query", "document"):
    os.makedirs(os.path.join(target, side), exist_ok=True)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        array = np.load(os.path.join(source, side, name + ".npy"))
        np.save(os.path.join(target, side, name + ".npy"), array[PICK])
with open(os.path.join(target, "texts.json"), "w") as f:
    json.dump({side: texts[side][PICK] for side in texts}, f, indent=1)
    f.write("\n")
