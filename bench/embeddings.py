"""How near the sentence embeddings of quantised builds of MiniLM are to those of the float build.

  bench/embeddings.py RETRIEVAL FLOAT.so BUILD.so ...

RETRIEVAL holds query/ and document/ (models/minilm/retrieval). Embeddings are means over unmasked tokens,
normalised; accuracy@1 is the share of queries whose own document has the largest dot product."""

import os
import sys

import numpy as np

from sq_runtime import Sq

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def embed(artifact, folder, batch=20):
    engine = Sq(artifact, 2)
    data = {name: np.load(os.path.join(folder, name + ".npy")).astype(np.int64) for name in INPUTS}
    rows = []
    for start in range(0, len(data["input_ids"]), batch):
        feed = {name: array[start : start + batch] for name, array in data.items()}
        hidden, mask = engine.prepare(feed)(), feed["attention_mask"][..., None]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        rows.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
    return np.concatenate(rows)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, reference = sys.argv[1], sys.argv[2]
    expected = None
    for artifact in sys.argv[2:]:
        found = {part: embed(artifact, os.path.join(folder, part)) for part in ("query", "document")}
        expected = expected or found
        nearest = (found["query"] @ found["document"].T).argmax(1)
        texts = ["accuracy@1 %.3f" % (nearest == np.arange(len(nearest))).mean()]
        for part, rows in found.items():
            cosines = (rows * expected[part]).sum(1)
            texts.append("%s: cosine to %s %.4f on average, %.4f at least"
                         % (part, os.path.basename(reference), cosines.mean(), cosines.min()))
        print(os.path.basename(artifact) + ": " + "; ".join(texts))


main()
